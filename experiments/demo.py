"""Ten classes of shapes that the program draws itself: no download, no files, two minutes.

foodjax train --config demo
"""

from ml_collections import ConfigDict

from foodjax import load_config, variants


def get_config(arg: str = "") -> ConfigDict:
    """Returns a small experiment that exercises every part of the main job, or the variant `arg` of it."""
    config = load_config("food10")
    config.name = "demo"

    config.data.source = "drawn"
    config.data.image_size = 32
    config.data.resize = "bilinear"
    config.data.drawn_train = 200
    config.data.drawn_test = 50

    config.augment.shift_rows = 0.1
    config.augment.shift_columns = 0.1
    config.augment.brightness = (0.7, 1.0)

    config.model.blocks = (
        ConfigDict(dict(kind="conv", features=32, kernel=3, padding=("SAME", "SAME"), pool=2, dropout=0.0)),
        ConfigDict(dict(kind="conv", features=64, kernel=3, padding=("SAME", "SAME"), pool=2, dropout=0.1)),
        ConfigDict(dict(kind="conv", features=128, kernel=3, padding=("SAME", "SAME"), pool=2, dropout=0.1)),
    )
    config.model.head.hidden = (128,)

    config.optimizer.learning_rate = 5e-4
    config.train.epochs = 20
    return variants.apply(config, arg)
