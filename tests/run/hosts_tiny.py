"""A network of 626 numbers on drawn shapes of two classes, for several processes: 4 steps of 8 pictures an epoch."""

import os

from ml_collections import ConfigDict

from experiments import demo


def get_config() -> ConfigDict:
    config = demo.get_config()
    config.name = "hosts_tiny"
    config.data.update(num_classes=2, drawn_train=20, drawn_test=4, image_size=16, batch_size=8, eval_batch_size=8)
    config.data.update(backend=os.environ.get("FOODJAX_HOSTS_BACKEND", "threads"))
    config.augment.update(cutmix=0.5)
    config.model.blocks = config.model.blocks[:1]
    config.model.blocks[0].update(features=4, padding=("SAME",))
    config.model.head.hidden = ()
    config.train.epochs = 2
    config.log.writers = ()
    config.checkpoint.update(every_steps=2, every_minutes=0.0)
    return config
