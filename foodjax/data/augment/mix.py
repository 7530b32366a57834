"""Cutout, mixup and CutMix; the last two mix a box of each picture with the same box of another picture.

Boxes are given as fractions of the side, so that they do not depend on the size of the training pictures.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8

from foodjax.config.photo_keys import Augment

_GREY = 128


class Mix(NamedTuple):
    """The random parameters of mixing B pictures.

    Attributes:
        partner: int32 (B,), row of the other picture.
        box: float32 (B, 4), the box to mix: top, bottom, left, right in 0..1.
        keep: float32 (B,), weight of the picture itself inside the box.
        share: float32 (B,), weight of the picture itself on average over all pixels, which is the weight of its label.
    """

    partner: np.ndarray
    box: np.ndarray
    keep: np.ndarray
    share: np.ndarray


def sample_boxes(rng: np.random.Generator, side: np.ndarray) -> np.ndarray:
    """Samples squares of sides (B,), 0..1, centred anywhere in the picture and clipped at its edges; float32 (B, 4)."""
    row, column = rng.uniform(size=(2, len(side)))
    box = np.stack([row - side / 2, row + side / 2, column - side / 2, column + side / 2], axis=1)
    return np.clip(box, 0, 1).astype(np.float32)


def sample_mix(augment: Augment, rng: np.random.Generator, batch_size: int) -> Mix:
    """Samples mixup (Zhang et al. 2018), CutMix (Yun et al. 2019) or neither for each picture.

    Args:
        augment: config.augment; reads mixup and cutmix, the fractions of pictures, and the alphas of their Beta
            distributions.
        rng: source of the random numbers.
        batch_size: B.
    """
    partner = rng.permutation(batch_size).astype(np.int32)
    unit = rng.uniform(size=batch_size)
    # CutMix comes first, then mixup (fewer, if both add up to more than 1); other pictures are not mixed.
    cut = unit < augment.cutmix
    blend = ~cut & (unit < augment.cutmix + augment.mixup)
    area = 1 - rng.beta(augment.cutmix_alpha, augment.cutmix_alpha, size=batch_size)
    weight = rng.beta(augment.mixup_alpha, augment.mixup_alpha, size=batch_size)
    box = np.where(cut[:, None], sample_boxes(rng, np.sqrt(area)), np.array([0, 1, 0, 1], np.float32))
    # The picture itself gets the larger weight in mixup, so that its label is the one to predict.
    keep = np.where(cut, 0, np.where(blend, np.maximum(weight, 1 - weight), 1)).astype(np.float32)
    covered = (box[:, 1] - box[:, 0]) * (box[:, 3] - box[:, 2])
    return Mix(partner, box.astype(np.float32), keep, (1 - (1 - keep) * covered).astype(np.float32))


def inside(box: Float[Array, "B 4"], size: int) -> Bool[Array, "B {size} {size} 1"]:
    """Returns a mask of the pixels whose centre lies in the box: bool (B, size, size, 1)."""
    middle = (jnp.arange(size, dtype=jnp.float32) + 0.5) / size
    top, bottom, left, right = (box[:, k, None] for k in range(4))
    row, column = (middle >= top) & (middle < bottom), (middle >= left) & (middle < right)
    return (row[:, :, None] & column[:, None, :])[..., None]


def cut_out(images: UInt8[Array, "B H H C"], box: Float[Array, "B 4"]) -> UInt8[Array, "B H H C"]:
    """Fills the boxes with grey (DeVries and Taylor 2017)."""
    return jnp.where(inside(box, images.shape[1]), jnp.uint8(_GREY), images)


def mix_images(images: UInt8[Array, "B H H C"], mix: Mix) -> UInt8[Array, "B H H C"]:
    """Mixes the box of each picture with the same box of its partner."""
    keep = jnp.asarray(mix.keep)[:, None, None, None]
    images, partners = jax.lax.platform_dependent(images, jnp.asarray(mix.partner), cpu=_copy_pairs, default=_pairs)
    mixed = jnp.round(keep * images + (1 - keep) * partners).astype(jnp.uint8)
    return jnp.where(inside(jnp.asarray(mix.box), images.shape[1]), mixed, images)


def _pairs(images, partner):
    return images, images.at[partner].get(mode="promise_in_bounds")


def _copy_pairs(images, partner):
    # XLA would fuse any other form with the augmentation and repeat that for every use: eight times as slow.
    def copy(pair):
        return tuple(jax.lax.dynamic_index_in_dim(images, i, keepdims=False) for i in pair)

    return jax.lax.map(copy, (jnp.arange(len(partner), dtype=partner.dtype), partner))
