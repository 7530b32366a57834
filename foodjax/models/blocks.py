"""The kinds of block that `model.blocks` may list. Pure Linen.

A block in a config has `kind`, a key of `BLOCKS`, and the fields of that class. A new kind is a class with `size_after`
and `__call__`, an entry of `BLOCKS`, and its rules in `config.keys.BLOCK_SCHEMAS`.
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foodjax.models.layers import Conv, Dropout, Style, is_watched, tap
from foodjax.models.ops import max_pool, space_to_depth

_IMAGENET_MEAN, _IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # red, green, blue in 0..1


class ConvBlock(nn.Module):
    """Convolutions, each with normalisation and activation, then max pooling and dropout.

    Attributes:
        style: activation and normalisation.
        features: output channels of every convolution.
        kernel: side of the square kernels, in pixels.
        padding: "SAME" or "VALID" for each convolution.
        pool: side and stride of the pooling window; 1 does not pool.
        dropout: fraction of the outputs set to zero in training.
    """

    style: Style
    features: int
    kernel: int
    padding: tuple[str, ...]
    pool: int
    dropout: float

    def size_after(self, size: int) -> int:
        """Returns the side of the output for an input of `size` pixels; below 1 if nothing is left."""
        size -= (self.kernel - 1) * sum(padding == "VALID" for padding in self.padding)
        return size // self.pool if size > 0 else 0

    def _sizes(self, size: int) -> list[int]:
        """Returns how many rows (or columns) of its output each convolution computes for `size` of the input.

        What pooling drops is left out, and what only that would see. Whoever looks at the maps gets whole ones, and so
        do statistics over a map.
        """
        whole = [size]
        for padding in self.padding:
            whole.append(whole[-1] - (0 if padding == "SAME" else self.kernel - 1))
        if self.style.norm != "none" or is_watched(self):
            return whole[1:]
        useful = [whole[-1] // self.pool * self.pool]
        for padding, most in zip(self.padding[:0:-1], whole[-2:0:-1], strict=True):
            beyond = self.kernel // 2 if padding == "SAME" else self.kernel - 1
            useful.append(min(most, useful[-1] + beyond))
        return useful[::-1]

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], *, train: bool) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H', W', features)."""
        heights, widths = (self._sizes(size) for size in x.shape[1:3])
        for i, (padding, size) in enumerate(zip(self.padding, zip(heights, widths, strict=True), strict=True), start=1):
            x = Conv(self.features, self.kernel, padding, self.style.norm == "none", name=f"conv{i}")(x, size)
            x = self.style.activate(self.style.normalise(x, train=train, name=f"norm{i}"))
            x = tap(self, f"activation{i}", x)
        x = max_pool(x, self.pool)
        return Dropout(self.dropout, name="dropout")(x, train=train)


class StemBlock(nn.Module):
    """One convolution that makes the picture smaller: patches become channels, then kernel, normalisation, activation.

    Space to depth with patches of p pixels and a k x k kernel is a convolution of kernel k p and stride p.

    Attributes:
        style: activation and normalisation.
        features: output channels.
        patch: side of a patch, pixels; 1 keeps the size.
        kernel: side of the kernel, in patches.
    """

    style: Style
    features: int
    patch: int
    kernel: int

    def size_after(self, size: int) -> int:
        """Returns the side of the output for an input of `size` pixels."""
        return size // self.patch

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], *, train: bool) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H // patch, W // patch, features)."""
        x = space_to_depth(x, self.patch)
        x = Conv(self.features, self.kernel, "SAME", self.style.norm == "none", name="conv")(x)
        x = self.style.activate(self.style.normalise(x, train=train, name="norm"))
        return tap(self, "activation", x)


class ResidualBlock(nn.Module):
    """A convolution to the block's width, pooled, and a residual branch of more convolutions at that width.

    Pooling stands before normalisation and activation, which then touch a quarter of the values:

        x = f(pool(conv(x)));  x = x + f(conv(... f(conv(x)))),  f = activation after normalisation

    Attributes:
        style: activation and normalisation.
        features: output channels.
        pool: side and stride of the max pooling; 1 does not pool.
        depth: convolutions in the residual branch; 0 leaves it out.
        dropout: fraction of the outputs set to zero in training.
    """

    style: Style
    features: int
    pool: int
    depth: int
    dropout: float

    def size_after(self, size: int) -> int:
        """Returns the side of the output for an input of `size` pixels."""
        return size // self.pool

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], *, train: bool) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H // pool, W // pool, features)."""

        def layer(x, i, pool):
            x = Conv(self.features, 3, "SAME", self.style.norm == "none", name=f"conv{i}")(x)
            x = self.style.activate(self.style.normalise(max_pool(x, pool), train=train, name=f"norm{i}"))
            return tap(self, f"activation{i}", x)

        x = branch = layer(x, 1, self.pool)
        for i in range(2, self.depth + 2):
            branch = layer(branch, i, 1)
        x = x + branch if self.depth else x
        return Dropout(self.dropout, name="dropout")(x, train=train)


class ResNetStem(nn.Module):
    """The first layers of ResNet: 7 x 7 convolution with stride 2, then 3 x 3 max pooling with stride 2.

    Pictures are first standardised with the mean and deviation of ImageNet's channels, as its networks expect.

    Attributes:
        style: activation and normalisation.
        features: output channels.
    """

    style: Style
    features: int

    def size_after(self, size: int) -> int:
        """Returns the side of the output for an input of `size` pixels."""
        return _halved(_halved(size))

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], *, train: bool) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, 3) to (B, H / 4, W / 4, features), halves rounded up."""
        x = (x - jnp.array(_IMAGENET_MEAN, x.dtype)) / jnp.array(_IMAGENET_DEVIATION, x.dtype)
        x = nn.Conv(self.features, (7, 7), 2, ((3, 3), (3, 3)), use_bias=self.style.norm == "none", name="conv")(x)
        x = tap(self, "activation", self.style.activate(self.style.normalise(x, train=train, name="norm")))
        return nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))  # pyright: ignore[reportArgumentType]


class ResNetStage(nn.Module):
    """Basic blocks of ResNet: two 3 x 3 convolutions beside a shortcut (He et al. 2016, figure 5, left).

    Attributes:
        style: activation and normalisation.
        features: output channels.
        stride: of the first block: 1 or 2.
        depth: how many blocks.
    """

    style: Style
    features: int
    stride: int
    depth: int

    def size_after(self, size: int) -> int:
        """Returns the side of the output for an input of `size` pixels."""
        return -(-size // self.stride)

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], *, train: bool) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H / stride, W / stride, features), rounded up."""

        def layer(x, name, kernel, stride):
            pad = (kernel // 2, kernel // 2)
            bias = self.style.norm == "none"
            conv = nn.Conv(self.features, (kernel, kernel), stride, (pad, pad), use_bias=bias, name=f"conv{name}")
            return self.style.normalise(conv(x), train=train, name=f"norm{name}")

        for i in range(1, self.depth + 1):
            stride = self.stride if i == 1 else 1
            branch = self.style.activate(layer(x, f"{i}_1", 3, stride))
            branch = layer(branch, f"{i}_2", 3, 1)
            x = x if x.shape == branch.shape else layer(x, f"{i}_shortcut", 1, stride)
            x = tap(self, f"activation{i}", self.style.activate(x + branch))
        return x


def _halved(size: int) -> int:
    return -(-size // 2)


BLOCKS: dict[str, Any] = {
    "conv": ConvBlock,
    "stem": StemBlock,
    "residual": ResidualBlock,
    "resnet_stem": ResNetStem,
    "resnet": ResNetStage,
}
