"""The fault drill's experiment: real photographs at 16 pixels, a tiny network, seconds of training."""

import os

from ml_collections import ConfigDict

from experiments import demo


def get_config() -> ConfigDict:
    config = demo.get_config()
    config.name = "tiny"
    config.data.dir = os.environ.get("FOODJAX_DRILL_DATA", "")  # empty: drawn pictures
    config.data.num_classes = 3
    config.data.update(drawn_train=60, drawn_test=10, image_size=16, batch_size=32, eval_batch_size=64)
    config.model.blocks = config.model.blocks[:2]
    for block in config.model.blocks:
        block.update(features=8, padding=("SAME",), dropout=0.1)
    config.model.head.hidden = (16,)
    config.optimizer.learning_rate = 5e-3
    config.train.epochs = 4
    config.eval.calibrate = True
    config.checkpoint.update(every_steps=10, every_minutes=0.0)
    return config
