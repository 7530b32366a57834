"""Ten classes from the features of a network that was trained on ImageNet, and one linear layer.

    foodjax probe --config food10_probe --config.model.init_from=WEIGHTS

WEIGHTS: a .pth or .safetensors file of EfficientNet-Lite0, or an hf:// address; docs/weights.md.
"""

from ml_collections import ConfigDict

from foodjax import load_config, variants


def get_config(arg: str = "") -> ConfigDict:
    """Returns the linear probe of EfficientNet-Lite0, or the variant `arg` of it."""
    config = load_config("food10")
    config.name = "food10_probe"

    config.data.image_size = 224
    config.data.resize = "bicubic"
    config.augment.update(rotation=0.0, shift_rows=0.0, brightness=(1.0, 1.0))
    config.augment.update(flip_horizontal=False, flip_vertical=False)

    config.model.backbone = "tf_efficientnet_lite0"
    config.model.blocks = ()
    config.model.head.update(pooling="average", hidden=(), dropout=0.0)

    config.train.update(solver="probe", epochs=1)
    config.eval.update(flip=True, calibrate=True)
    return variants.apply(config, arg)
