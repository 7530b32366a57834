"""Ten classes from a ResNet-18 that was trained on ImageNet.

    foodjax train --config food10_resnet18 --config.model.init_from=resnet18.safetensors

The file has torchvision's or timm's layout and must be downloaded first, for example timm's `resnet18.tv_in1k`.
Time and result: not measured.
"""

from ml_collections import ConfigDict

from foodjax import load_config, variants


def get_config(arg: str = "") -> ConfigDict:
    """Returns the fine-tuning of a whole ResNet-18, or the variant `arg` of it."""
    config = load_config("food10_best")
    config.name = "food10_resnet18"

    config.data.image_size = 176
    config.model.update(activation="relu", input_size=160)
    stages = ((64, 1), (128, 2), (256, 2), (512, 2))
    config.model.blocks = (
        ConfigDict(dict(kind="resnet_stem", features=64)),
        *(ConfigDict(dict(kind="resnet", features=width, stride=stride, depth=2)) for width, stride in stages),
    )
    config.optimizer.update(name="adamw", learning_rate=5e-4, momentum=0.9)
    config.optimizer.rates = tuple((f"block{i}/*", 0.2) for i in (1, 2, 3))

    config.train.update(epochs=30, patience=30, ema_decay=0.99, progressive_resizing=())
    config.eval.size = 176
    return variants.apply(config, arg)
