"""A recipe for the best accuracy from scratch: on a GPU with the full set, or on two CPU cores.

    foodjax train --config food10_best
    foodjax train --config food10_best:budget=cpu

Time and result of budget=cpu, on the half-size copy (3,190 photographs to train), over seeds 0, 1 and 2: 73.7 ± 0.9 %
of 750 test images, 2,904 to 3,021 s from start to exit and 2,371 to 2,386 processor seconds, on one core. The other
budget was not measured. docs/recipe.md has more.
"""

from ml_collections import ConfigDict

from foodjax import load_config, variants


def _residual(features: int, depth: int, dropout: float = 0.0) -> ConfigDict:
    return ConfigDict(dict(kind="residual", features=features, pool=2, depth=depth, dropout=dropout))


def get_config(arg: str = "") -> ConfigDict:
    """Returns the experiment for a GPU, or the variant `arg` of it; budget=cpu is one of them."""
    variant = variants.parse(arg, budget=("gpu", "cpu"))
    config = load_config("food10")
    config.name = "food10_best"

    config.data.image_size = 192
    config.data.resize = "box"
    config.data.batch_size = 128

    config.augment.update(rotation=0.0, shift_rows=0.0, flip_vertical=False)
    config.augment.update(crop_area=(0.3, 1.0), crop_aspect=1.33)
    config.augment.update(brightness=(0.7, 1.3), contrast=0.3, saturation=0.3, hue=10.0)
    config.augment.update(cutmix=0.5)

    config.model.input_size = 160
    config.model.update(activation="gelu", norm="batch")
    config.model.blocks = (
        ConfigDict(dict(kind="stem", features=64, patch=2, kernel=3)),
        _residual(128, 2),
        _residual(256, 2),
        _residual(512, 2),
        _residual(512, 2),
    )
    config.model.head.update(pooling="average", hidden=())

    config.optimizer.update(name="muon", learning_rate=4e-3, schedule="cosine", warmup=0.1)
    config.optimizer.update(momentum=0.95, decay=0.99, epsilon=1e-8, weight_decay=0.05, clip_norm=5.0)

    config.train.update(epochs=200, label_smoothing=0.05, ema_decay=0.998)
    config.train.progressive_resizing = ((0, 96), (80, 128), (150, 160))
    config.eval.update(size=192, flip=True)  # crops enlarge things in training; more pixels do so here
    config.eval.calibrate = True  # mixed and smoothed labels make the network underconfident

    if variant.own["budget"] == "cpu":
        config.data.image_size = 112
        config.model.input_size = 96
        config.model.blocks = (
            ConfigDict(dict(kind="stem", features=32, patch=2, kernel=3)),
            _residual(64, 1),
            _residual(128, 2),
            _residual(256, 2),
        )
        config.optimizer.weight_decay = 0.3
        config.train.update(epochs=60, ema_decay=0.99)
        config.train.progressive_resizing = ((0, 48), (20, 64), (40, 80), (52, 96))
        config.eval.size = 112
    config.train.patience = config.train.epochs  # no early stop: the schedule ends with its lowest rate
    return variants.apply(config, variant)
