"""Depthwise convolution: each channel has its own kernel.

On CPU, XLA's own form of it is plain loops. A sum of k x k shifted products is 15 to 60 times as fast, and so are its
gradients. Accelerators use XLA's own convolution.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from foodjax.models.winograd import Padding


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
    taps = kernel.shape[0]
    phases = _split(x, taps, stride, padding)
    rows, columns = _sizes(x, taps, stride, padding)
    y = jnp.zeros((), x.dtype)
    for i in range(taps):
        for j in range(taps):
            phase = phases[:, i // stride : i // stride + rows, i % stride]
            y += phase[:, :, j // stride : j // stride + columns, j % stride] * kernel[i, j, 0]
    return y


def _sizes(x, taps, stride, padding):
    """Returns the numbers of rows and columns of the result."""
    return [(n + sum(pad) - taps) // stride + 1 for n, pad in zip(x.shape[1:3], padding, strict=True)]


def _split(x, taps, stride, padding):
    """Pads x and splits rows and columns into phases: (B, rows, stride, columns, stride, C)."""
    counts, pads = [], []
    for size, inputs, (before, _) in zip(_sizes(x, taps, stride, padding), x.shape[1:3], padding, strict=True):
        count = size + (taps - 1) // stride
        counts.append(count)
        pads.append((before, count * stride - inputs - before, 0))  # negative: no window reaches the last ones
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
    return x.reshape(len(x), counts[0], stride, counts[1], stride, -1)


def _shifted_conv_fwd(x, kernel, stride, padding):
    return shifted_conv(x, kernel, stride, padding), (x, kernel)


def _shifted_conv_bwd(stride, padding, residuals, gradient):
    x, kernel = residuals
    return _input_gradient(x.shape, kernel, gradient, stride, padding), _kernel_gradient(
        x, kernel, gradient, stride, padding
    )


def _input_gradient(shape, kernel, gradient, stride, padding):
    taps = kernel.shape[0]
    more = (taps - 1) // stride
    rows, columns = gradient.shape[1] + more, gradient.shape[2] + more
    gradient = jnp.pad(gradient, ((0, 0), (more, more), (more, more), (0, 0)))
    phases = []
    for a in range(stride):
        for b in range(stride):
            phase = jnp.zeros((shape[0], rows, columns, shape[3]), gradient.dtype)
            for i in range(a, taps, stride):
                for j in range(b, taps, stride):
                    top, left = more - i // stride, more - j // stride
                    phase += gradient[:, top : top + rows, left : left + columns] * kernel[i, j, 0]
            phases.append(phase)
    x = jnp.stack(phases, axis=3).reshape(shape[0], rows, columns, stride, stride, shape[3])
    x = x.transpose(0, 1, 3, 2, 4, 5).reshape(shape[0], rows * stride, columns * stride, shape[3])
    sizes = zip(x.shape[1:3], shape[1:3], padding, strict=True)
    pads = [(-before, inputs + before - n, 0) for n, inputs, (before, _) in sizes]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *pads, (0, 0, 0)])


def _kernel_gradient(x, kernel, gradient, stride, padding):
    """Returns the gradient of the kernel: k x k sums over pixels, image after image: one stays in cache."""
    taps = kernel.shape[0]
    rows, columns = gradient.shape[1:3]

    def add(total, image):
        phases, gradient = image
        sums = []
        for i in range(taps):
            for j in range(taps):
                phase = phases[i // stride : i // stride + rows, i % stride]
                sums.append((phase[:, j // stride : j // stride + columns, j % stride] * gradient).sum((0, 1)))
        return total + jnp.stack(sums), None

    start = jnp.zeros((taps * taps, kernel.shape[3]), kernel.dtype)
    total, _ = lax.scan(add, start, (_split(x, taps, stride, padding), gradient))
    return total.reshape(kernel.shape)


shifted_conv.defvjp(_shifted_conv_fwd, _shifted_conv_bwd)
