"""The batch of a training step, and the batches of an evaluation. Imports no TensorFlow.

The batch of training step s is a pure function of (seed, s): the permutation of epoch e comes from (seed, e) and
the augmentation from (seed, s). A resumed training therefore sees the same batches as an uninterrupted one.
"""

import functools
from collections.abc import Iterator

import numpy as np

from foodjax.config.keys import Config
from foodjax.config.photo_keys import Augment
from foodjax.data.augment.apply import apply_params, mixed_labels, output_size
from foodjax.data.augment.part import part_of
from foodjax.data.augment.sample import sample_params
from foodjax.data.mapped import release
from foodjax.data.prepared import Prepared

_STREAM = 0
Batch = dict[str, np.ndarray]


def batch_rows(num_examples: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """Returns the rows of the batch of step `step`: (B,) numbers in [0, num_examples).

    Every epoch has num_examples // batch_size steps and a new permutation; the incomplete last batch is left out.
    """
    steps_per_epoch = num_examples // batch_size
    epoch, i = divmod(step, steps_per_epoch)
    return _order(num_examples, seed, epoch)[i * batch_size : (i + 1) * batch_size]


@functools.lru_cache(maxsize=2)  # prefetched batches may belong to the next epoch
def _order(num_examples: int, seed: int, epoch: int) -> np.ndarray:
    order = np.random.default_rng((seed, _STREAM, epoch)).permutation(num_examples)
    order.flags.writeable = False
    return order


def train_batch(data: Prepared, rows: np.ndarray, config: Config, step: int, part: slice = slice(None)) -> Batch:
    """Returns the batch of training step `step`, or the part of it that a process makes.

    Args:
        data: the prepared pictures, memory-mapped.
        rows: rows of the training pictures, (N,).
        config: the experiment; reads seed, data.batch_size, augment and the sizes of the pictures.
        step: counts from 0 over all epochs.
        part: rows of the batch. No other picture is read, but for those that the part is mixed with.

    Returns:
        image uint8 (B, H, W, 3), label int32 (B,); for mixed pictures also other int32 (B,) and share float32 (B,).
    """
    batch_size = config.data.batch_size
    picked = rows[batch_rows(len(rows), batch_size, config.seed, step)]
    # Of the whole batch: each picture has its own numbers, whoever makes it.
    sampled = sample_params(config.augment, config.seed, step, batch_size, config.data.image_size)
    labels = mixed_labels(data.labels[picked], sampled.mix)
    own = np.arange(batch_size)[part]
    if len(own) < batch_size:
        needed, sampled = part_of(sampled, own)
        picked, labels = picked[needed], {name: values[own] for name, values in labels.items()}
    images = data.images[np.sort(picked)][np.argsort(np.argsort(picked))]  # read the file in order
    release(data.images, step, batch_size)
    images = apply_params(images, sampled, output_size(config, step, len(rows) // batch_size))
    return {"image": images[: len(own)], **labels}


def empty_batch(config: Config, step: int, steps_per_epoch: int) -> Batch:
    """Returns zeros with the shapes and dtypes of the batch of training step `step`.

    Args:
        config: the experiment.
        step: counts from 0 over all epochs.
        steps_per_epoch: number of steps of an epoch.
    """
    batch_size, side = config.data.batch_size, output_size(config, step, steps_per_epoch)
    label, mixed = np.zeros(batch_size, np.int32), {}
    if config.augment.mixup or config.augment.cutmix:
        mixed = {"other": label, "share": np.zeros(batch_size, np.float32)}
    return {"image": np.zeros((batch_size, side, side, 3), np.uint8), "label": label, **mixed}


def pad_batch(images: np.ndarray, labels: np.ndarray, batch_size: int) -> Batch:
    """Pads a batch of N <= B examples with zeros, whose mask is 0.

    Args:
        images: uint8 (N, H, W, 3).
        labels: (N,).
        batch_size: B.

    Returns:
        image uint8 (B, H, W, 3), label int32 (B,), mask float32 (B,).
    """
    pad = [(0, batch_size - len(images))]
    return {
        "image": np.pad(images, pad + [(0, 0)] * 3),
        "label": np.pad(labels.astype(np.int32), pad),
        "mask": np.pad(np.ones(len(images), np.float32), pad),
    }


def eval_batches(
    data: Prepared,
    rows: np.ndarray,
    batch_size: int,
    augment: Augment | None = None,
    seed: int = 0,
    part: slice = slice(None),
) -> Iterator[Batch]:
    """Yields all rows in order; the last batch is padded with zeros and masked.

    Args:
        data: the prepared pictures.
        rows: the rows to evaluate, (N,).
        batch_size: B.
        augment: config.augment, to augment them as in training, the same way at every call (the tutorial augments
            its validation images); None: no augmentation.
        seed: seed of the augmentation.
        part: rows of each batch that a process makes; no other picture is read.

    Yields:
        image uint8 (B, H, W, 3), label int32 (B,) and mask float32 (B,), of the part alone; row int64 (B,) of the whole
        batch, with -1 for padding.
    """
    own = np.arange(batch_size)[part]
    for i, first in enumerate(range(0, len(rows), batch_size)):
        picked = rows[first : first + batch_size]
        here = own[own < len(picked)]
        images = data.images[picked[here]]
        release(data.images, i, batch_size)
        if augment is not None:
            # Training counts its steps from 0 and a seed cannot be negative: the offset keeps the two apart.
            sampled = sample_params(augment, seed, 2**40 + i, len(picked), images.shape[1])._replace(mix=None)
            if len(here):
                images = apply_params(images, part_of(sampled, here)[1])
        row = np.pad(picked, (0, batch_size - len(picked)), constant_values=-1)
        yield pad_batch(images, data.labels[picked[here]], len(own)) | {"row": row}
