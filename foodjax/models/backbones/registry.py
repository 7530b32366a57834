"""Creates a backbone by its name; config/backbones.py has the names and the pictures that each expects."""

from typing import Any

from foodjax.models.backbones.convnext import ConvNeXt
from foodjax.models.backbones.efficientnet_lite import EfficientNetLite
from foodjax.models.backbones.resnet import ResNet
from foodjax.models.backbones.vit import VisionTransformer

NAME = "backbone"  # of the module, and of its part of the parameters


def create_backbone(architecture: str, drop_path: float) -> Any:
    """Returns the module of a backbone, called as `(x, style, train=)`, which returns `layers.Features`.

    One that `has_pooled_norm` has it as the module `head`, which maps what pooling leaves to the same shape.

    Args:
        architecture: its name, a key of BACKBONES.
        drop_path: probability that the last residual branch of a picture is left out in training; it rises linearly
            from 0 at the first.
    """
    if architecture.startswith("resnet"):
        return ResNet(int(architecture.removeprefix("resnet")), drop_path, name=NAME)
    if "efficientnet_lite" in architecture:
        return EfficientNetLite(int(architecture[-1]), architecture.startswith("tf_"), drop_path, name=NAME)
    if architecture == "convnext_tiny":
        return ConvNeXt(drop_path, name=NAME)
    dinov2 = architecture.endswith("dinov2")
    patch = 14 if dinov2 else 16
    return VisionTransformer(patch, 384, 12, 6, dinov2, drop_path, name=NAME)


def groups(architecture: str) -> tuple[tuple[str, ...], ...]:
    """Returns the layers of a backbone from the stem on, in groups that learn at one rate, as patterns of their paths.

    A group is the stem, a stage of a convolutional network, or a block of a transformer. The last layers join the last.

    Args:
        architecture: its name, a key of BACKBONES.
    """
    if architecture.startswith("resnet"):
        stem, stages, last = ("conv1", "bn1"), [f"layer{i}_*" for i in range(1, 5)], ()
    elif "efficientnet_lite" in architecture:
        stem, stages, last = ("conv_stem", "bn1"), [f"blocks_{i}_*" for i in range(7)], ("conv_head", "bn2")
    elif architecture == "convnext_tiny":
        stem, stages, last = ("stem_0", "stem_1"), [f"stages_{i}" for i in range(4)], ("head",)
    else:
        stem, stages, last = ("patch_embed", "cls_token", "pos_embed"), [f"blocks_{i}" for i in range(12)], ("norm",)
    listed = [stem, *((stage,) for stage in stages)]
    listed[-1] += last
    return tuple(tuple(f"{NAME}/{layer}/*" for layer in group) for group in listed)
