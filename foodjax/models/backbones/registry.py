"""Creates a backbone by its name; config/backbones.py has the names and the pictures that each expects."""

from typing import Any

from foodjax.models.backbones.efficientnet_lite import EfficientNetLite
from foodjax.models.backbones.resnet import ResNet
from foodjax.models.backbones.vit import VisionTransformer

NAME = "backbone"  # of the module, and of its part of the parameters


def create_backbone(architecture: str, drop_path: float) -> Any:
    """Returns the module of a backbone, called as `(x, style, train=)`, which returns `layers.Features`.

    Args:
        architecture: its name, a key of BACKBONES.
        drop_path: probability that the last residual branch of a picture is left out in training; it rises linearly
            from 0 at the first.
    """
    if architecture.startswith("resnet"):
        return ResNet(int(architecture.removeprefix("resnet")), drop_path, name=NAME)
    if "efficientnet_lite" in architecture:
        return EfficientNetLite(int(architecture[-1]), architecture.startswith("tf_"), drop_path, name=NAME)
    dinov2 = architecture.endswith("dinov2")
    patch = 14 if dinov2 else 16
    return VisionTransformer(patch, 384, 12, 6, dinov2, drop_path, name=NAME)
