"""Pointwise convolution: a matrix product of every pixel's channels.

XLA makes the same product of a 1 x 1 convolution, but computes the gradient of its kernel as a convolution: up to three
times as slow on large maps on CPU.
"""

import functools

from jax import lax
from jaxtyping import Array, Float

from foodjax.models.forms import by_platform
from foodjax.models.slices import cut


def pointwise_conv(
    x: Float[Array, "B H W C"], kernel: Float[Array, "1 1 C F"], stride: int = 1
) -> Float[Array, "B H2 W2 F"]:
    """Convolves with a 1 x 1 kernel, without padding and bias.

    Args:
        x: (B, H, W, C).
        kernel: (1, 1, C, F).
        stride: s, in pixels, of rows and columns.

    Returns:
        (B, H2, W2, F) with H2 = ceil(H / s), and W2 likewise.
    """
    return by_platform(
        x,
        kernel,
        cpu=functools.partial(pixel_product, stride=stride),
        default=functools.partial(direct_pointwise_conv, stride=stride),
    )


def direct_pointwise_conv(
    x: Float[Array, "B H W C"], kernel: Float[Array, "1 1 C F"], stride: int
) -> Float[Array, "B H2 W2 F"]:
    """Convolves as `pointwise_conv` does, with XLA's own convolution."""
    names = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (stride, stride), "VALID", dimension_numbers=names)


def pixel_product(
    x: Float[Array, "B H W C"], kernel: Float[Array, "1 1 C F"], stride: int
) -> Float[Array, "B H2 W2 F"]:
    """Convolves as `pointwise_conv` does, as a matrix product of the pixels and the kernel."""
    x = cut(x, slice(None, None, stride), slice(None, None, stride))
    y = x.reshape(-1, x.shape[3]) @ kernel[0, 0]
    return y.reshape(*x.shape[:3], -1)
