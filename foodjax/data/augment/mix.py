"""Boxes in pictures: cutout, and mixup and CutMix, which both mix a box of every picture with that of another.

Boxes are fractions of the side, so that they do not depend on the size at which the pictures are trained.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8

from foodjax.config.keys import Augment

_GREY = 128


class Mix(NamedTuple):
    """How B pictures are mixed.

    Attributes:
        partner: int32 (B,), whom each is mixed with.
        box: float32 (B, 4), where: top, bottom, left, right in 0..1.
        keep: float32 (B,), how much of the picture itself stays inside the box.
        share: float32 (B,), how much of the whole picture, and thus of its label, stays.
    """

    partner: np.ndarray
    box: np.ndarray
    keep: np.ndarray
    share: np.ndarray


def sample_boxes(rng: np.random.Generator, side: np.ndarray) -> np.ndarray:
    """Draws squares of the given sides (B,), 0..1, about any point of the picture and cut at its edges; (B, 4)."""
    row, column = rng.uniform(size=(2, len(side)))
    box = np.stack([row - side / 2, row + side / 2, column - side / 2, column + side / 2], axis=1)
    return np.clip(box, 0, 1).astype(np.float32)


def sample_mix(augment: Augment, rng: np.random.Generator, batch_size: int) -> Mix:
    """Draws mixup (Zhang et al. 2018) or CutMix (Yun et al. 2019) for each picture, or neither.

    Args:
        augment: config.augment; reads mixup and cutmix, the shares of the pictures, and the alphas of their Beta
            distributions.
        rng: draws them.
        batch_size: B.
    """
    partner = rng.permutation(batch_size).astype(np.int32)
    unit = rng.uniform(size=batch_size)
    # CutMix first: what both shares together leave of 1 is not mixed; above 1 mixup gives way.
    cut = unit < augment.cutmix
    blend = ~cut & (unit < augment.cutmix + augment.mixup)
    area = 1 - rng.beta(augment.cutmix_alpha, augment.cutmix_alpha, size=batch_size)
    weight = rng.beta(augment.mixup_alpha, augment.mixup_alpha, size=batch_size)
    box = np.where(cut[:, None], sample_boxes(rng, np.sqrt(area)), np.array([0, 1, 0, 1], np.float32))
    # Mixup leaves the larger part to the picture itself, so that its label is the one to predict.
    keep = np.where(cut, 0, np.where(blend, np.maximum(weight, 1 - weight), 1)).astype(np.float32)
    covered = (box[:, 1] - box[:, 0]) * (box[:, 3] - box[:, 2])
    return Mix(partner, box.astype(np.float32), keep, (1 - (1 - keep) * covered).astype(np.float32))


def inside(box: Float[Array, "B 4"], size: int) -> Bool[Array, "B {size} {size} 1"]:
    """Returns which pixels of a picture of side `size` have their middle in the box: bool (B, size, size, 1)."""
    middle = (jnp.arange(size, dtype=jnp.float32) + 0.5) / size
    top, bottom, left, right = (box[:, k, None] for k in range(4))
    row, column = (middle >= top) & (middle < bottom), (middle >= left) & (middle < right)
    return (row[:, :, None] & column[:, None, :])[..., None]


def cut_out(images: UInt8[Array, "B H H C"], box: Float[Array, "B 4"]) -> UInt8[Array, "B H H C"]:
    """Greys the boxes (DeVries and Taylor 2017)."""
    return jnp.where(inside(box, images.shape[1]), jnp.uint8(_GREY), images)


def mix_images(images: UInt8[Array, "B H H C"], mix: Mix) -> UInt8[Array, "B H H C"]:
    """Mixes the boxes of pictures with those of their partners."""
    keep = jnp.asarray(mix.keep)[:, None, None, None]
    images, partners = jax.lax.platform_dependent(images, jnp.asarray(mix.partner), cpu=_copy_pairs, default=_pairs)
    mixed = jnp.round(keep * images + (1 - keep) * partners).astype(jnp.uint8)
    return jnp.where(inside(jnp.asarray(mix.box), images.shape[1]), mixed, images)


def _pairs(images, partner):
    return images, images.at[partner].get(mode="promise_in_bounds")


def _copy_pairs(images, partner):
    # Anything else XLA would fuse with what makes the pictures, and make them again for each use: eight times as slow.
    def copy(pair):
        return tuple(jax.lax.dynamic_index_in_dim(images, i, keepdims=False) for i in pair)

    return jax.lax.map(copy, (jnp.arange(len(partner), dtype=partner.dtype), partner))
