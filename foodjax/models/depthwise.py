"""Depthwise convolution: each channel has its own kernel.

On CPU, XLA's own form of it is plain loops. A sum of k x k shifted products is 20 to 70 times as fast, and so are its
gradients. Accelerators use XLA's own convolution.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from foodjax.models.winograd import Padding

# The gradient of the kernel adds up so many pixels in one loop: more cost compilation, fewer cost starts of loops.
_PIXELS = 64
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
    return lax.platform_dependent(
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
            products.append(x[:, i:bottom:stride, j:right:stride] * kernel[i, j, 0])
    # The padded x is stored: XLA writes it together with the operations before it, and needs no other.
    return _sum(products), (x, kernel)


def _shifted_conv_bwd(stride, padding, residuals, gradient):
    x, kernel = residuals
    height, width = (size - sum(zeros) for size, zeros in zip(x.shape[1:3], padding, strict=True))
    dx = _input_gradient(kernel, gradient, stride, (padding[0][0], padding[1][0]), (height, width))
    return dx, _kernel_gradient(x, gradient, len(kernel), stride)


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


def _input_gradient(kernel, gradient, stride, zeros, size):
    """Returns the gradient of x: for each phase of its rows and columns a sum of shifted products, interleaved.

    Args:
        kernel: (k, k, 1, C).
        gradient: (B, H2, W2, C).
        stride: s.
        zeros: zeros before the rows, and the columns, of x.
        size: H and W.
    """
    # Tap i adds entry q + shift of the gradient to row s q + phase of x, for shift = (phase + zeros - i) / s.
    phases = [[_shifts(len(kernel), stride, phase + before) for phase in range(stride)] for before in zeros]
    counts = [-(-n // stride) for n in size]
    pads = []
    for of_axis, count, inputs in zip(phases, counts, gradient.shape[1:3], strict=True):
        shifts = [shift for of_phase in of_axis for shift in of_phase.values()]
        pads.append((-min(shifts), count + max(shifts) - inputs))
    gradient = _pad(gradient, pads)
    (top, _), (left, _) = pads
    parts = []
    for rows in phases[0]:
        for columns in phases[1]:
            products = [
                gradient[:, top + down : top + down + counts[0], left + right : left + right + counts[1]]
                * kernel[i, j, 0]
                for i, down in rows.items()
                for j, right in columns.items()
            ]
            zero = jnp.zeros((len(gradient), *counts, gradient.shape[3]), gradient.dtype)
            parts.append(_sum(products) if products else zero)
    if stride == 1:
        return parts[0]
    x = jnp.stack(parts, axis=3).reshape(len(gradient), *counts, stride, stride, -1).transpose(0, 1, 3, 2, 4, 5)
    x = x.reshape(len(gradient), counts[0] * stride, counts[1] * stride, -1)
    return x[:, : size[0], : size[1]]


def _shifts(taps, stride, start):
    """Returns the taps i for which start - i is a multiple of the stride, and (start - i) / stride for each."""
    return {i: (start - i) // stride for i in range(taps) if (start - i) % stride == 0}


def _kernel_gradient(x, gradient, taps, stride):
    """Returns the gradient of the kernel.

    The sum over pixels of products with k x k neighbourhoods: XLA's own sums would be a plain loop for each tap. Here a
    loop over tiles adds up all of a tile's pixels at once, for many channels, taps and pictures on all cores.

    Args:
        x: the padded pictures, (B, H, W, C).
        gradient: (B, H2, W2, C).
        taps: k.
        stride: s.
    """
    batch, height, width, channels = gradient.shape
    columns, across = _tile(width, _COLUMNS)
    rows, down = _tile(height, max(_PIXELS // columns, 1))
    images = _largest_divisor(batch, batch if down * across > 1 else max(batch // 2, 1))
    lanes = 16 * _largest_divisor(channels // 16, _CHANNELS // 16) if channels % 16 == 0 else channels
    groups = channels // lanes
    sizes = ((down * rows - 1) * stride + taps, (across * columns - 1) * stride + taps)
    x = _pad(x, [(0, size - n) for size, n in zip(sizes, x.shape[1:3], strict=True)])
    gradient = _pad(gradient, [(0, down * rows - height), (0, across * columns - width)])
    x, gradient = (array.reshape(*array.shape[:3], groups, lanes) for array in (x, gradient))

    def cut(array, start, side):
        part = lax.dynamic_slice(array, (*start, 0, 0), (images, side, side, groups, lanes))
        return part.transpose(0, 3, 1, 2, 4)

    def add(total, index):
        image, row, column = jnp.unravel_index(index, (batch // images, down, across))
        products = []
        for i in range(rows):
            for j in range(columns):
                start = (image * images, row * rows + i, column * columns + j)
                window = cut(x, (start[0], start[1] * stride, start[2] * stride), taps)
                products.append(window * cut(gradient, start, 1))
        return total + _sum(products), None

    total = jnp.zeros((images, groups, taps, taps, lanes), x.dtype)
    total, _ = lax.scan(add, total, jnp.arange(batch // images * down * across))
    total = jnp.ones((1, images), x.dtype) @ total.reshape(images, -1)
    return total.reshape(groups, taps, taps, lanes).transpose(1, 2, 0, 3).reshape(taps, taps, 1, channels)


def _tile(size, most):
    """Returns the length of tiles of at most `most`, and their number; without a rest if twice as many can do that."""
    least = -(-size // most)
    count = next((n for n in range(least, 2 * least + 1) if size % n == 0), least)
    return -(-size // count), count


def _largest_divisor(number, most):
    """Returns the largest divisor of a number that is at most `most`."""
    return next(n for n in range(min(number, most), 0, -1) if number % n == 0)
