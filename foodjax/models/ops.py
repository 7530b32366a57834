"""Operations in the forms that XLA runs fast, with the values of the textbook forms: pooling, dropout, bias.

Pooling stores the positions of its maxima: the gradient is then far cheaper than reduce_window's select-and-scatter
(which deterministic GPU runs may even refuse).
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, UInt8

from foodjax.models.forms import by_platform, is_plain
from foodjax.models.slices import cut


def space_to_depth(x: Float[Array, "B H W C"], patch: int) -> Float[Array, "B H2 W2 D"]:
    """Turns patches that do not overlap into channels; drops the rows and columns of incomplete patches.

    Args:
        x: (B, H, W, C).
        patch: p, side of a patch in pixels.

    Returns:
        (B, H // p, W // p, p p C), channels in the order (row, column, channel).
    """
    batch, height, width, channels = x.shape
    h, w = height // patch, width // patch
    x = cut(x, slice(h * patch), slice(w * patch)).reshape(batch, h, patch, w, patch, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, h, w, patch * patch * channels)


def dropout(x: Float[Array, "..."], rate: float, key: jax.Array) -> Float[Array, "..."]:
    """Sets a fraction `rate` of the entries to zero and divides the others by 1 - rate.

    Args:
        x: any shape.
        rate: in [0, 1).
        key: raw data of a threefry key.
    """
    return jnp.where(_keep(x.shape, rate, key), x / (1 - rate), 0)


def drop_path(x: Float[Array, "B ..."], rate: float, key: jax.Array) -> Float[Array, "B ..."]:
    """Sets whole examples to zero, a fraction `rate` of them, and divides the others by 1 - rate.

    Args:
        x: any shape; the first axis counts examples.
        rate: in [0, 1).
        key: raw data of a threefry key.
    """
    keep = _keep((len(x),) + (1,) * (x.ndim - 1), rate, key)
    return jnp.where(keep, x / (1 - rate), 0)


def _keep(shape: tuple[int, ...], rate: float, key: jax.Array) -> jax.Array:
    """Returns booleans, each True with a probability of 1 - rate."""
    count = lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    bits, _ = threefry(key, count, jnp.zeros_like(count))
    return bits < jnp.uint32((1 - rate) * 2**32)


def threefry(key: jax.Array, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Encrypts the pairs (x, y) of uint32 with Threefry-2x32 of 20 rounds, as `jax.random` does.

    On CPU, JAX's own form is a loop whose passes over memory cost ten times the arithmetic; XLA fuses this form with
    the code that uses the bits. Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (2011), section 5.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA))
    x, y = x + keys[0], y + keys[1]
    for i in range(5):
        for bits in ((13, 15, 26, 6), (17, 29, 16, 24))[i % 2]:
            x = x + y
            y = x ^ ((y << bits) | (y >> (32 - bits)))
        x, y = x + keys[(i + 1) % 3], y + keys[(i + 2) % 3] + jnp.uint32(i + 1)
    return x, y


MOST_POOL = 16  # pixels, of a window in which a place is a number of 8 bits


def add_bias(x: Float[Array, "B H W F"], bias: Float[Array, "F"]) -> Float[Array, "B H W F"]:
    """Adds a bias to every pixel."""
    return by_platform(x, bias, cpu=_add_bias, default=jnp.add)


@jax.custom_vjp
def _add_bias(x, bias):
    return x + bias


def _add_bias_fwd(x, bias):
    return x + bias, None


def _add_bias_bwd(_, gradient):
    # XLA's sum over pixels runs on one core, a matrix product on all of them.
    pixels = gradient.reshape(-1, gradient.shape[-1])
    return gradient, (jnp.ones((1, len(pixels)), pixels.dtype) @ pixels)[0]


_add_bias.defvjp(_add_bias_fwd, _add_bias_bwd)


def max_pool(x: Float[Array, "B H W C"], window: int) -> Float[Array, "B H2 W2 C"]:
    """Takes the maximum of windows that do not overlap; drops the rows and columns of incomplete windows.

    Args:
        x: (B, H, W, C).
        window: side and stride of the window, in pixels.

    Returns:
        (B, H // window, W // window, C).
    """
    return direct_max_pool(x, window) if is_plain() or window > MOST_POOL else _pool(x, window)


def direct_max_pool(x: Float[Array, "B H W C"], window: int) -> Float[Array, "B H2 W2 C"]:
    """Takes the maximum as `max_pool` does, with XLA's own operation."""
    if window == 1:
        return x
    sides = (1, window, window, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, sides, sides, "VALID")


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _pool(x, window):
    return _max_pool(x, window)[0]


def _max_pool(x, window):
    """Returns the maxima and their positions: the first pixel of the window, in row order, that has the maximum."""
    batch, height, width, channels = x.shape
    h, w = height // window, width // window
    x = cut(x, slice(h * window), slice(w * window)).reshape(batch, h, window, w, window, channels)
    best, where = cut(x, 0, slice(None), 0, axis=2), jnp.zeros((batch, h, w, channels), jnp.uint8)
    for i in range(1, window * window):
        pixel = cut(x, i // window, slice(None), i % window, axis=2)
        where = jnp.where(pixel > best, jnp.uint8(i), where)
        best = jnp.maximum(best, pixel)
    return best, where


def _max_pool_fwd(x, window):
    best, where = _max_pool(x, window)
    return best, (where, x.shape[1:3])


def _max_pool_bwd(window, residuals, gradient):
    return (unpool(gradient, residuals[0], window, residuals[1]),)


_pool.defvjp(_max_pool_fwd, _max_pool_bwd)


def unpool(
    gradient: Float[Array, "B H2 W2 C"], where: UInt8[Array, "B H2 W2 C"], window: int, size: Sequence[int]
) -> Float[Array, "B H W C"]:
    """Returns the gradient of the input of `max_pool`: that of each window at the place of its maximum.

    Args:
        gradient: of the output, (B, H // window, W // window, C).
        where: places of the maxima, counted through the window in row order.
        window: side of the window, in pixels.
        size: rows H and columns W of the input.
    """
    height, width = size
    batch, h, w, channels = gradient.shape
    row = lax.broadcasted_iota(jnp.uint8, (1, 1, window, 1, window, 1), 2)
    column = lax.broadcasted_iota(jnp.uint8, (1, 1, window, 1, window, 1), 4)
    chosen = where[:, :, None, :, None] == row * window + column
    x = jnp.where(chosen, gradient[:, :, None, :, None], 0).reshape(batch, h * window, w * window, channels)
    return jnp.pad(x, ((0, 0), (0, height - h * window), (0, width - w * window), (0, 0)))
