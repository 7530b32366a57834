"""Gaussian blur of another strength for every picture, as two products with banded matrices.

The kernel is that of scipy.ndimage.gaussian_filter with mode="nearest" and truncate=4: weights exp(-k^2 / (2 sigma^2))
of the pixels k = -r ... r with r = floor(4 sigma + 1/2), divided by their sum; beyond an edge stands its pixel.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_TRUNCATE = 4.0  # standard deviations


def sample_blur(largest: float, rng: np.random.Generator, batch_size: int) -> np.ndarray:
    """Samples standard deviations, fractions of the side, uniform in [0, largest]; float32 (B,)."""
    return (largest * rng.uniform(size=batch_size)).astype(np.float32)


def blur(images: Float[Array, "B H H C"], deviation: Float[Array, "B"]) -> Float[Array, "B H H C"]:
    """Blurs pictures along rows and columns.

    Args:
        images: float32 (B, H, H, C).
        deviation: standard deviation for each picture, a fraction of the side, below 1/4; 0 changes nothing.

    Returns:
        float32 (B, H, H, C).
    """
    matrix = _matrices(deviation * images.shape[1], images.shape[1])
    exact = jax.lax.Precision.HIGHEST  # an accelerator would round the pixels to bfloat16 or TF32
    images = jnp.einsum("brs,bswc->brwc", matrix, images, precision=exact)
    return jnp.einsum("bws,brsc->brwc", matrix, images, precision=exact)


def _matrices(sigma: Float[Array, "B"], side: int) -> Float[Array, "B H H"]:
    """Returns for each standard deviation, in pixels, the matrix that blurs a column of `side` pixels."""
    offset = jnp.arange(1 - side, side)  # of a pixel from the one that is computed
    squares = (offset / jnp.maximum(sigma, 1e-3)[:, None]) ** 2
    inside = jnp.abs(offset) <= jnp.floor(_TRUNCATE * sigma + 0.5)[:, None]
    weights = jnp.where(inside, jnp.exp(-squares / 2), 0)
    weights = weights / weights.sum(axis=1, keepdims=True)  # (B, 2 H - 1)
    row, column = jnp.arange(side)[:, None], jnp.arange(side)[None, :]
    matrix = weights[:, column - row + side - 1]  # (B, H, H)
    # The pixels at the edges stand for all beyond them as well.
    before = jnp.cumsum(weights, axis=1)[:, side - 1 - jnp.arange(side)]  # of all offsets up to the first pixel
    after = jnp.cumsum(weights[:, ::-1], axis=1)[:, jnp.arange(side)]  # of all offsets from the last pixel on
    return matrix.at[:, :, 0].set(before).at[:, :, -1].set(after) if side > 1 else jnp.ones_like(matrix)
