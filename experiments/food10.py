"""The tutorial: ten classes of Food-101, a four-block CNN with 10,588,458 parameters.

    foodjax train --config food10
    foodjax train --config food10:drop_block=4,lr=3e-4

Data: TFDS downloads 5 GB once; `--config.data.dir=PATH` takes a copy that is already there.
Time: the tutorial took 45 min on a GTX 1080 Ti.
Result: the tutorial reports 56.96 % test accuracy (best validation loss 1.209).
"""

from ml_collections import ConfigDict

from foodjax import default_config, variants


def get_config(arg: str = "") -> ConfigDict:
    """Returns the tutorial's experiment, or the variant `arg` of it."""
    config = default_config()  # every key of docs/config.md, at a value that changes nothing
    config.name = "food10"
    config.seed = 0

    config.data.source = "tfds"  # downloads; data.dir takes a copy that is already there
    config.data.tfds_name = "food101:2.1.0"
    config.data.num_classes = 10  # the first ten in alphabetical order
    config.data.image_size = 128  # pixels, square; the aspect ratio is not kept
    config.data.resize = "nearest"  # Keras' default
    config.data.protocol = "holdout"  # holdout: validation from train; tutorial: validation from test, augmented
    config.data.validation_fraction = 0.15  # of each class
    config.data.batch_size = 32

    config.augment.rotation = 90.0  # degrees, uniform in +-rotation
    config.augment.shift_rows = 0.5  # fraction of the height, uniform in +-; Keras calls it width_shift_range
    config.augment.brightness = (0.1, 0.7)  # factor, uniform
    config.augment.flip_horizontal = True
    config.augment.flip_vertical = True

    config.model.activation = "relu"
    config.model.blocks = (
        ConfigDict(dict(kind="conv", features=32, kernel=3, padding=("SAME", "VALID"), pool=2, dropout=0.2)),
        ConfigDict(dict(kind="conv", features=64, kernel=3, padding=("SAME", "VALID"), pool=2, dropout=0.2)),
        ConfigDict(dict(kind="conv", features=128, kernel=3, padding=("SAME", "VALID"), pool=2, dropout=0.2)),
        ConfigDict(dict(kind="conv", features=512, kernel=5, padding=("SAME", "VALID"), pool=4, dropout=0.2)),
    )
    config.model.head.pooling = "flatten"  # flatten | average | max
    config.model.head.hidden = (1024,)
    config.model.head.dropout = 0.2

    config.optimizer.name = "rmsprop"
    config.optimizer.learning_rate = 1e-4
    config.optimizer.momentum = 0.0
    config.optimizer.decay = 0.9  # of the mean square; Keras: rho
    config.optimizer.epsilon = 1e-7  # added to the mean square, under the root, as Keras does

    config.train.epochs = 100  # at most
    config.train.patience = 10  # epochs without a lower validation loss before training stops

    return variants.apply(config, arg)
