"""Winograd's convolution: fewer multiplications for large kernels, by interpolating polynomials.

A tile of m x m outputs of an r x r kernel needs n x n products with n = m + r - 1, instead of m^2 r^2: for
m = 4, r = 5 64 instead of 400. In one dimension, with Cook-Toom matrices A (n, m), G (n, r), B (n, n),

    y = A^T [(G g) * (B^T d)],

and in two dimensions each matrix acts on rows and on columns.
Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015), section 4.
"""

import functools
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# In this order they keep the matrices' entries small, and with them the rounding errors.
_POINTS = tuple(Fraction(x) for x in ("0", "1", "-1", "2", "-2", "1/2", "-1/2"))


def _powers(count: int, points: tuple[Fraction, ...]) -> list[list[Fraction]]:
    """Returns the powers 0 .. count - 1 of each point; the last row is the point at infinity."""
    return [[p**j for j in range(count)] for p in points] + [[Fraction(0)] * (count - 1) + [Fraction(1)]]


@functools.cache
def cook_toom(m: int, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the matrices A (n, m), G (n, r) and B^T (n, n) for m outputs of r taps, n = m + r - 1 <= 8.

    Raises:
        ValueError: more than 8 interpolation points; more lose too many digits.
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
    x: Float[Array, "B H W C"], kernel: Float[Array, "h w C F"], padding: str, tile: int = 4
) -> Float[Array, "B H2 W2 F"]:
    """Convolves with stride 1 like `foodjax.ops.conv`; the relative error in float32 stays below 1e-5.

    Args:
        x: (B, H, W, C).
        kernel: (r, r, C, F), square.
        padding: "SAME" or "VALID".
        tile: m, outputs a tile has on each side.

    Returns:
        (B, H, W, F) for SAME, (B, H - r + 1, W - r + 1, F) for VALID.
    """
    r = kernel.shape[0]
    n = tile + r - 1
    a, g, bt = (jnp.asarray(matrix, x.dtype) for matrix in cook_toom(tile, r))
    batch, height, width, channels = x.shape
    before = (r - 1) // 2 if padding == "SAME" else 0
    out_height, out_width = (height, width) if padding == "SAME" else (height - r + 1, width - r + 1)
    rows, columns = -(-out_height // tile), -(-out_width // tile)  # tiles
    x = jnp.pad(
        x, ((0, 0), *((before, t * tile + r - 1 - s - before) for t, s in ((rows, height), (columns, width))), (0, 0))
    )
    x = jnp.stack([x[:, i : i + rows * tile : tile] for i in range(n)])
    x = jnp.einsum("pn,nbhwc->pbhwc", bt, x)  # (n, B, rows, W, C)
    x = jnp.stack([x[:, :, :, j : j + columns * tile : tile] for j in range(n)])
    x = jnp.einsum("qn,npbhwc->pqbhwc", bt, x)  # (n, n, B, rows, columns, C)
    kernel = jnp.einsum("pi,qj,ijcf->pqcf", g, g, kernel)  # (n, n, C, F)
    y = jnp.einsum("pqtc,pqcf->pqtf", x.reshape(n, n, -1, channels), kernel)
    y = jnp.einsum("pi,qj,pqtf->tijf", a, a, y).reshape(batch, rows, columns, tile, tile, -1)
    y = y.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows * tile, columns * tile, -1)
    return y[:, :out_height, :out_width]
