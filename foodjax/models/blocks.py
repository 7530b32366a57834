"""The blocks of a network, in Linen: one module for each kind of config/blocks.py.

A block has the attribute `spec`, the fields of its kind; one with residual branches also has `drop_path`, their rates
of stochastic depth. Its call takes the style that all blocks share.
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foodjax.config import blocks as specs
from foodjax.config.backbones import IMAGENET
from foodjax.models.layers import Conv, Dropout, DropPath, SqueezeExcite, Style, is_watched, tap
from foodjax.models.ops import max_pool, space_to_depth


class ConvBlock(nn.Module):
    """Convolutions, each with normalisation and activation, then max pooling and dropout.

    Attributes:
        spec: the fields of the block.
    """

    spec: specs.Conv

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], style: Style, *, train: bool) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H', W', features)."""
        spec, whole = self.spec, style.norm != "none" or is_watched(self, "activation1")
        heights, widths = (_useful_sizes(spec, size, whole) for size in x.shape[1:3])
        bias, relu = style.norm == "none", style.norm == "none" and style.activation == "relu"
        # ReLU and the maximum may change places: of the last maps, only what pooling keeps is then stored.
        pools = [1] * len(spec.padding)
        if relu and not whole:
            pools[-1] = spec.pool
        sizes = zip(heights, widths, strict=True)
        for i, (padding, size, pool) in enumerate(zip(spec.padding, sizes, pools, strict=True), start=1):
            x = Conv(spec.features, spec.kernel, padding, bias, pool, relu, name=f"conv{i}")(x, size)
            x = x if relu else style.activate(style.normalise(x, train=train, name=f"norm{i}"))
            x = tap(self, f"activation{i}", x)
        x = max_pool(x, spec.pool // pools[-1])
        return Dropout(spec.dropout, name="dropout")(x, train=train)


def _useful_sizes(spec: specs.Conv, size: int, whole: bool) -> list[int]:
    """Returns the number of output rows (or columns) that each convolution computes for an input of `size`.

    Rows that pooling drops are left out, and so are rows that only those depend on. `whole` computes all rows, for
    feature maps that are recorded, or normalised with statistics over all pixels.
    """
    sizes = [size]
    for padding in spec.padding:
        sizes.append(sizes[-1] - (0 if padding == "SAME" else spec.kernel - 1))
    if whole:
        return sizes[1:]
    useful = [sizes[-1] // spec.pool * spec.pool]
    for padding, most in zip(spec.padding[:0:-1], sizes[-2:0:-1], strict=True):
        beyond = spec.kernel // 2 if padding == "SAME" else spec.kernel - 1
        useful.append(min(most, useful[-1] + beyond))
    return useful[::-1]


class StemBlock(nn.Module):
    """One convolution that makes the picture smaller: patches become channels, then kernel, normalisation, activation.

    Space to depth with patches of p pixels and a k x k kernel is a convolution of kernel k p and stride p.

    Attributes:
        spec: the fields of the block.
    """

    spec: specs.Stem

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], style: Style, *, train: bool) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H // patch, W // patch, features)."""
        x = space_to_depth(x, self.spec.patch)
        x = Conv(self.spec.features, self.spec.kernel, "SAME", style.norm == "none", name="conv")(x)
        x = style.activate(style.normalise(x, train=train, name="norm"))
        return tap(self, "activation", x)


class ResidualBlock(nn.Module):
    """A convolution with pooling, then a residual branch of more convolutions, all with the block's features.

    Pooling comes before normalisation and activation, which then process a quarter of the values:

        x = f(pool(conv(x)));  x = x + f(conv(... f(conv(x)))),  f = activation after normalisation

    With `squeeze` the channels of the branch are weighed by squeeze and excitation; without a branch, those of x.

    Attributes:
        spec: the fields of the block.
        drop_path: rate of stochastic depth of the branch; () for none.
    """

    spec: specs.Residual
    drop_path: tuple[float, ...] = ()

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], style: Style, *, train: bool) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H // pool, W // pool, features)."""
        spec = self.spec

        def layer(x, i, pool):
            x = Conv(spec.features, 3, "SAME", style.norm == "none", name=f"conv{i}")(x)
            x = style.activate(style.normalise(max_pool(x, pool), train=train, name=f"norm{i}"))
            return tap(self, f"activation{i}", x)

        x = branch = layer(x, 1, spec.pool)
        for i in range(2, spec.depth + 2):
            branch = layer(branch, i, 1)
        branch = SqueezeExcite(spec.squeeze, name="squeeze_excite")(branch) if spec.squeeze else branch
        for rate in self.drop_path:
            branch = DropPath(rate, name="drop_path")(branch, train=train)
        x = x + branch if spec.depth else branch
        return Dropout(spec.dropout, name="dropout")(x, train=train)


class ResNetStem(nn.Module):
    """The first layers of ResNet: 7 x 7 convolution with stride 2, then 3 x 3 max pooling with stride 2.

    Pictures are first standardised with the mean and deviation of ImageNet's channels, as its networks expect.

    Attributes:
        spec: the fields of the block.
    """

    spec: specs.ResNetStem

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], style: Style, *, train: bool) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, 3) to (B, H / 4, W / 4, features), halves rounded up."""
        mean, deviation = (jnp.array(values, x.dtype) for values in IMAGENET)
        x = (x - mean) / deviation
        pads, bias = ((3, 3), (3, 3)), style.norm == "none"
        x = nn.Conv(self.spec.features, (7, 7), 2, pads, use_bias=bias, dtype=x.dtype, name="conv")(x)
        x = tap(self, "activation", style.activate(style.normalise(x, train=train, name="norm")))
        return nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))  # pyright: ignore[reportArgumentType]


class ResNetStage(nn.Module):
    """Basic blocks of ResNet: two 3 x 3 convolutions beside a shortcut (He et al. 2016, figure 5, left).

    Attributes:
        spec: the fields of the block.
        drop_path: rate of stochastic depth of each basic block; () for none.
    """

    spec: specs.ResNetStage
    drop_path: tuple[float, ...] = ()

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], style: Style, *, train: bool) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H / stride, W / stride, features), rounded up."""
        spec = self.spec

        def layer(x, name, kernel, stride):
            pad = (kernel // 2, kernel // 2)
            bias = style.norm == "none"
            conv = nn.Conv(
                spec.features, (kernel, kernel), stride, (pad, pad), use_bias=bias, dtype=x.dtype, name=f"conv{name}"
            )
            return style.normalise(conv(x), train=train, name=f"norm{name}")

        for i in range(1, spec.depth + 1):
            stride = spec.stride if i == 1 else 1
            branch = style.activate(layer(x, f"{i}_1", 3, stride))
            branch = layer(branch, f"{i}_2", 3, 1)
            if self.drop_path:
                branch = DropPath(self.drop_path[i - 1], name=f"drop_path{i}")(branch, train=train)
            x = x if x.shape == branch.shape else layer(x, f"{i}_shortcut", 1, stride)
            x = tap(self, f"activation{i}", style.activate(x + branch))
        return x


LAYERS: dict[type[specs.Block], Any] = {
    specs.Conv: ConvBlock,
    specs.Stem: StemBlock,
    specs.Residual: ResidualBlock,
    specs.ResNetStem: ResNetStem,
    specs.ResNetStage: ResNetStage,
}


def create_block(spec: specs.Block, name: str, drop_path: tuple[float, ...] = ()) -> Any:
    """Returns the module of a block.

    Args:
        spec: the fields of the block.
        name: of the module.
        drop_path: rate of stochastic depth of each of its residual branches; () or zeros for none.
    """
    options = {"drop_path": drop_path} if any(drop_path) else {}
    return LAYERS[type(spec)](spec, **options, name=name)
