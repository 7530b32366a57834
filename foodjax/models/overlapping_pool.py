"""Maximum pooling over windows of 3 x 3 pixels that overlap, as ResNet's stem has it.

XLA's gradient of a pooling searches every window again, one after the other, on one core. Here the forward pass stores
where each maximum was found, one byte an output, and the gradient looks for every pixel into the four windows that may
have chosen it, on all cores. Accelerators use XLA's own form.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from foodjax.models.forms import by_platform

_NOWHERE = 50  # row or column of a window that a pixel is not in


def max_pool_3x3(x: Float[Array, "B H W C"]) -> Float[Array, "B H2 W2 C"]:
    """Takes the maximum of windows of 3 x 3 pixels, two pixels apart, with a padding of one pixel.

    Args:
        x: (B, H, W, C).

    Returns:
        (B, H2, W2, C) with H2 = ceil(H / 2), and W2 likewise.
    """
    return by_platform(x, cpu=remembered_max_pool_3x3, default=plain_max_pool_3x3)


def plain_max_pool_3x3(x: Float[Array, "B H W C"]) -> Float[Array, "B H2 W2 C"]:
    """Pools as `max_pool_3x3` does, with XLA's own form."""
    return nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))  # pyright: ignore[reportArgumentType]


@jax.custom_vjp
def remembered_max_pool_3x3(x: Float[Array, "B H W C"]) -> Float[Array, "B H2 W2 C"]:
    """Pools as `max_pool_3x3` does, and stores the positions of the maxima for the gradient."""
    return _fwd(x)[0]


def _fwd(x):
    batch, height, width, channels = x.shape
    h, w = -(-height // 2), -(-width // 2)
    padded = jnp.pad(x, ((0, 0), (1, height % 2), (1, width % 2), (0, 0)), constant_values=-jnp.inf)
    best, where = jnp.full((batch, h, w, channels), -jnp.inf, x.dtype), jnp.zeros((batch, h, w, channels), jnp.uint8)
    for i in range(9):  # the first of equal pixels counts, as in XLA's own form
        row, column = divmod(i, 3)
        end = (batch, row + 2 * h - 1, column + 2 * w - 1, channels)
        pixel = lax.slice(padded, (0, row, column, 0), end, (1, 2, 2, 1))
        where, best = jnp.where(pixel > best, jnp.uint8(i), where), jnp.maximum(best, pixel)
    # The shape of x is kept as that of an array without content.
    return best, (where, jnp.empty((height, width, 0)))


def _bwd(residuals, gradient):
    where, shape = residuals
    height, width, _ = shape.shape
    batch, h, w, channels = gradient.shape
    after = ((0, 0), (0, 1), (0, 1), (0, 0))
    gradient, where = jnp.pad(gradient, after), jnp.pad(where, after, constant_values=255)
    row = lax.broadcasted_iota(jnp.uint8, (1, 1, 2, 1, 2, 1), 2)
    column = lax.broadcasted_iota(jnp.uint8, (1, 1, 2, 1, 2, 1), 4)
    total: jax.Array = jnp.zeros((), gradient.dtype)
    # Pixel 2 m + i is in window m, in its row 1 + i; where i is 1, also in row 0 of window m + 1.
    for down in (0, 1):
        for right in (0, 1):
            of_row = jnp.where(row == 1, 0, _NOWHERE) if down else 1 + row
            of_column = jnp.where(column == 1, 0, _NOWHERE) if right else 1 + column
            position = (3 * of_row + of_column).astype(jnp.uint8)
            chosen = where[:, down : down + h, None, right : right + w, None] == position
            term = jnp.where(chosen, gradient[:, down : down + h, None, right : right + w, None], 0)
            total = total + term
    return (total.reshape(batch, 2 * h, 2 * w, channels)[:, :height, :width],)


remembered_max_pool_3x3.defvjp(_fwd, _bwd)
