"""Batch normalisation in training mode, with the activation after it.

On CPU, XLA's sums over pixels run on one core, channel by channel. Here most pixels are added up in loops over channels
on all cores, and a matrix product adds up the rest: four to eight times as fast, forward and backward together. The
gradient computes the activation's slope again from x, so that a step stores nothing else of that size. Accelerators use
the plain form. Source: Ioffe and Szegedy, "Batch Normalization" (2015), section 3.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from foodjax.models.forms import by_platform

# Pixels that one loop adds up. More of them cost compilation and no less time.
_PIXELS = 16
_LIMITS = {"none": (-jnp.inf, jnp.inf), "relu": (0, jnp.inf), "relu6": (0, 6)}


def batch_norm_train(
    x: Float[Array, "B H W C"],
    scale: Float[Array, "C"],
    bias: Float[Array, "C"],
    epsilon: float,
    activation: str = "none",
) -> tuple[Float[Array, "B H W C"], Float[Array, "C"], Float[Array, "C"]]:
    """Normalises each channel with its mean and variance over the batch, and limits the result.

    y = activation(scale * (x - mean) / sqrt(var + epsilon) + bias)

    Args:
        x: (B, H, W, C).
        scale: (C,).
        bias: (C,).
        epsilon: added to the variance.
        activation: none, relu or relu6.

    Returns:
        y (B, H, W, C), the means (C,) and the variances (C,). The variances divide by the number of pixels B H W.
    """
    return by_platform(
        x,
        scale,
        bias,
        cpu=functools.partial(summed_batch_norm, epsilon=epsilon, activation=activation),
        default=functools.partial(plain_batch_norm, epsilon=epsilon, activation=activation),
    )


def plain_batch_norm(
    x: Float[Array, "B H W C"], scale: Float[Array, "C"], bias: Float[Array, "C"], epsilon: float, activation: str
) -> tuple[Float[Array, "B H W C"], Float[Array, "C"], Float[Array, "C"]]:
    """Normalises as `batch_norm_train` does, with XLA's own sums."""
    mean = x.mean((0, 1, 2))
    var = jnp.square(x - mean).mean((0, 1, 2))
    y = (x - mean) * (scale * lax.rsqrt(var + epsilon)) + bias
    return jnp.clip(y, *_LIMITS[activation]), mean, var


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def summed_batch_norm(
    x: Float[Array, "B H W C"], scale: Float[Array, "C"], bias: Float[Array, "C"], epsilon: float, activation: str
) -> tuple[Float[Array, "B H W C"], Float[Array, "C"], Float[Array, "C"]]:
    """Normalises as `batch_norm_train` does, with sums on all cores."""
    return _fwd(x, scale, bias, epsilon, activation)[0]


def _fwd(x, scale, bias, epsilon, activation):
    pixels = x.reshape(-1, x.shape[-1])
    # The mean of a few pixels is near enough to the mean for the difference of two sums to keep its digits.
    near = pixels[:_PIXELS].mean(0)
    shift = _sum(lambda x: x - near, pixels) / len(pixels)
    var = jnp.maximum(_sum(lambda x: jnp.square(x - near), pixels) / len(pixels) - jnp.square(shift), 0)
    mean = near + shift
    inverse = lax.rsqrt(var + epsilon)
    y = _clip((x - mean) * (scale * inverse) + bias, activation)
    return (y, mean, var), (x, mean, inverse, scale, bias)


def _clip(y, activation):
    low, high = _LIMITS[activation]
    y = y if low == -jnp.inf else jnp.maximum(y, low)
    return y if high == jnp.inf else jnp.minimum(y, high)


def _bwd(epsilon, activation, residuals, gradients):
    del epsilon
    x, mean, inverse, scale, bias = residuals
    gradient, of_mean, of_var = gradients

    def gate(g, x):
        if activation == "none":
            return g
        y = (x - mean) * (scale * inverse) + bias
        # A product with 0 or 1: of a choice between g and 0 LLVM makes masked loads, which take three times as long.
        inside = y * (6 - y) if activation == "relu6" else y
        return g * jnp.minimum(jnp.maximum(inside * jnp.finfo(y.dtype).max, 0), 1)

    pixels = [array.reshape(-1, x.shape[-1]) for array in (gradient, x)]
    d_bias = _sum(gate, *pixels)
    d_scale = _sum(lambda g, x: gate(g, x) * (x - mean), *pixels) * inverse
    constant = (of_mean - scale * inverse * d_bias) / len(pixels[0])
    slope = (2 * of_var - scale * jnp.square(inverse) * d_scale) / len(pixels[0])
    return gate(gradient, x) * (scale * inverse) + (x - mean) * slope + constant, d_scale, d_bias


summed_batch_norm.defvjp(_fwd, _bwd)


def scale_and_shift(
    x: Float[Array, "B H W C"], factor: Float[Array, "C"], shift: Float[Array, "C"]
) -> Float[Array, "B H W C"]:
    """Returns x * factor + shift by channel: batch normalisation with statistics that are given.

    Args:
        x: (B, H, W, C).
        factor: (C,).
        shift: (C,).
    """
    return by_platform(x, factor, shift, cpu=_summed_scale_and_shift, default=_scale_and_shift)


def _scale_and_shift(x, factor, shift):
    return x * factor + shift


_summed_scale_and_shift = jax.custom_vjp(_scale_and_shift)


def _scale_and_shift_bwd(residuals, gradient):
    x, factor = residuals
    pixels, channels = gradient.reshape(-1, gradient.shape[-1]), x.shape[-1]
    of_factor = _sum(lambda g, x: g * x, pixels, x.reshape(-1, channels))
    return gradient * factor, of_factor, _sum(lambda g: g, pixels)


_summed_scale_and_shift.defvjp(lambda x, factor, shift: (x * factor + shift, (x, factor)), _scale_and_shift_bwd)


def _sum(term, *arrays):
    """Returns the sum over all pixels of term(pixel of each array).

    Args:
        term: elementwise; it also broadcasts (C,).
        arrays: each (N, C).
    """
    pixels, channels = arrays[0].shape
    rows = pixels // _PIXELS
    rest = [array[rows * _PIXELS :] for array in arrays]
    arrays = [array[: rows * _PIXELS].reshape(rows, _PIXELS, channels) for array in arrays]
    # The term is taken of each slice: of the whole arrays, XLA would write it to memory first.
    total = functools.reduce(jnp.add, [term(*(array[:, i] for array in arrays)) for i in range(_PIXELS)])
    total = (jnp.ones((1, rows), total.dtype) @ total)[0]
    return total + term(*rest).sum(0) if pixels % _PIXELS else total
