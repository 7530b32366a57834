"""EfficientNet-Lite0 to 2 in Linen: EfficientNet (Tan and Le 2019) without squeeze and excitation, with ReLU6.

Stem and head are not scaled with the width, the first and the last stage not with the depth.
"""

import math

from flax import linen as nn
from jaxtyping import Array, Float

from foodjax.models.backbones.layers import BatchNorm, Conv, Features
from foodjax.models.layers import DropPath, Style, tap

# kernel, stride, expansion, features, depth of each stage of Lite0
_STAGES = (
    (3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)  # fmt: skip
_SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))  # factors of width and depth of Lite0, 1 and 2
_STEM, _HEAD = 32, 1280


def stages(number: int) -> list[tuple[int, int, int, int, int]]:
    """Returns kernel, stride, expansion, features and depth of each stage of Lite `number`."""
    width, depth = _SCALES[number]
    last = len(_STAGES) - 1
    return [
        (k, stride, expansion, _rounded(features * width), n if i in (0, last) else math.ceil(n * depth))
        for i, (k, stride, expansion, features, n) in enumerate(_STAGES)
    ]


def _rounded(features: float) -> int:
    """Returns the nearest multiple of 8, unless that is more than a tenth below: then the next one."""
    found = max(8, int(features + 4) // 8 * 8)
    return found + 8 if found < 0.9 * features else found


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and projection, beside a shortcut where the shape stays (Sandler et al. 2018).

    Attributes:
        kernel: side of the depthwise kernel, pixels.
        stride: of the depthwise convolution, pixels.
        expansion: hidden channels for each input channel; 1 has no expansion.
        features: output channels.
        tf: padding and epsilon of TensorFlow's networks.
        drop_path: probability that the branch of a picture is left out in training.
    """

    kernel: int
    stride: int
    expansion: int
    features: int
    tf: bool
    drop_path: float

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], style: Style, *, train: bool) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H / stride, W / stride, features), rounded up."""
        epsilon, shortcut, number = _epsilon(self.tf), x, 1
        if self.expansion > 1:
            x = Conv(x.shape[-1] * self.expansion, 1, name="conv_pw")(x)
            x, number = BatchNorm(epsilon, "relu6", name="bn1")(x, style, train=train), 2
        x = Conv(0, self.kernel, self.stride, self.tf, depthwise=True, name="conv_dw")(x)
        x = BatchNorm(epsilon, "relu6", name=f"bn{number}")(x, style, train=train)
        x = tap(self, "activation", x)
        x = Conv(self.features, 1, name="conv_pwl" if self.expansion > 1 else "conv_pw")(x)
        x = BatchNorm(epsilon, name=f"bn{number + 1}")(x, style, train=train)
        if x.shape != shortcut.shape:
            return x
        return shortcut + (DropPath(self.drop_path, name="drop_path")(x, train=train) if self.drop_path else x)


def _epsilon(tf: bool) -> float:
    return 1e-3 if tf else 1e-5


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite up to its last activation.

    Attributes:
        number: 0, 1 or 2.
        tf: padding and epsilon of TensorFlow's networks.
        drop_path: of the last block; it rises linearly from 0.
    """

    number: int
    tf: bool
    drop_path: float

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], style: Style, *, train: bool) -> Features:
        """Maps (B, H, W, 3) to maps (B, H / 32, W / 32, 1280), rounded up."""
        epsilon, listed = _epsilon(self.tf), stages(self.number)
        x = Conv(_STEM, 3, 2, self.tf, name="conv_stem")(x)
        x = tap(self, "activation", BatchNorm(epsilon, "relu6", name="bn1")(x, style, train=train))
        total, before = sum(depth for *_, depth in listed), 0
        for i, (kernel, stride, expansion, features, depth) in enumerate(listed):
            for j in range(depth):
                rate = self.drop_path * before / (total - 1)
                block = InvertedResidual(
                    kernel, stride if j == 0 else 1, expansion, features, self.tf, rate, name=f"blocks_{i}_{j}"
                )
                x, before = block(x, style, train=train), before + 1
        x = Conv(_HEAD, 1, name="conv_head")(x)
        return Features(tap(self, "activation_head", BatchNorm(epsilon, "relu6", name="bn2")(x, style, train=train)))
