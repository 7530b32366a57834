"""Random parameters of the augmentation: plain arrays, a pure function of (seed, step). `apply` uses them."""

from typing import NamedTuple

import numpy as np

from foodjax.config.photo_keys import Augment
from foodjax.data.augment import colour as colours
from foodjax.data.augment.blur import sample_blur
from foodjax.data.augment.mix import Mix, sample_boxes, sample_mix

_STREAM = 1  # keeps these random numbers apart from those of the shuffle


class AugmentParams(NamedTuple):
    """The random parameters of B images, float32. An operation whose field is None is left out."""

    angle: np.ndarray  # (B,) radians, with the sign of Keras' theta
    shift_rows: np.ndarray  # (B,) pixels
    shift_columns: np.ndarray  # (B,) pixels
    flip_horizontal: np.ndarray  # (B,) 0 or 1
    flip_vertical: np.ndarray  # (B,) 0 or 1
    brightness: np.ndarray  # (B,) factor
    crop: np.ndarray | None = None  # (B, 4) row, column of its centre from the picture's, pixels; height, width in 0..1
    shear: np.ndarray | None = None  # (B, 2) columns per row, rows per column
    colour: np.ndarray | None = None  # (B, 3, 4) affine map of the channels
    cutout: np.ndarray | None = None  # (B, 4) top, bottom, left, right in 0..1
    mix: Mix | None = None
    blur: np.ndarray | None = None  # (B,) standard deviation, fraction of the side


def sample_params(augment: Augment, seed: int, step: int, batch_size: int, image_size: int) -> AugmentParams:
    """Samples the augmentation of one step's batch.

    Args:
        augment: config.augment; rotation in degrees, shifts as fractions of the side.
        seed: the run's seed.
        step: the training step; the same (seed, step) always gives the same parameters.
        batch_size: B.
        image_size: side of the prepared pictures in pixels.

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
    sampled = AugmentParams(*(x.astype(np.float32) for x in (angle, rows, columns, horizontal, vertical, brightness)))
    if tuple(augment.crop_area) != (1.0, 1.0) or augment.crop_aspect > 1:
        sampled = sampled._replace(crop=_sample_crop(augment, rng, batch_size, image_size))
    if augment.contrast or augment.saturation or augment.hue:
        sampled = sampled._replace(colour=colours.sample_colour(augment, rng, batch_size))
    if augment.randaugment_ops:
        sampled = _sample_randaugment(sampled, augment, rng, image_size)
    if augment.cutout:
        sampled = sampled._replace(cutout=sample_boxes(rng, np.full(batch_size, augment.cutout)))
    if augment.mixup or augment.cutmix:
        sampled = sampled._replace(mix=sample_mix(augment, rng, batch_size))
    if augment.blur:  # last, so that the others keep their numbers
        sampled = sampled._replace(blur=sample_blur(augment.blur, rng, batch_size))
    return sampled


def _sample_crop(augment: Augment, rng: np.random.Generator, batch_size: int, image_size: int) -> np.ndarray:
    """Samples crops of random area and aspect anywhere in the picture (Szegedy et al. 2015); float32 (B, 4)."""
    low, high = augment.crop_area
    unit = rng.uniform(size=(4, batch_size))
    area = low + (high - low) * unit[0]
    aspect = augment.crop_aspect ** (2 * unit[1] - 1)
    height, width = np.minimum(np.sqrt(area / aspect), 1), np.minimum(np.sqrt(area * aspect), 1)
    rows, columns = ((1 - side) * image_size * (u - 0.5) for side, u in ((height, unit[2]), (width, unit[3])))
    return np.stack([rows, columns, height, width], axis=1).astype(np.float32)


def _sample_randaugment(
    sampled: AugmentParams, augment: Augment, rng: np.random.Generator, image_size: int
) -> AugmentParams:
    """Adds random operations to each picture, as RandAugment does (Cubuk et al. 2020).

    One of: nothing, rotation by 30 degrees, two shears by 0.3, two shifts by 0.45 of the side, and brightness,
    contrast and saturation by a factor 1 + 0.9; all amounts times randaugment_magnitude and a random sign.
    """
    batch_size = len(sampled.angle)
    angle, rows, columns = sampled.angle.copy(), sampled.shift_rows.copy(), sampled.shift_columns.copy()
    shear = np.zeros((batch_size, 2), np.float32)
    colour = colours.identity(batch_size) if sampled.colour is None else sampled.colour
    for _ in range(augment.randaugment_ops):
        kind = rng.integers(9, size=batch_size)
        sign = augment.randaugment_magnitude * (2 * rng.integers(2, size=batch_size) - 1)

        def amount(number, most, kind=kind, sign=sign):
            return np.where(kind == number, most * sign, 0).astype(np.float32)

        angle += amount(1, np.deg2rad(30))
        shear[:, 0] += amount(2, 0.3)
        shear[:, 1] += amount(3, 0.3)
        rows += amount(4, 0.45 * image_size)
        columns += amount(5, 0.45 * image_size)
        colour = colours.compose(colours.brightness(1 + amount(6, 0.9)), colour)
        colour = colours.compose(colours.contrast(1 + amount(7, 0.9)), colour)
        colour = colours.compose(colours.saturation(1 + amount(8, 0.9)), colour)
    return sampled._replace(angle=angle, shift_rows=rows, shift_columns=columns, shear=shear, colour=colour)
