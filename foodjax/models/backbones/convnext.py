"""ConvNeXt-Tiny in Linen (Liu et al. 2022): a residual network with the block of a vision transformer.

A depthwise convolution stands in the place of attention. The last normalisation comes after pooling.
"""

import jax
from flax import linen as nn
from jaxtyping import Array, Float

from foodjax.models.backbones.layers import Conv, Features, Learned, Mlp
from foodjax.models.layers import DropPath, Style, tap

_EPSILON = 1e-6
_NORMAL = nn.initializers.truncated_normal(0.02)
_WIDTHS = (96, 192, 384, 768)
_DEPTHS = (3, 3, 9, 3)
_PATCH = 4  # side of a patch of the stem, pixels


class ConvNeXtBlock(nn.Module):
    """Depthwise 7 x 7 convolution, layer normalisation and MLP, scaled by channel, in a residual branch.

    Attributes:
        drop_path: probability that the branch of a picture is left out in training.
    """

    drop_path: float

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], *, train: bool) -> Float[Array, "B H W C"]:
        """Maps (B, H, W, C) to the same shape."""
        y = Conv(0, 7, depthwise=True, use_bias=True, kernel_init=_NORMAL, name="conv_dw")(x)
        y = nn.LayerNorm(epsilon=_EPSILON, name="norm")(y).astype(x.dtype)
        y = Mlp(name="mlp")(y)
        y = y * Learned((x.shape[-1],), nn.initializers.constant(1e-6), name="gamma")().astype(x.dtype)
        if self.drop_path:
            y = DropPath(self.drop_path, name="drop_path")(y, train=train)
        return tap(self, "activation", x + y)


class ConvNeXtStage(nn.Module):
    """Blocks of one width; a wider one than its input halves the maps first.

    Attributes:
        width: channels.
        rates: of drop path of each block.
    """

    width: int
    rates: tuple[float, ...]

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], *, train: bool) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H, W, width), or to (B, H / 2, W / 2, width), rounded down."""
        if x.shape[-1] != self.width:
            x = nn.LayerNorm(epsilon=_EPSILON, name="downsample_0")(x).astype(x.dtype)
            x = Conv(self.width, 2, 2, True, use_bias=True, kernel_init=_NORMAL, name="downsample_1")(
                _whole_patches(x, 2)
            )
        for i, rate in enumerate(self.rates):
            x = ConvNeXtBlock(rate, name=f"blocks_{i}")(x, train=train)
        return x


def _whole_patches(x: jax.Array, side: int) -> jax.Array:
    """Returns (B, H, W, C) without the last rows and columns that fill no patch of `side` pixels."""
    height, width = (size - size % side for size in x.shape[1:3])
    return x[:, :height, :width]


class PooledNorm(nn.Module):
    """Layer normalisation of what pooling leaves."""

    @nn.compact
    def __call__(self, x: Float[Array, "B *size C"]) -> Float[Array, "B *size C"]:
        """Maps (B, C), or (B, H, W, C) where every pixel is kept, to the same shape."""
        return nn.LayerNorm(epsilon=_EPSILON, name="norm")(x).astype(x.dtype)


class ConvNeXt(nn.Module):
    """ConvNeXt-Tiny up to its last block; `head` is the normalisation after pooling.

    Attributes:
        drop_path: of the last block; it rises linearly from 0.
    """

    drop_path: float

    def setup(self):
        """Creates `head`, which the network calls after pooling: a mean of normalised pixels is another one."""
        self.head = PooledNorm()

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], style: Style, *, train: bool) -> Features:
        """Maps (B, H, W, 3) to maps (B, H / 32, W / 32, 768), rounded down."""
        x = Conv(_WIDTHS[0], _PATCH, _PATCH, True, use_bias=True, kernel_init=_NORMAL, name="stem_0")(
            _whole_patches(x, _PATCH)
        )
        x = nn.LayerNorm(epsilon=_EPSILON, name="stem_1")(x).astype(x.dtype)
        total, before = sum(_DEPTHS), 0
        for i, (width, depth) in enumerate(zip(_WIDTHS, _DEPTHS, strict=True)):
            rates = tuple(self.drop_path * (before + j) / (total - 1) for j in range(depth))
            x, before = ConvNeXtStage(width, rates, name=f"stages_{i}")(x, train=train), before + depth
        return Features(x)
