"""Backbones that `model.backbone` may name, and the pictures that each was trained on. Their layers: models/backbones/.

A name without "tf_" pads as PyTorch does, alike on both sides; with it, as TensorFlow's SAME. Names are timm's.
"""

from typing import NamedTuple

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and deviation of red, green and blue in 0..1
_HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


class Expects(NamedTuple):
    """The pictures that a backbone was trained on.

    Attributes:
        weights: on the hub, as `model.init_from` has it; "" where timm has none.
        size: side, pixels.
        mean: of red, green and blue in 0..1, which is subtracted from a picture.
        deviation: by which the difference is divided.
        stride: pixels of the picture for each of the last feature map.
        divides: whether the side must be a multiple of `stride`.
        rounds_down: the last feature map has side / `stride` pixels rounded down; False: up.
        has_token: it has a class token, for `model.head.pooling=token`.
        has_pooled_norm: it normalises what pooling leaves of its maps.
    """

    weights: str
    size: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    stride: int = 32
    divides: bool = False
    rounds_down: bool = False
    has_token: bool = False
    has_pooled_norm: bool = False

    def size_after(self, size: int) -> int:
        """Returns the side of the last feature map, given that of the pictures, pixels."""
        return size // self.stride if self.rounds_down else -(-size // self.stride)


BACKBONES: dict[str, Expects] = {
    "resnet18": Expects("hf://timm/resnet18.a1_in1k", 224, *IMAGENET),
    "resnet34": Expects("hf://timm/resnet34.a1_in1k", 224, *IMAGENET),
    "resnet50": Expects("hf://timm/resnet50.a1_in1k", 224, *IMAGENET),
    "efficientnet_lite0": Expects("hf://timm/efficientnet_lite0.ra_in1k", 224, *IMAGENET),
    "efficientnet_lite1": Expects("", 240, *IMAGENET),
    "efficientnet_lite2": Expects("", 260, *IMAGENET),
    "tf_efficientnet_lite0": Expects("hf://timm/tf_efficientnet_lite0.in1k", 224, *_HALF),
    "tf_efficientnet_lite1": Expects("hf://timm/tf_efficientnet_lite1.in1k", 240, *_HALF),
    "tf_efficientnet_lite2": Expects("hf://timm/tf_efficientnet_lite2.in1k", 260, *_HALF),
    "convnext_tiny": Expects(
        "hf://timm/convnext_tiny.in12k_ft_in1k", 224, *IMAGENET, rounds_down=True, has_pooled_norm=True
    ),
    "vit_small_patch16_224": Expects(
        "hf://timm/vit_small_patch16_224.augreg_in21k_ft_in1k", 224, *_HALF, stride=16, divides=True, has_token=True
    ),
    "vit_small_patch14_dinov2": Expects(
        "hf://timm/vit_small_patch14_dinov2.lvd142m", 518, *IMAGENET, stride=14, divides=True, has_token=True
    ),
}
