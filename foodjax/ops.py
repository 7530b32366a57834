"""Convolution and pooling in the forms that XLA runs fast, with the values of the textbook forms.

On CPU, XLA runs an unpadded convolution 2 to 5 times slower than a padded one that is cropped afterwards, and
the gradient of a pooling by reshape and max is far cheaper than reduce_window's select-and-scatter (which
deterministic GPU runs may even refuse).
"""

import jax
from jax import lax
from jaxtyping import Array, Float


def conv(x: Float[Array, "B H W C"], kernel: Float[Array, "h w C F"], padding: str) -> Float[Array, "B H2 W2 F"]:
    """Convolves with stride 1, without bias.

    Args:
        x: (B, H, W, C).
        kernel: (h, w, C, F).
        padding: "SAME" (zeros around the picture) or "VALID".

    Returns:
        (B, H, W, F) for SAME, (B, H - h + 1, W - w + 1, F) for VALID.
    """

    def direct(x, kernel, padding=padding):
        return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def cropped(x, kernel):
        h, w = kernel.shape[:2]
        y = direct(x, kernel, "SAME")
        top, left = (h - 1) // 2, (w - 1) // 2  # SAME pads this much before the picture
        return y[:, top : top + x.shape[1] - h + 1, left : left + x.shape[2] - w + 1]

    if padding == "VALID":
        return lax.platform_dependent(x, kernel, cpu=cropped, default=direct)
    return direct(x, kernel)


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
