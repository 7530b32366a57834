"""Convolution with stride 1, in the form that is fastest for its layer, with the values of the textbook form.

On a CPU with AVX-512 that is a native kernel; without one, XLA's own convolution. A 5 x 5 convolution of many channels
is faster in Winograd's form, and one of tiny maps as a matrix product. Accelerators use XLA's own.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from foodjax.models.forms import by_platform, native_level
from foodjax.models.native.conv import fits, native_conv
from foodjax.models.ops import MOST_POOL, add_bias, max_pool
from foodjax.models.slices import cut
from foodjax.models.winograd import Padding, winograd_conv

# Measured: Winograd's form is faster for 5 x 5 kernels of 128 and 512 channels and not for 3 x 3. With few channels its
# transforms cost more than the products they save; the limit of 64 is an estimate.
_WINOGRAD_KERNEL = 5
_WINOGRAD_CHANNELS = 64


def conv(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "h w C F"],
    padding: str,
    size: tuple[int, int] | None = None,
    bias: Float[Array, "F"] | None = None,
    *,
    pool: int = 1,
    relu: bool = False,
) -> Float[Array, "B H2 W2 F"]:
    """Convolves with stride 1.

    Args:
        x: (B, H, W, C).
        kernel: (h, w, C, F).
        padding: "SAME" (zeros around the picture) or "VALID".
        size: number of rows and columns to compute, from the first on; None computes all.
        bias: (F,), added to each pixel; None adds none.
        pool: side of the windows of which the maximum is taken, as `ops.max_pool` does.
        relu: whether negative results become 0.

    Returns:
        (B, H, W, F) for SAME, (B, H - h + 1, W - w + 1, F) for VALID; or (B, *size, F); rows and columns // pool.
    """
    pads = []
    for axis, taps in enumerate(kernel.shape[:2]):
        before = (taps - 1) // 2 if padding == "SAME" else 0
        inputs = x.shape[axis + 1]
        outputs = size[axis] if size else inputs - (0 if padding == "SAME" else taps - 1)
        needed = outputs + taps - 1 - before
        x = lax.slice_in_dim(x, 0, min(needed, inputs), axis=axis + 1)
        pads.append((before, max(needed - inputs, 0)))
    return padded_conv(x, kernel, tuple(pads), bias, pool=pool, relu=relu)


def padded_conv(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "h w C F"],
    padding: Padding,
    bias: Float[Array, "F"] | None = None,
    *,
    pool: int = 1,
    relu: bool = False,
) -> Float[Array, "B H2 W2 F"]:
    """Convolves with stride 1.

    Args:
        x: (B, H, W, C).
        kernel: (h, w, C, F).
        padding: zeros before and after the rows, and the columns.
        bias: (F,), added to each pixel; None adds none.
        pool: side of the windows of which the maximum is taken, as `ops.max_pool` does.
        relu: whether negative results become 0.

    Returns:
        (B, H + zeros - h + 1, W + zeros - w + 1, F), rows and columns // pool.
    """
    pixels = math.prod(
        side + sum(zeros) - taps + 1 for side, zeros, taps in zip(x.shape[1:3], padding, kernel.shape[:2], strict=True)
    )
    form = form_on_cpu(native_level(), str(x.dtype), kernel.shape, pixels)

    if form.startswith("native"):
        dtype = x.dtype if form == "native" else jnp.float32  # a CPU that has no products of bfloat16

        def native(x, kernel, *bias):
            own = pool if pool <= MOST_POOL else 1
            y = native_conv(x.astype(dtype), kernel.astype(dtype), padding, *bias, pool=own, relu=relu)
            return max_pool(y, pool // own).astype(x.dtype)

        def direct(x, kernel, *bias):
            y = direct_conv(x, kernel, padding)
            y = max_pool(y + bias[0].astype(y.dtype) if bias else y, pool)
            return jax.nn.relu(y) if relu else y

        operands = (x, kernel) if bias is None else (x, kernel, bias)
        return by_platform(*operands, cpu=native, default=direct)
    if form == "direct":
        y = direct_conv(x, kernel, padding)
    else:
        on_cpu = winograd_conv if form == "winograd" else product_conv
        y = by_platform(
            x,
            kernel,
            cpu=functools.partial(on_cpu, padding=padding),
            default=functools.partial(direct_conv, padding=padding),
        )
    y = max_pool(y if bias is None else add_bias(y, bias.astype(x.dtype)), pool)
    return jax.nn.relu(y) if relu else y


def form_on_cpu(level: str, dtype: str, kernel: tuple[int, ...], pixels: int) -> str:
    """Returns the fastest form of a convolution on CPU.

    It is "direct" (XLA's own), "product", "winograd", "native", or "native32", which computes bfloat16 in float32.

    Args:
        level: of the native kernels, `native.library.level`; "" for none.
        dtype: of the maps.
        kernel: its shape (h, w, C, F).
        pixels: number of output pixels of a picture.

    Example:
        >>> form_on_cpu("", "float32", (3, 3, 64, 64), 900)
        'direct'
        >>> form_on_cpu("avx512_bf16", "bfloat16", (3, 3, 64, 64), 900)
        'native'
    """
    h, w, channels, features = kernel
    if h == w == _WINOGRAD_KERNEL and channels >= _WINOGRAD_CHANNELS:
        return "winograd"
    if pixels < h * w:  # XLA's own form is plain loops here: 36 times as slow for 3 x 3 kernels on 2 x 2 maps
        return "product"
    if level and dtype in ("float32", "bfloat16") and fits(features):
        return "native" if dtype == "float32" or level == "avx512_bf16" else "native32"
    return "direct"


def direct_conv(
    x: Float[Array, "B H W C"], kernel: Float[Array, "h w C F"], padding: Padding
) -> Float[Array, "B H2 W2 F"]:
    """Convolves as `conv` does, with XLA's own convolution."""
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def product_conv(
    x: Float[Array, "B H W C"], kernel: Float[Array, "h w C F"], padding: Padding
) -> Float[Array, "B H2 W2 F"]:
    """Convolves as `conv` does, by one matrix product of all patches and the kernel."""
    h, w, channels, features = kernel.shape
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    rows, columns = x.shape[1] - h + 1, x.shape[2] - w + 1
    x = jnp.concatenate(
        [cut(x, slice(i, i + rows), slice(j, j + columns)) for i in range(h) for j in range(w)], axis=-1
    )
    y = x.reshape(-1, h * w * channels) @ kernel.reshape(-1, features)
    return y.reshape(-1, rows, columns, features)
