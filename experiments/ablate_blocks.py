"""Ablation of the tutorial's network and recipe, over three seeds.

    foodjax sweep --config ablate_blocks
    foodjax sweep --config ablate_blocks:scale=small --config.data.dir=../food-101

`scale=small` is for two CPU cores: 48 x 48 pixels, a half to a quarter of the features, block 4 without its VALID
padding (which leaves nothing of 48 pixels), milder augmentation, a higher learning rate, 10 epochs, and only the
variants of the network. The result of an older sweep, of two seeds, is in docs/ablations.md.
"""

from ml_collections import ConfigDict

from foodjax import Sweep, grid, load_config, variants

SCALES = ("full", "small")


def get_config(arg: str = "") -> ConfigDict:
    """Returns the baseline of the ablation, or the variant `arg` of it."""
    variant = variants.parse(arg, scale=SCALES)
    config = load_config("food10")
    config.name = "ablate_blocks"
    if variant.own["scale"] == "small":
        config.data.image_size = 48
        config.data.resize = "box"
        config.augment.rotation = 10.0
        config.augment.shift_rows = 0.1
        config.augment.shift_columns = 0.1
        config.augment.brightness = (0.8, 1.2)
        config.augment.flip_vertical = False
        for block, features in zip(config.model.blocks, (16, 32, 64, 128), strict=True):
            block.features = features
        config.model.blocks[3].padding = ("SAME", "SAME")
        config.model.head.hidden = (256,)
        config.optimizer.learning_rate = 1e-3
        config.train.epochs = 10
    return variants.apply(config, variant)


def get_sweep(arg: str = "") -> Sweep:
    """Returns the baseline and its variants; learning rates are a third and three times the baseline's."""
    config, small = get_config(arg), "scale=small" in arg
    listed = [
        "",
        "drop_block=1",
        "drop_block=2",
        "drop_block=3",
        "drop_block=4",
        "add_block=3",
        "kernel=3",  # the tutorial's block 4 has 5, the others 3
        "pool=avg",
        *grid(dropout=[0.0, 0.5]),  # the tutorial's is 0.2
    ]
    if not small:  # an hour on two cores suffices for the network alone
        rate = config.optimizer.learning_rate
        listed += grid(lr=[float(f"{rate / 3:.1g}"), float(f"{rate * 3:.1g}")])
        listed += grid(drop_augment=["rotation", "shift", "brightness", "flip_horizontal", "flip_vertical"])
    return Sweep(listed, seeds=3)
