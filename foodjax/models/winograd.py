"""Winograd's convolution: fewer multiplications for large kernels, by interpolating polynomials.

A tile of m x m outputs of an r x r kernel needs n x n products with n = m + r - 1, instead of m^2 r^2: for
m = 4 and r = 5, 64 instead of 400. In one dimension, with Cook-Toom matrices A (n, m), G (n, r), B (n, n),

    y = A^T [(G g) * (B^T d)],

and in two dimensions each matrix is applied to rows and to columns.
Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015), section 4.
"""

import functools
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from foodjax.models.slices import cut

Padding = tuple[tuple[int, int], tuple[int, int]]  # zeros before and after the rows, and the columns

# Interpolation points. This order keeps the matrices' entries small, and so the rounding errors.
_POINTS = tuple(Fraction(x) for x in ("0", "1", "-1", "2", "-2", "1/2", "-1/2"))


def _powers(count: int, points: tuple[Fraction, ...]) -> list[list[Fraction]]:
    """Returns the powers 0 .. count - 1 of each point; the last row is the point at infinity."""
    return [[p**j for j in range(count)] for p in points] + [[Fraction(0)] * (count - 1) + [Fraction(1)]]


@functools.cache
def cook_toom(m: int, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the matrices A (n, m), G (n, r) and B^T (n, n) for m outputs and r taps, n = m + r - 1 <= 8.

    Raises:
        ValueError: n exceeds 8; more interpolation points would lose too many digits.
    """
    n = m + r - 1
    if n > len(_POINTS) + 1:
        raise ValueError(f"m + r - 1 is {n}: needs at most {len(_POINTS) + 1}")
    points = _POINTS[: n - 1]
    scale = [Fraction(1)] * n
    for i, p in enumerate(points):
        for q in points[:i] + points[i + 1 :]:
            scale[i] *= p - q
    a, g = np.array(_powers(m, points), float), np.array(_powers(r, points), float)
    inverse = np.linalg.inv(np.array(_powers(n, points), float))  # of at most 8 x 8 small fractions
    scales = np.array(scale, float)[:, None]
    return a, g / scales, scales * inverse.T


def winograd_conv(
    x: Float[Array, "B H W C"], kernel: Float[Array, "h w C F"], padding: Padding, tile: int = 4
) -> Float[Array, "B H2 W2 F"]:
    """Convolves with stride 1 like `convolution.padded_conv`; the relative error in float32 stays below 1e-5.

    Args:
        x: (B, H, W, C).
        kernel: (r, r, C, F), square.
        padding: zeros before and after the rows, and the columns.
        tile: m, number of outputs along each side of a tile.

    Returns:
        (B, H, W, F) for SAME, (B, H - r + 1, W - r + 1, F) for VALID.
    """
    dtype, r = x.dtype, kernel.shape[0]
    if dtype == jnp.bfloat16:  # its sums cancel: bfloat16 has too few digits for them
        x, kernel = x.astype(jnp.float32), kernel.astype(jnp.float32)
    n = tile + r - 1
    a, g, bt = (jnp.asarray(np.kron(matrix, matrix), x.dtype) for matrix in cook_toom(tile, r))  # for both axes
    batch, channels, features = x.shape[0], *kernel.shape[2:]
    height, width = (size + sum(pad) - r + 1 for size, pad in zip(x.shape[1:3], padding, strict=True))
    rows, columns = -(-height // tile), -(-width // tile)  # tiles
    (top, bottom), (left, right) = padding
    below, beside = rows * tile - height, columns * tile - width  # pixels that complete the last tiles
    x = jnp.pad(x, ((0, 0), (top, bottom + below), (left, right + beside), (0, 0)))
    x = jnp.stack([cut(x, slice(i, i + rows * tile, tile)) for i in range(n)])
    x = jnp.stack(
        [cut(x, slice(j, j + columns * tile, tile), axis=3) for j in range(n)], axis=1
    )  # (n, n, B, rows, columns, C)
    x = (bt @ x.reshape(n * n, -1)).reshape(n * n, -1, channels)
    kernel = (g @ kernel.reshape(r * r, -1)).reshape(n * n, channels, features)
    y = jnp.einsum("ptc,pcf->ptf", x, kernel)  # p: products of a tile, t: tiles
    y = (a.T @ y.reshape(n * n, -1)).reshape(tile, tile, batch, rows, columns, features)
    y = y.transpose(2, 3, 0, 4, 1, 5).reshape(batch, rows * tile, columns * tile, features)
    return cut(y, slice(height), slice(width)).astype(dtype)
