"""The native convolution in JAX: forward and both gradients are kernels of `conv.cc`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from foodjax.models.native import library

_FEATURES = 32  # that the kernels compute at a time

Padding = tuple[tuple[int, int], tuple[int, int]]  # zeros before and after the rows, and the columns


def fits(features: int) -> bool:
    """Returns whether the kernels compute a convolution with this number of output channels."""
    return features % _FEATURES == 0


def native_conv(
    x: Float[Array, "B H W C"], kernel: Float[Array, "h w C F"], padding: Padding
) -> Float[Array, "B H2 W2 F"]:
    """Convolves with stride 1 like `convolution.padded_conv`, on a CPU for which `library.load` has found kernels.

    Sums are float32, also over the pixels for the gradient of the kernel; bfloat16 is rounded once, at the end.

    Args:
        x: (B, H, W, C), float32, or bfloat16 where the CPU multiplies it.
        kernel: (h, w, C, F), F a multiple of 32.
        padding: zeros before and after the rows, and the columns.

    Returns:
        (B, H + zeros - h + 1, W + zeros - w + 1, F), in the dtype of x.
    """
    if x.dtype == jnp.bfloat16 and x.shape[3] % 2:  # the kernels take its channels in pairs
        x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, 1)))
        kernel = jnp.pad(kernel, ((0, 0), (0, 0), (0, 1), (0, 0)))
    return _conv(x, kernel, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv(x, kernel, padding):
    sides = (size + sum(pad) - taps + 1 for size, pad, taps in zip(x.shape[1:3], padding, kernel.shape, strict=False))
    return _call(x, kernel, (x.shape[0], *sides, kernel.shape[3]), padding, turned=False)


def _call(x, kernel, shape, padding, *, turned):
    (top, _), (left, _) = padding
    call = jax.ffi.ffi_call(library.target("conv"), jax.ShapeDtypeStruct(shape, x.dtype), vmap_method="sequential")
    return call(x, kernel, top=np.int64(top), left=np.int64(left), turned=turned)


def _forward(x, kernel, padding):
    return _conv(x, kernel, padding), (x, kernel)


def _backward(padding, residuals, gradient):
    x, kernel = residuals
    if fits(x.shape[3]):
        turned = tuple((taps - 1 - before,) * 2 for taps, (before, _) in zip(kernel.shape, padding, strict=False))
        of_x = _call(gradient, kernel, x.shape, turned, turned=True)
    else:  # of few channels, such as those of a picture
        names = ("NHWC", "HWIO", "NHWC")
        conv = functools.partial(
            jax.lax.conv_general_dilated, window_strides=(1, 1), padding=padding, dimension_numbers=names
        )
        (of_x,) = jax.linear_transpose(lambda x: conv(x, kernel), x)(gradient)
    call = jax.ffi.ffi_call(
        library.target("kernel_gradient"), jax.ShapeDtypeStruct(kernel.shape, jnp.float32), vmap_method="sequential"
    )
    (top, _), (left, _) = padding
    of_kernel = call(x, gradient, top=np.int64(top), left=np.int64(left))
    return of_x, of_kernel.astype(kernel.dtype)


_conv.defvjp(_forward, _backward)
