"""Ten classes from the features of a network that was trained on ImageNet, and one linear layer.

    foodjax probe --config food10_probe
    foodjax probe --config food10_probe:size=2 --config.model.init_from=WEIGHTS
    foodjax sweep --config food10_probe                   # the three sizes, compared

Weights: those of timm on the hub (`pip install 'foodjax[pretrained]'`), or WEIGHTS, a .pth or .safetensors file of
EfficientNet-Lite; docs/weights.md.
"""

from ml_collections import ConfigDict

from foodjax import load_config, variants

_SIDES = {0: 224, 1: 240, 2: 260}  # pixels that each network was trained on


def get_config(arg: str = "") -> ConfigDict:
    """Returns the linear probe of EfficientNet-Lite0, or the variant `arg` of it; size=2 is Lite2."""
    variant = variants.parse(arg, size=(0, 1, 2))
    config = load_config("food10")
    config.name = "food10_probe"

    config.data.image_size = _SIDES[variant.own["size"]]
    config.data.resize = "bicubic"
    config.augment.update(rotation=0.0, shift_rows=0.0, brightness=(1.0, 1.0))
    config.augment.update(flip_horizontal=False, flip_vertical=False)

    config.model.backbone = f"tf_efficientnet_lite{variant.own['size']}"
    config.model.init_from = f"hf://timm/{config.model.backbone}.in1k"
    config.model.blocks = ()
    config.model.head.update(pooling="average", hidden=(), dropout=0.0)

    config.train.update(solver="probe", epochs=1, patience=1)
    config.eval.update(flip=True, calibrate=True)
    return variants.apply(config, variant)


def get_sweep(arg: str = "") -> list[str]:
    """Returns the three sizes of the network; each has weights of its own."""
    return ["", *(f"size={size}" for size in _SIDES if size)]
