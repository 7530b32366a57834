"""The tutorial's augmentation: drawing the parameters of a batch, and turning them into one affine map.

Drawing and applying are two things. The draws are plain arrays, a pure function of (seed, step); any back end
can apply them. The order is Keras' ImageDataGenerator: affine about the centre (shift, then rotation), horizontal
flip, vertical flip, brightness; empty corners take the nearest pixel.
"""

from typing import Any, NamedTuple

import numpy as np

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
    """Returns the affine maps as the rows that TensorFlow's ImageProjectiveTransformV3 takes.

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
