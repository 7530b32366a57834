"""The tf.data pipeline of training, from any step on; the last module that imports TensorFlow (numpy comes out)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from foodjax.data.augment import apply_draws, draw
from foodjax.data.batches import Batch, batch_rows
from foodjax.data.prepare import Prepared

tf.config.set_visible_devices([], "GPU")  # the accelerator is JAX's


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
