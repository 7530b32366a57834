"""The random parameters of a part of a batch, as one of several processes makes it."""

import jax
import numpy as np

from foodjax.data.augment.sample import AugmentParams

_SIZES = 4  # the pictures beside the part come in multiples of a quarter of it: each number of them is compiled once


def part_of(sampled: AugmentParams, own: np.ndarray) -> tuple[np.ndarray, AugmentParams]:
    """Returns the pictures that a part of a batch needs, and the parameters of these.

    Args:
        sampled: the parameters of B images.
        own: the rows of the part, (b,), all different.

    Returns:
        Rows of the batch (n,), those of `own` first. Without mixing n is b; else those follow that the part is mixed
        with, and some are repeated. And the parameters of the n images.
    """
    mix = sampled.mix
    if mix is None:
        return own, jax.tree.map(lambda x: x[own], sampled)
    partners = mix.partner[own]
    # A picture that keeps all of itself is mixed with itself, so that the other one is not made for it.
    partners = np.where(mix.keep[own] < 1, partners, own)
    others = np.setdiff1d(partners, own)
    multiple = -(-len(own) // _SIZES)
    needed = np.concatenate([own, others, np.full(-len(others) % multiple, own[0])])
    place = np.zeros(len(mix.partner), np.int32)
    place[others], place[own] = len(own) + np.arange(len(others)), np.arange(len(own))
    of_all = jax.tree.map(lambda x: x[needed], sampled)
    partner = np.concatenate([place[partners], np.arange(len(own), len(needed))]).astype(np.int32)
    return needed, of_all._replace(mix=of_all.mix._replace(partner=partner))
