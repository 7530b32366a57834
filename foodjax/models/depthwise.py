"""Depthwise convolution: each channel has its own kernel.

On CPU, XLA's own form of it is plain loops. A sum of k x k shifted products is about 20 to 60 times as fast, for k
from 3 to 7. Accelerators use XLA's own convolution.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from foodjax.models.forms import by_platform
from foodjax.models.slices import cut
from foodjax.models.winograd import Padding

# The gradient of the kernel adds up so many pixels in one loop: more cost compilation, fewer cost starts of loops.
_PIXELS = 32
_COLUMNS = 128
# It works on so many channels at a time, at most, so that their pixels stay in the cache of a core; 16 fill a register.
_CHANNELS = 64


def depthwise_conv(
    x: Float[Array, "B H W C"], kernel: Float[Array, "k k 1 C"], stride: int, padding: Padding
) -> Float[Array, "B H2 W2 C"]:
    """Convolves each channel with its own kernel, without bias.

    Args:
        x: (B, H, W, C).
        kernel: (k, k, 1, C), as Flax stores it.
        stride: s, in pixels, of rows and columns.
        padding: zeros before and after the rows, and the columns.

    Returns:
        (B, H2, W2, C) with H2 = (H + zeros - k) // s + 1, and W2 likewise.
    """
    return by_platform(
        x,
        kernel,
        cpu=functools.partial(shifted_conv, stride=stride, padding=padding),
        default=functools.partial(direct_depthwise_conv, stride=stride, padding=padding),
    )


def direct_depthwise_conv(
    x: Float[Array, "B H W C"], kernel: Float[Array, "k k 1 C"], stride: int, padding: Padding
) -> Float[Array, "B H2 W2 C"]:
    """Convolves as `depthwise_conv` does, with XLA's own convolution."""
    names = ("NHWC", "HWIO", "NHWC")
    strides = (stride, stride)
    return lax.conv_general_dilated(
        x, kernel, strides, padding, dimension_numbers=names, feature_group_count=x.shape[3]
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def shifted_conv(
    x: Float[Array, "B H W C"], kernel: Float[Array, "k k 1 C"], stride: int, padding: Padding
) -> Float[Array, "B H2 W2 C"]:
    """Convolves as `depthwise_conv` does, as a sum of k x k shifted products."""
    return _shifted_conv_fwd(x, kernel, stride, padding)[0]


def _shifted_conv_fwd(x, kernel, stride, padding):
    taps = len(kernel)
    x = _pad(x, padding)
    rows, columns = ((size - taps) // stride + 1 for size in x.shape[1:3])
    products = []
    for i in range(taps):
        for j in range(taps):
            bottom, right = i + (rows - 1) * stride + 1, j + (columns - 1) * stride + 1
            products.append(cut(x, slice(i, bottom, stride), slice(j, right, stride)) * kernel[i, j, 0])
    # The padded x is stored: XLA writes it together with the operations before it, and needs no other.
    return _sum(products), (x, kernel)


def _shifted_conv_bwd(stride, padding, residuals, gradient):
    x, kernel = residuals
    taps, (height, width) = len(kernel), gradient.shape[1:3]
    sizes = [size - sum(zeros) for size, zeros in zip(x.shape[1:3], padding, strict=True)]
    reaches = [_reach(taps, stride, zeros) for zeros, _ in padding]
    tiles = _tiles(height, width)
    # Both gradients read the one padded array, which XLA writes together with the operations before it.
    pads = []
    for inputs, size, reach, (tile, count) in zip((height, width), sizes, reaches, tiles, strict=True):
        after = max(-(-size // stride) + reach[-1], tile * count) - inputs
        pads.append((max(-reach[0], 0), max(after, 0)))
    gradient = _pad(gradient, pads)
    starts = [before for before, _ in pads]
    dx = _input_gradient(kernel, gradient, stride, [zeros for zeros, _ in padding], reaches, starts, sizes)
    return dx, _kernel_gradient(x, gradient, taps, stride, starts, tiles)


shifted_conv.defvjp(_shifted_conv_fwd, _shifted_conv_bwd)


def _pad(x, padding):
    """Adds zeros before and after the rows and the columns, or drops some where their number is negative."""
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *((*zeros, 0) for zeros in padding), (0, 0, 0)])


def _sum(terms):
    """Adds up arrays in four chains: in one, each multiply-add would wait for the one before it."""
    chains = terms[:4]
    for i, term in enumerate(terms[4:]):
        chains[i % 4] += term
    return functools.reduce(jnp.add, chains)


def _reach(taps, stride, zeros):
    """Returns the shifts d for which row s q + phase of x is under a tap of output q + d, for any phase < s."""
    return range((zeros - taps) // stride + 1, (zeros + stride - 1) // stride + 1)


def _input_gradient(kernel, gradient, stride, zeros, reaches, starts, sizes):
    """Returns the gradient of x: row s q + phase gets tap phase + zeros - s d of output q + d, likewise the columns.

    One sum of shifted products computes all phases: their taps lie side by side, with zeros for those that others lack.

    Args:
        kernel: (k, k, 1, C).
        gradient: padded with zeros, (B, rows, columns, C).
        stride: s.
        zeros: zeros before the rows, and the columns, of x.
        reaches: shifts d of rows, and columns.
        starts: first row and column of the gradient without padding.
        sizes: H and W.
    """
    taps, channels = len(kernel), kernel.shape[3]
    picks = []
    for before, reach in zip(zeros, reaches, strict=True):
        tap = np.arange(stride) + before - stride * np.array(reach)[:, None]
        picks.append(tap[..., None] == np.arange(taps))  # (shifts, phases, taps)
    pick = np.einsum("dpi,eqj->depqij", *picks)
    # A matrix product, since XLA would put any other form of this into the innermost loop.
    kernels = jnp.asarray(pick.reshape(-1, taps * taps), kernel.dtype) @ kernel.reshape(-1, channels)
    kernels = kernels.reshape(len(reaches[0]), len(reaches[1]), 1, 1, stride, 1, stride, channels)
    rows, columns = (-(-size // stride) for size in sizes)
    gradient = gradient[:, :, None, :, None]
    products = []
    for i, down in enumerate(reaches[0]):
        for j, right in enumerate(reaches[1]):
            top, left = starts[0] + down, starts[1] + right
            products.append(gradient[:, top : top + rows, :, left : left + columns] * kernels[i, j])
    x = _sum(products).reshape(len(gradient), rows * stride, columns * stride, channels)
    return x[:, : sizes[0], : sizes[1]]


def _kernel_gradient(x, gradient, taps, stride, starts, tiles):
    """Returns the gradient of the kernel.

    The sum over pixels of products with k x k neighbourhoods: XLA's own sums would be a plain loop for each tap. Here a
    loop over tiles adds up all of a tile's pixels at once, for many channels, taps and pictures on all cores.

    Args:
        x: padded with zeros, (B, rows, columns, C).
        gradient: padded with zeros, (B, rows, columns, C).
        taps: k.
        stride: s.
        starts: first row and column of the gradient without padding.
        tiles: length and number of the tiles of rows, and columns.
    """
    (rows, down), (columns, across) = tiles
    batch, _, _, channels = x.shape
    images = _largest_divisor(batch, batch if down * across > 1 else max(batch // 2, 1))
    lanes = 16 * _largest_divisor(channels // 16, _CHANNELS // 16) if channels % 16 == 0 else channels
    groups = channels // lanes
    needed = [(tile * count - 1) * stride + taps for tile, count in tiles]
    x = _pad(x, [(0, max(size - n, 0)) for size, n in zip(needed, x.shape[1:3], strict=True)])

    def cut(array, start, side):
        # Negative indices would mean more instructions to compile; a reshape outside the loop, copies of the arrays.
        shape = (images, side, side, channels)
        part = lax.dynamic_slice(array, (*start, 0), shape, allow_negative_indices=False)
        return part.reshape(images, side, side, groups, lanes).transpose(0, 3, 1, 2, 4)

    def add(total, index):
        image, row, column = jnp.unravel_index(index, (batch // images, down, across))
        image = image * images if images < batch else 0
        products = []
        for i in range(rows):
            for j in range(columns):
                h, w = row * rows + i, column * columns + j
                window = cut(x, (image, h * stride, w * stride), taps)
                products.append(window * cut(gradient, (image, starts[0] + h, starts[1] + w), 1))
        return total + _sum(products), None

    total = jnp.zeros((images, groups, taps, taps, lanes), x.dtype)
    total, _ = lax.scan(add, total, jnp.arange(batch // images * down * across))
    total = jnp.ones((1, images), x.dtype) @ total.reshape(images, -1)
    return total.reshape(groups, taps, taps, lanes).transpose(1, 2, 0, 3).reshape(taps, taps, 1, channels)


def _tiles(height, width):
    """Returns the length and the number of the tiles of rows, and of columns."""
    columns = _tile(width, _COLUMNS)
    return _tile(height, max(_PIXELS // columns[0], 1)), columns


def _tile(size, most):
    """Returns the length of tiles of at most `most`, and their number; without a rest if twice as many can do that."""
    least = -(-size // most)
    count = next((n for n in range(least, 2 * least + 1) if size % n == 0), least)
    return -(-size // count), count


def _largest_divisor(number, most):
    """Returns the largest divisor of a number that is at most `most`."""
    return next(n for n in range(min(number, most), 0, -1) if number % n == 0)
