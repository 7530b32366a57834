"""ResNet-18, 34 and 50 in Linen (He et al. 2016), with the stride in the 3 x 3 convolution of a bottleneck."""

from flax import linen as nn
from jaxtyping import Array, Float

from foodjax.models.backbones.layers import BatchNorm, Conv, Features
from foodjax.models.layers import DropPath, Style, tap

_EPSILON = 1e-5
_WIDTHS = (64, 128, 256, 512)
DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
_EXPANSION = 4  # output channels of a bottleneck for each of its 3 x 3 convolution


class ResNetBlock(nn.Module):
    """A basic block or a bottleneck, beside a shortcut.

    Attributes:
        width: channels of its 3 x 3 convolutions.
        stride: pixels.
        bottleneck: 1 x 1, 3 x 3 and 1 x 1 convolutions; False: two of 3 x 3.
        drop_path: probability that the branch of a picture is left out in training.
    """

    width: int
    stride: int
    bottleneck: bool
    drop_path: float

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], style: Style, *, train: bool) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H / stride, W / stride, F), rounded up."""
        features = self.width * (_EXPANSION if self.bottleneck else 1)
        if self.bottleneck:
            layers = ((self.width, 1, 1), (self.width, 3, self.stride), (features, 1, 1))
        else:
            layers = ((self.width, 3, self.stride), (self.width, 3, 1))
        branch = x
        for i, (channels, kernel, stride) in enumerate(layers, start=1):
            branch = Conv(channels, kernel, stride, name=f"conv{i}")(branch)
            activation = "relu" if i < len(layers) else "none"
            branch = BatchNorm(_EPSILON, activation, name=f"bn{i}")(branch, style, train=train)
        if x.shape != branch.shape:
            x = Conv(features, 1, self.stride, name="downsample_0")(x)
            x = BatchNorm(_EPSILON, name="downsample_1")(x, style, train=train)
        if self.drop_path:
            branch = DropPath(self.drop_path, name="drop_path")(branch, train=train)
        return tap(self, "activation", nn.relu(x + branch))


class ResNet(nn.Module):
    """ResNet up to its last activation.

    Attributes:
        depth: 18, 34 or 50 layers.
        drop_path: of the last block; it rises linearly from 0.
    """

    depth: int
    drop_path: float

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], style: Style, *, train: bool) -> Features:
        """Maps (B, H, W, 3) to maps (B, H / 32, W / 32, F), rounded up; F is 512, of ResNet-50 2048."""
        x = Conv(_WIDTHS[0], 7, 2, name="conv1")(x)
        x = tap(self, "activation", BatchNorm(_EPSILON, "relu", name="bn1")(x, style, train=train))
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))  # pyright: ignore[reportArgumentType]
        depths = DEPTHS[self.depth]
        total, before = sum(depths), 0
        for i, (width, depth) in enumerate(zip(_WIDTHS, depths, strict=True), start=1):
            for j in range(depth):
                stride, rate = 2 if i > 1 and j == 0 else 1, self.drop_path * before / (total - 1)
                block = ResNetBlock(width, stride, self.depth >= 50, rate, name=f"layer{i}_{j}")
                x, before = block(x, style, train=train), before + 1
        return Features(x)
