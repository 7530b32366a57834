"""The tutorial: ten classes of Food-101, a four-block CNN with 10,588,458 parameters.

    python main.py --config experiments/food10.py
    python main.py --config experiments/food10.py:drop_block=4,lr=3e-4

Data: TFDS downloads 5 GB once; `--config.data.dir=PATH` takes a copy that is already there.
Time: the tutorial took 45 min on a GTX 1080 Ti.
Result: the tutorial reports 56.96 % test accuracy (best validation loss 1.209).
"""

from ml_collections import ConfigDict

from foodjax import variants


def get_config(arg: str = "") -> ConfigDict:
    """Returns every value of the tutorial's experiment, or of the variant `arg` of it."""
    config = ConfigDict()
    config.name = "food10"
    config.seed = 0

    config.data = ConfigDict()
    config.data.source = "tfds"  # tfds | drawn; used when dir is empty
    config.data.dir = ""  # food-101.tar.gz, food-101/, or a folder with train/<class>/ and test/<class>/
    config.data.tfds_name = "food101:2.1.0"
    config.data.tfds_dir = ""  # where TFDS keeps its data; empty: its default, ~/tensorflow_datasets
    config.data.num_classes = 10  # the first N in alphabetical order; 0 takes all
    config.data.class_names = ()  # or exactly these; ('baklava','bibimbap') on the command line
    config.data.image_size = 128  # pixels, square; the aspect ratio is not kept
    config.data.resize = "nearest"  # nearest | bilinear | bicubic | lanczos | box
    config.data.protocol = "holdout"  # holdout: validation from train; tutorial: validation from test, augmented
    config.data.validation_fraction = 0.15  # of each class
    config.data.batch_size = 32
    config.data.eval_batch_size = 100
    config.data.on_error = "stop"  # stop | skip pictures that do not decode
    config.data.cache_dir = ""  # prepared pictures; empty: $XDG_CACHE_HOME/foodjax or ~/.cache/foodjax
    config.data.drawn_train = 150  # pictures per class that source=drawn draws
    config.data.drawn_test = 30

    config.augment = ConfigDict()
    config.augment.rotation = 90.0  # degrees, uniform in +-rotation
    config.augment.shift_rows = 0.5  # fraction of the height, uniform in +-; Keras calls it width_shift_range
    config.augment.shift_columns = 0.0  # fraction of the width; Keras calls it height_shift_range
    config.augment.brightness = (0.1, 0.7)  # factor, uniform; (1.0, 1.0) changes nothing
    config.augment.flip_horizontal = True
    config.augment.flip_vertical = True

    config.model = ConfigDict()
    config.model.blocks = (
        ConfigDict(dict(features=32, kernel=3, padding=("SAME", "VALID"), pool=2, dropout=0.2)),
        ConfigDict(dict(features=64, kernel=3, padding=("SAME", "VALID"), pool=2, dropout=0.2)),
        ConfigDict(dict(features=128, kernel=3, padding=("SAME", "VALID"), pool=2, dropout=0.2)),
        ConfigDict(dict(features=512, kernel=5, padding=("SAME", "VALID"), pool=4, dropout=0.2)),
    )
    config.model.head = ConfigDict()
    config.model.head.pooling = "flatten"  # flatten | average
    config.model.head.hidden = (1024,)
    config.model.head.dropout = 0.2

    config.optimizer = ConfigDict()
    config.optimizer.name = "rmsprop"
    config.optimizer.learning_rate = 1e-4
    config.optimizer.decay = 0.9  # Keras: rho
    config.optimizer.epsilon = 1e-7  # added to the mean square, under the root, as Keras does

    config.train = ConfigDict()
    config.train.epochs = 100
    config.train.patience = 10  # epochs without a lower validation loss before training stops

    config.checkpoint = ConfigDict()  # after every epoch, and within one
    config.checkpoint.every_steps = 0  # 0: only after epochs
    config.checkpoint.every_minutes = 10.0  # 0: never by the clock

    return variants.apply(config, arg)
