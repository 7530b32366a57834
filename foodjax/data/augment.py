"""The tutorial's augmentation: drawing the parameters of a batch, and applying them as one affine map.

Drawing and applying are two things. The draws are plain arrays, a pure function of (seed, step); XLA applies them on
the CPU, eight times as fast as TensorFlow's ImageProjectiveTransformV3 (32 pictures of 128 pixels on one core: 1.9 ms
against 15.4 ms; 40 of 1.6 million values differ, by one level). The order is Keras' ImageDataGenerator: affine about
the centre (shift, then rotation), horizontal flip, vertical flip, brightness; empty corners take the nearest pixel.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

_STREAM = 1  # keeps these random numbers apart from those of the shuffle


class Draws(NamedTuple):
    """The random parameters of B images, each float32 (B,)."""

    angle: np.ndarray  # radians, positive turns as Keras' theta does
    shift_rows: np.ndarray  # pixels
    shift_columns: np.ndarray  # pixels
    flip_horizontal: np.ndarray  # 0 or 1
    flip_vertical: np.ndarray  # 0 or 1
    brightness: np.ndarray  # factor


def draw(augment: Any, seed: int, step: int, batch_size: int, image_size: int) -> Draws:
    """Draws the augmentation of the batch of one step.

    Args:
        augment: config.augment; rotation in degrees, shifts as fractions of the side.
        seed: of the run.
        step: the training step; the same (seed, step) always draws the same.
        batch_size: B.
        image_size: side in pixels.

    Returns:
        The parameters of B images.
    """
    rng = np.random.default_rng((seed, _STREAM, step))
    unit = rng.uniform(size=(6, batch_size))
    angle = np.deg2rad(augment.rotation) * (2 * unit[0] - 1)
    rows = augment.shift_rows * image_size * (2 * unit[1] - 1)
    columns = augment.shift_columns * image_size * (2 * unit[2] - 1)
    horizontal = (unit[3] < 0.5) & augment.flip_horizontal
    vertical = (unit[4] < 0.5) & augment.flip_vertical
    low, high = augment.brightness
    brightness = low + (high - low) * unit[5]
    return Draws(*(x.astype(np.float32) for x in (angle, rows, columns, horizontal, vertical, brightness)))


def projective_rows(draws: Draws, image_size: int) -> np.ndarray:
    """Returns the affine maps as the rows that TensorFlow's ImageProjectiveTransformV3 takes too.

    Output pixel (x, y) takes the input at (a0 x + a1 y + a2, b0 x + b1 y + b2). With c = cos t, s = sin t,
    o = (n - 1) / 2, flips fx, fy = +-1 and shifts dr, dc in pixels of rows and columns:

        x = c (fx (x' - o) + dc) - s (fy (y' - o) + dr) + o
        y = s (fx (x' - o) + dc) + c (fy (y' - o) + dr) + o

    Args:
        draws: the parameters of B images.
        image_size: n, pixels.

    Returns:
        float32 (B, 8): a0, a1, a2, b0, b1, b2, 0, 0.
    """
    o = (image_size - 1) / 2
    c, s = np.cos(draws.angle), np.sin(draws.angle)
    fx, fy = 1 - 2 * draws.flip_horizontal, 1 - 2 * draws.flip_vertical
    x, y = draws.shift_columns - fx * o, draws.shift_rows - fy * o
    zero = np.zeros_like(c)
    rows = [c * fx, -s * fy, o + c * x - s * y, s * fx, c * fy, o + s * x + c * y, zero, zero]
    return np.stack(rows, axis=1).astype(np.float32)


@jax.jit
def transform(
    images: UInt8[Array, "B H H C"], rows: Float[Array, "B 8"], brightness: Float[Array, "B"]
) -> UInt8[Array, "B H H C"]:
    """Moves and darkens pictures; a pure function for any device.

    Args:
        images: uint8 (B, H, H, C).
        rows: the maps of `projective_rows`, float32 (B, 8); bilinear, outside the picture its nearest pixel.
        brightness: factors, float32 (B,). The values are truncated to integers before and after, as Keras does.

    Returns:
        uint8 (B, H, H, C).
    """
    batch, size = images.shape[:2]
    x, y = jnp.arange(size, dtype=jnp.float32)[None, None, :], jnp.arange(size, dtype=jnp.float32)[None, :, None]
    a0, a1, a2, b0, b1, b2 = (rows[:, k, None, None] for k in range(6))
    x_in, y_in = jnp.clip(a0 * x + a1 * y + a2, 0, size - 1), jnp.clip(b0 * x + b1 * y + b2, 0, size - 1)  # (B, H, H)
    left, top = x_in.astype(jnp.int32), y_in.astype(jnp.int32)
    right, bottom = jnp.minimum(left + 1, size - 1), jnp.minimum(top + 1, size - 1)
    along_x, along_y = (x_in - left)[..., None], (y_in - top)[..., None]
    picture = jnp.arange(batch)[:, None, None]

    def pixel(row, column):
        return images.at[picture, row, column].get(mode="promise_in_bounds").astype(jnp.float32)

    above = (1 - along_x) * pixel(top, left) + along_x * pixel(top, right)
    below = (1 - along_x) * pixel(bottom, left) + along_x * pixel(bottom, right)
    moved = jnp.floor((1 - along_y) * above + along_y * below)
    return jnp.minimum(moved * brightness[:, None, None, None], 255).astype(jnp.uint8)


def apply_draws(images: np.ndarray, draws: Draws) -> np.ndarray:
    """Augments uint8 images (B, H, H, C) as drawn, on the host's CPU; returns uint8 of the same shape."""
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        return np.asarray(transform(images, projective_rows(draws, images.shape[1]), draws.brightness))
