"""What training makes of photographs: the pictures of a step's batch, and one photograph many times."""

from typing import NamedTuple

import numpy as np

from foodjax.config.keys import Config
from foodjax.data.augment.apply import apply_params
from foodjax.data.augment.sample import sample_params
from foodjax.data.batches import train_batch
from foodjax.data.images import check_images
from foodjax.data.sets import Data

_VERSIONS = 12  # of one photograph
_OF_BATCH = 10  # pictures of a batch that are shown


class Versions(NamedTuple):
    """One photograph, augmented several times.

    Attributes:
        images: uint8 (12, h, h, 3), with h = config.input_size.
        shares: for each what a mixture keeps of the photograph, in words; "" for a picture that is not mixed.
        mixed: whether mixup or CutMix are part of the augmentation.
    """

    images: np.ndarray
    shares: list[str]
    mixed: bool


class FirstBatch(NamedTuple):
    """The first pictures of the batch of a training step.

    Attributes:
        epoch: of the step, from 1; it is the first step of that epoch.
        size: side of the pictures, pixels.
        total: number of pictures in the batch.
        images: uint8 (B, size, size, 3).
        captions: the label of each; of mixed pictures both, with their weights.
    """

    epoch: int
    size: int
    total: int
    images: np.ndarray
    captions: list[str]


def augmented(config: Config, photo: np.ndarray, others: np.ndarray) -> Versions:
    """Augments a photograph twelve times as training does, mixtures included.

    Args:
        config: the experiment; reads augment, seed and the size of the network's input.
        photo: uint8 (H, H, 3).
        others: photographs that it is mixed with, uint8 (N, H, H, 3), N > 0.

    Raises:
        TypeError: they are not uint8.
        ValueError: they have another shape.
    """
    photo = check_images(photo, ndims=(3,))
    others = check_images(others, photo.shape[0])
    # The second half of the batch are the partners; each is augmented too, as in training.
    batch = np.concatenate([np.stack([photo] * _VERSIONS), others[np.arange(_VERSIONS) % len(others)]])
    sampled = sample_params(config.augment, config.seed, 0, len(batch), photo.shape[0])
    shares = [""] * _VERSIONS
    if sampled.mix is not None:
        partner = (np.arange(len(batch), dtype=np.int32) + _VERSIONS) % len(batch)
        kept = sampled.mix.share[:_VERSIONS].tolist()
        shares = ["" if share > 0.995 else f"{share:.0%} of it" for share in kept]
        sampled = sampled._replace(mix=sampled.mix._replace(partner=partner))
    images = apply_params(batch, sampled, config.input_size)[:_VERSIONS]
    return Versions(images, shares, sampled.mix is not None)


def first_batches(config: Config, data: Data) -> list[FirstBatch]:
    """Returns what the first step of training gets, and that of each epoch from which pictures have another size.

    A probe takes no steps: it has none.
    """
    if config.train.solver == "probe":
        return []
    steps = len(data.parts.train) // config.data.batch_size
    epochs = {0, *(epoch for epoch, _ in config.train.progressive_resizing if epoch < config.train.epochs)}
    found: list[FirstBatch] = []
    for epoch in sorted(epochs):
        batch = train_batch(data.train, data.parts.train, config, epoch * steps)
        images, size = batch["image"], int(batch["image"].shape[1])
        if not found or found[-1].size != size:
            captions = [_caption(data.train.class_names, batch, i) for i in range(min(_OF_BATCH, len(images)))]
            found.append(FirstBatch(epoch + 1, size, len(images), images[:_OF_BATCH], captions))
    return found


def _caption(names: tuple[str, ...], batch: dict[str, np.ndarray], i: int) -> str:
    """Returns the label of picture `i` of a batch; of a mixed one both labels with their weights."""
    name = names[batch["label"][i]]
    share = float(batch["share"][i]) if "share" in batch else 1.0
    if share > 0.995:
        return name
    other = names[batch["other"][i]]
    return f"{share:.0%} {name}, {1 - share:.0%} {other}" if other != name else f"two of {name}"
