"""Layers of the blocks in Linen: convolution, dropout, shared activation and normalisation, recorded feature maps."""

import dataclasses
from collections.abc import Sequence

import jax
from flax import linen as nn
from jaxtyping import Array, Float

from foodjax.models.convolution import conv
from foodjax.models.ops import add_bias, drop_path, dropout

HEAD = "logits"  # the last layer of every network: its name among the parameters
_ACTIVATIONS = {"relu": nn.relu, "gelu": nn.gelu, "silu": nn.silu}


@dataclasses.dataclass(frozen=True)
class Style:
    """Activation and normalisation, shared by all layers of a network.

    Attributes:
        activation: relu, gelu (its tanh form) or silu.
        norm: none, batch (over the global batch, on all devices) or group.
        norm_momentum: share of its running mean and variance that batch normalisation keeps in a step.
        norm_groups: number of groups of group normalisation.
        frozen: batch normalisation uses its running mean and variance in training too, and does not update them.
    """

    activation: str
    norm: str
    norm_momentum: float
    norm_groups: int
    frozen: bool = False

    def activate(self, x: jax.Array) -> jax.Array:
        """Applies the activation."""
        return _ACTIVATIONS[self.activation](x)

    def normalise(self, x: jax.Array, *, train: bool, name: str) -> jax.Array:
        """Normalises (B, H, W, C); call it inside a compact method, whose module owns the layer."""
        if self.norm == "batch":
            running = self.frozen or not train
            return nn.BatchNorm(running, momentum=self.norm_momentum, dtype=x.dtype, name=name)(x)
        if self.norm == "group":
            return nn.GroupNorm(self.norm_groups, dtype=x.dtype, name=name)(x)
        return x


class Conv(nn.Module):
    """A convolution with stride 1, with the parameters of `flax.linen.Conv`.

    Attributes:
        features: output channels.
        kernel: side of the square kernel, in pixels.
        padding: "SAME" or "VALID".
        use_bias: False if a normalisation follows, since it adds a bias itself.
    """

    features: int
    kernel: int
    padding: str
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], size: tuple[int, int] | None = None) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H', W', features), H' = H (SAME) or H - kernel + 1 (VALID), or the first `size`."""
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), shape)
        y = conv(x, kernel.astype(x.dtype), self.padding, size)
        if not self.use_bias:
            return y
        return add_bias(y, self.param("bias", nn.initializers.zeros, (self.features,)).astype(x.dtype))


class SqueezeExcite(nn.Module):
    """Weighs channels by what the whole picture holds (Hu et al. 2018): x * sigmoid(W2 relu(W1 mean(x))).

    Attributes:
        reduction: channels for each hidden unit; there is at least one.
    """

    reduction: int

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
        """Maps (B, H, W, C) to the same shape."""
        channels, init = x.shape[-1], nn.initializers.glorot_uniform()
        squeeze = nn.Dense(max(channels // self.reduction, 1), dtype=x.dtype, kernel_init=init, name="squeeze")
        excite = nn.Dense(channels, dtype=x.dtype, kernel_init=init, name="excite")
        weights = nn.sigmoid(excite(nn.relu(squeeze(x.mean((1, 2))))))  # (B, C)
        return x * weights[:, None, None, :]


class Dropout(nn.Module):
    """Dropout with the random numbers of `ops.dropout`.

    Attributes:
        rate: fraction of the entries set to zero in training.
    """

    rate: float

    @nn.compact
    def __call__(self, x: Float[Array, "..."], *, train: bool) -> Float[Array, "..."]:
        """Maps any shape to the same."""
        return dropout(x, self.rate, self.make_rng("dropout")) if train and self.rate else x


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): drops a residual branch for some pictures of a batch.

    Attributes:
        rate: fraction of the pictures whose branch is zero in training; the branches of the others are divided by
            1 - rate, which keeps the mean.
    """

    rate: float

    @nn.compact
    def __call__(self, x: Float[Array, "B ..."], *, train: bool) -> Float[Array, "B ..."]:
        """Maps the output of a branch, (B, ...), to the same shape."""
        return drop_path(x, self.rate, self.make_rng("dropout")) if train and self.rate else x


def drop_path_rates(rate: float, branches: Sequence[int]) -> tuple[tuple[float, ...], ...]:
    """Returns the rate of each residual branch: i / L of `rate` for branch i of L, counted from 1.

    Args:
        rate: of the last branch.
        branches: number of branches of each block, first to last.

    Example:
        >>> drop_path_rates(0.5, [1, 0, 3])
        ((0.125,), (), (0.25, 0.375, 0.5))
    """
    total, before, found = sum(branches), 0, []
    for count in branches:
        found.append(tuple(rate * i / total for i in range(before + 1, before + count + 1)))
        before += count
    return tuple(found)


def tap(module: nn.Module, name: str, x: jax.Array) -> jax.Array:
    """Records feature maps and their gradients for `report.explain`; returns `x` and costs a training step nothing.

    Every activation after a convolution is recorded, so that explanations work for any architecture.

    Args:
        module: the module that computes the maps.
        name: their name within the module.
        x: feature maps (B, H, W, C), after the activation.
    """
    module.sow("maps", name, x)
    return module.perturb(name, x)


def is_watched(module: nn.Module, name: str) -> bool:
    """Returns whether the module is being initialised or the feature maps of its tap `name` are recorded."""
    watched = any(module.is_mutable_collection(name) for name in ("intermediates", "maps", "perturbations"))
    return watched or module.has_variable("perturbations", name) or module.is_initializing()
