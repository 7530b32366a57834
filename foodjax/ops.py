"""Convolution and pooling in the forms that XLA runs fast, with the values of the textbook forms.

On CPU a 5 x 5 convolution of many channels is fastest as Winograd's, forward and backward. The gradient of a
pooling by reshape and pairwise maximum is far cheaper than reduce_window's select-and-scatter (which deterministic
GPU runs may even refuse). Accelerators keep their own convolution.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from foodjax.winograd import winograd_conv

# Measured: it pays for 5 x 5 kernels of 128 and 512 channels and does not for 3 x 3. With few channels its transforms
# cost more than the products they save; 64, where that should turn, is an estimate.
_WINOGRAD_KERNEL = 5
_WINOGRAD_CHANNELS = 64


def conv(x: Float[Array, "B H W C"], kernel: Float[Array, "h w C F"], padding: str) -> Float[Array, "B H2 W2 F"]:
    """Convolves with stride 1, without bias.

    Args:
        x: (B, H, W, C).
        kernel: (h, w, C, F).
        padding: "SAME" (zeros around the picture) or "VALID".

    Returns:
        (B, H, W, F) for SAME, (B, H - h + 1, W - w + 1, F) for VALID.
    """
    h, w, channels, _ = kernel.shape
    direct = functools.partial(direct_conv, padding=padding)
    # Winograd's sums cancel: bfloat16 has too few digits for them.
    if h == w == _WINOGRAD_KERNEL and channels >= _WINOGRAD_CHANNELS and x.dtype != jnp.bfloat16:
        return lax.platform_dependent(x, kernel, cpu=functools.partial(winograd_conv, padding=padding), default=direct)
    return direct(x, kernel)


def direct_conv(x: Float[Array, "B H W C"], kernel: Float[Array, "h w C F"], padding: str) -> Float[Array, "B H2 W2 F"]:
    """The convolution of `conv` as XLA has it."""
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def space_to_depth(x: Float[Array, "B H W C"], patch: int) -> Float[Array, "B H2 W2 D"]:
    """Turns patches that do not overlap into channels; rows and columns that fill no patch are dropped.

    Args:
        x: (B, H, W, C).
        patch: p, side of a patch in pixels.

    Returns:
        (B, H // p, W // p, p p C), channels in the order (row, column, channel).
    """
    batch, height, width, channels = x.shape
    h, w = height // patch, width // patch
    x = x[:, : h * patch, : w * patch].reshape(batch, h, patch, w, patch, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, h, w, patch * patch * channels)


def max_pool(x: Float[Array, "B H W C"], window: int) -> Float[Array, "B H2 W2 C"]:
    """Takes the maximum of windows that do not overlap; rows and columns that fill no window are dropped.

    Args:
        x: (B, H, W, C).
        window: side and stride of the window, in pixels.

    Returns:
        (B, H // window, W // window, C).
    """
    if window == 1:
        return x
    batch, height, width, channels = x.shape
    h, w = height // window, width // window
    x = x[:, : h * window, : w * window].reshape(batch, h, window, w, window, channels)
    # Pairwise maxima: autodiff turns them into selects, which fuse; jnp.max would count ties and divide.
    rows = x[:, :, 0]
    for i in range(1, window):
        rows = jax.numpy.maximum(rows, x[:, :, i])
    out = rows[:, :, :, 0]
    for j in range(1, window):
        out = jax.numpy.maximum(out, rows[:, :, :, j])
    return out  # (B, h, w, C)
