"""The native convolution in JAX: forward and both gradients are kernels of `conv.cc`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from foodjax.models.native import library
from foodjax.models.ops import MOST_POOL, unpool

_FEATURES = 32  # that the kernels compute at a time

Padding = tuple[tuple[int, int], tuple[int, int]]  # zeros before and after the rows, and the columns


def fits(features: int) -> bool:
    """Returns whether the kernels compute a convolution with this number of output channels."""
    return features % _FEATURES == 0


def native_conv(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "h w C F"],
    padding: Padding,
    bias: Float[Array, "F"] | None = None,
    *,
    pool: int = 1,
    relu: bool = False,
) -> Float[Array, "B H2 W2 F"]:
    """Convolves with stride 1 like `convolution.padded_conv`, on a CPU for which `library.load` has found kernels.

    Sums are float32, also over the pixels for the gradient of the kernel; bfloat16 is rounded once, at the end. The
    maps before pooling and ReLU are never in memory: the gradient needs the result, and the places of the maxima.

    Args:
        x: (B, H, W, C), float32, or bfloat16 where the CPU multiplies it.
        kernel: (h, w, C, F), F a multiple of 32.
        padding: zeros before and after the rows, and the columns.
        bias: (F,), added to each pixel; None adds none.
        pool: side of the windows of which the maximum is taken, at most MOST_POOL.
        relu: whether negative results become 0, after that.

    Returns:
        (B, H + zeros - h + 1, W + zeros - w + 1, F), rows and columns // pool, in the dtype of x.
    """
    assert pool <= MOST_POOL
    if x.dtype == jnp.bfloat16 and x.shape[3] % 2:  # the kernels take its channels in pairs
        x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, 1)))
        kernel = jnp.pad(kernel, ((0, 0), (0, 0), (0, 1), (0, 0)))
    bias = jnp.zeros(0) if bias is None else bias.astype(jnp.float32)
    return _conv(x, kernel, bias, padding, pool, relu)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def _conv(x, kernel, bias, padding, pool, relu):
    return _forward(x, kernel, bias, padding, pool, relu)[0]


def _forward(x, kernel, bias, padding, pool, relu):
    shape = (x.shape[0], *(side // pool for side in _sides(x, kernel, padding)), kernel.shape[3])
    y, places = jax.ShapeDtypeStruct(shape, x.dtype), None
    if pool == 1:
        y = _call("conv", y, padding, turned=False, relu=relu)(x, kernel, bias)
    else:
        outputs = y, jax.ShapeDtypeStruct(shape, jnp.uint8)
        y, places = _call("pooled_conv", outputs, padding, window=np.int64(pool), relu=relu)(x, kernel, bias)
    return y, (x, kernel, bias, y if relu else None, places)


def _sides(x, kernel, padding):
    """Returns the rows and the columns before pooling."""
    return [size + sum(pad) - taps + 1 for size, pad, taps in zip(x.shape[1:3], padding, kernel.shape, strict=False)]


def _call(name, outputs, padding, **options):
    (top, _), (left, _) = padding
    call = jax.ffi.ffi_call(library.target(name), outputs, vmap_method="sequential")
    return functools.partial(call, top=np.int64(top), left=np.int64(left), **options)


def _backward(padding, pool, relu, residuals, gradient):
    x, kernel, bias, y, places = residuals
    gradient = jnp.where(y > 0, gradient, 0) if relu else gradient
    gradient = gradient if pool == 1 else unpool(gradient, places, pool, _sides(x, kernel, padding))
    if fits(x.shape[3]):
        turned = tuple((taps - 1 - before,) * 2 for taps, (before, _) in zip(kernel.shape, padding, strict=False))
        of_x = jax.ShapeDtypeStruct(x.shape, x.dtype)
        of_x = _call("conv", of_x, turned, turned=True, relu=False)(gradient, kernel, jnp.zeros(0))
    else:  # of few channels, such as those of a picture
        names = ("NHWC", "HWIO", "NHWC")
        conv = functools.partial(
            jax.lax.conv_general_dilated, window_strides=(1, 1), padding=padding, dimension_numbers=names
        )
        (of_x,) = jax.linear_transpose(lambda x: conv(x, kernel), x)(gradient)
    of_kernel = _call("kernel_gradient", jax.ShapeDtypeStruct(kernel.shape, jnp.float32), padding)(x, gradient)
    # XLA's sum over pixels runs on one core, a matrix product on all of them.
    pixels = gradient.reshape(-1, gradient.shape[3])
    ones = jnp.ones((1, len(pixels)), pixels.dtype)
    of_bias = jnp.dot(ones, pixels, preferred_element_type=jnp.float32)[0] if bias.size else bias
    return of_x, of_kernel.astype(kernel.dtype), of_bias


_conv.defvjp(_forward, _backward)
