"""The kinds of block that `model.blocks` may list, and the parts they are made of. Pure Linen.

A block in a config has `kind`, a key of `BLOCKS`, and the fields of that class. A new kind is a class with `size_after`
and `__call__`, an entry of `BLOCKS`, and its rules in `foodjax.config.BLOCK_SCHEMAS`.
"""

import dataclasses
from typing import Any

import jax
from flax import linen as nn
from jaxtyping import Array, Float

from foodjax.ops import conv, max_pool, space_to_depth

_ACTIVATIONS = {"relu": nn.relu, "gelu": nn.gelu, "silu": nn.silu}


@dataclasses.dataclass(frozen=True)
class Style:
    """What all layers of a network share.

    Attributes:
        activation: relu, gelu (its tanh form) or silu.
        norm: none, batch (over the global batch, on all devices) or group.
        norm_momentum: of batch normalisation: how much of its running mean and variance a step keeps.
        norm_groups: of group normalisation.
    """

    activation: str
    norm: str
    norm_momentum: float
    norm_groups: int

    def activate(self, x: jax.Array) -> jax.Array:
        """Applies the activation."""
        return _ACTIVATIONS[self.activation](x)

    def normalise(self, x: jax.Array, *, train: bool, name: str) -> jax.Array:
        """Normalises (B, H, W, C); to be called inside a compact method, whose module owns the layer."""
        if self.norm == "batch":
            return nn.BatchNorm(use_running_average=not train, momentum=self.norm_momentum, name=name)(x)
        if self.norm == "group":
            return nn.GroupNorm(self.norm_groups, name=name)(x)
        return x


class Conv(nn.Module):
    """A convolution with stride 1, with the parameters of `flax.linen.Conv`.

    Attributes:
        features: output channels.
        kernel: side of the square kernel, in pixels.
        padding: "SAME" or "VALID".
        use_bias: False where a normalisation follows, whose own bias does the same.
    """

    features: int
    kernel: int
    padding: str
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H', W', features), H' = H (SAME) or H - kernel + 1 (VALID)."""
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), shape)
        y = conv(x, kernel, self.padding)
        return y + self.param("bias", nn.initializers.zeros, (self.features,)) if self.use_bias else y


def tap(module: nn.Module, name: str, x: jax.Array) -> jax.Array:
    """Lets `foodjax.report.explain` see feature maps and their gradients; returns `x` and costs a step nothing.

    Every convolution's activation passes here, so that pictures can be made of any architecture.

    Args:
        module: whose maps they are.
        name: their name within the module.
        x: feature maps (B, H, W, C), after the activation.
    """
    module.sow("maps", name, x)
    return module.perturb(name, x)


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

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], *, train: bool) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H', W', features)."""
        for i, padding in enumerate(self.padding, start=1):
            x = Conv(self.features, self.kernel, padding, self.style.norm == "none", name=f"conv{i}")(x)
            x = self.style.activate(self.style.normalise(x, train=train, name=f"norm{i}"))
            x = tap(self, f"activation{i}", x)
        x = max_pool(x, self.pool)
        return nn.Dropout(self.dropout, deterministic=not train, name="dropout")(x)


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
        return nn.Dropout(self.dropout, deterministic=not train, name="dropout")(x)


BLOCKS: dict[str, Any] = {"conv": ConvBlock, "stem": StemBlock, "residual": ResidualBlock}
