"""The tf.data pipelines; the last module that imports TensorFlow (numpy comes out).

The batch of training step s is a pure function of (seed, s): the permutation of epoch e comes from (seed, e) and
the augmentation from (seed, s). A pipeline can therefore start at any step and gives what an uninterrupted one
would have given.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from foodjax.data.augment import apply_draws, draw
from foodjax.data.prepare import Prepared

tf.config.set_visible_devices([], "GPU")  # the accelerator is JAX's

_STREAM = 0
Batch = dict[str, np.ndarray]


def batch_rows(num_examples: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """Returns which examples step `step` sees: (B,) numbers in [0, num_examples).

    Every epoch has num_examples // batch_size steps and permutes anew; the incomplete last batch is left out.
    """
    steps_per_epoch = num_examples // batch_size
    epoch, i = divmod(step, steps_per_epoch)
    order = np.random.default_rng((seed, _STREAM, epoch)).permutation(num_examples)
    return order[i * batch_size : (i + 1) * batch_size]


def train_batches(data: Prepared, rows: np.ndarray, config: Any, start: int, stop: int) -> Iterator[Batch]:
    """Yields the batches of steps start, ..., stop - 1.

    Args:
        data: the prepared pictures, memory-mapped.
        rows: which of them train, (N,).
        config: the experiment; reads seed, data.batch_size and augment.
        start: first step.
        stop: one past the last step.

    Yields:
        image uint8 (B, H, W, 3) and label int32 (B,).
    """
    batch_size, size = config.data.batch_size, config.data.image_size

    def load(step):
        step = int(step)
        picked = rows[batch_rows(len(rows), batch_size, config.seed, step)]
        images = data.images[np.sort(picked)][np.argsort(np.argsort(picked))]  # read the file in order
        draws = draw(config.augment, config.seed, step, batch_size, size)
        return apply_draws(images, draws), data.labels[picked].astype(np.int32)

    def load_tf(step):
        image, label = tf.numpy_function(load, [step], [tf.uint8, tf.int32])
        return {
            "image": tf.ensure_shape(image, (batch_size, size, size, 3)),
            "label": tf.ensure_shape(label, (batch_size,)),
        }

    ds = tf.data.Dataset.range(start, stop).map(load_tf, num_parallel_calls=2, deterministic=True)
    yield from ds.prefetch(4).as_numpy_iterator()  # pyright: ignore[reportReturnType]


def eval_batches(
    data: Prepared, rows: np.ndarray, batch_size: int, augment: Any = None, seed: int = 0
) -> Iterator[Batch]:
    """Yields all rows in order, the last batch padded with zeros and masked.

    Args:
        data: the prepared pictures.
        rows: which of them, (N,).
        batch_size: B.
        augment: config.augment to augment them as in training (the tutorial does so to its validation images,
            the same way at every call), or None.
        seed: of the augmentation.

    Yields:
        image uint8 (B, H, W, 3), label int32 (B,), mask float32 (B,), row int64 (B,) with -1 for padding.
    """
    for i, first in enumerate(range(0, len(rows), batch_size)):
        picked = rows[first : first + batch_size]
        images = data.images[picked]
        if augment is not None:
            # Steps of training count from 0; negative seeds do not exist, so offset the step instead.
            draws = draw(augment, seed, 2**40 + i, len(picked), images.shape[1])
            images = apply_draws(images, draws)
        pad = [(0, batch_size - len(picked))]
        yield {
            "image": np.pad(images, pad + [(0, 0)] * 3),
            "label": np.pad(data.labels[picked].astype(np.int32), pad),
            "mask": np.pad(np.ones(len(picked), np.float32), pad),
            "row": np.pad(picked, pad, constant_values=-1),
        }
