"""Colour changes as affine maps of the channels, y = M x + b for each picture, kept as float32 (B, 3, 4) = (M | b).

Maps compose, so that any number of changes costs one pass over the pixels.
"""

import numpy as np
from jaxtyping import Array, Float

from foodjax.config.photo_keys import Augment

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_MID_GREY = 127.5


def _map(matrix: np.ndarray, offset: np.ndarray | None = None) -> np.ndarray:
    """Joins matrices (B, 3, 3) and offsets (B, 3, 1); None is no offset."""
    offset = np.zeros((len(matrix), 3, 1)) if offset is None else offset
    return np.concatenate([matrix, offset], axis=2).astype(np.float32)


def identity(batch_size: int) -> np.ndarray:
    """Returns the maps that change nothing."""
    return brightness(np.ones(batch_size))


def brightness(factor: np.ndarray) -> np.ndarray:
    """Returns the maps that multiply by `factor` (B,)."""
    return _map(factor[:, None, None] * np.eye(3))


def contrast(factor: np.ndarray) -> np.ndarray:
    """Returns the maps that multiply the distance from mid-grey by `factor` (B,)."""
    offset = np.repeat((1 - factor)[:, None, None] * _MID_GREY, 3, axis=1)
    return _map(factor[:, None, None] * np.eye(3), offset)


def saturation(factor: np.ndarray) -> np.ndarray:
    """Returns the maps that multiply the distance from the grey picture of the same luma by `factor` (B,)."""
    f = factor[:, None, None]
    return _map(f * np.eye(3) + (1 - f) * np.tile(_LUMA, (3, 1)))


def hue(angle: np.ndarray) -> np.ndarray:
    """Returns the maps that turn colours about the grey axis by `angle` (B,) radians (Rodrigues' formula)."""
    axis = np.full(3, 1 / np.sqrt(3))
    cross = np.cross(np.eye(3), axis)
    c, s = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    return _map(c * np.eye(3) + s * cross + (1 - c) * np.outer(axis, axis))


def compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Returns the maps that apply `first`, then `second`."""
    matrix, offset = second[:, :, :3], second[:, :, 3:]
    return _map(matrix @ first[:, :, :3], matrix @ first[:, :, 3:] + offset)


def sample_colour(augment: Augment, rng: np.random.Generator, batch_size: int) -> np.ndarray:
    """Samples contrast, saturation and hue of `config.augment`; returns their maps, float32 (B, 3, 4)."""
    unit = rng.uniform(-1, 1, size=(3, batch_size))
    changes = compose(saturation(1 + augment.saturation * unit[1]), contrast(1 + augment.contrast * unit[0]))
    return compose(hue(np.deg2rad(augment.hue) * unit[2]), changes)


def apply(images: Float[Array, "B H W 3"], colour: Float[Array, "B 3 4"]) -> Float[Array, "B H W 3"]:
    """Applies maps to the channels of pictures (B, H, W, 3), without clipping."""
    channels = [images[..., k, None] * colour[:, None, None, :, k] for k in range(3)]  # no matrix product: exact on GPU
    return channels[0] + channels[1] + channels[2] + colour[:, None, None, :, 3]
