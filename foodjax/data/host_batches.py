"""The tf.data pipeline of training: yields numpy batches from any step on. Imports TensorFlow."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from foodjax.config.keys import Config
from foodjax.data.augment.apply import apply_params, mixed_labels, output_size
from foodjax.data.augment.sample import sample_params
from foodjax.data.batches import Batch, batch_rows
from foodjax.data.prepare import Prepared
from foodjax.system.setup import leave_gpus_to_jax


def train_batches(data: Prepared, rows: np.ndarray, config: Config, start: int, stop: int) -> Iterator[Batch]:
    """Yields the batches of steps start, ..., stop - 1.

    Args:
        data: the prepared pictures, memory-mapped.
        rows: rows of the training pictures, (N,).
        config: the experiment; reads seed, data.batch_size and augment.
        start: first step.
        stop: one past the last step.

    Yields:
        image uint8 (B, H, W, 3), label int32 (B,); for mixed pictures also other int32 (B,) and share float32 (B,).
    """
    leave_gpus_to_jax()
    batch_size, mixes = config.data.batch_size, config.augment.mixup > 0 or config.augment.cutmix > 0
    names = ("image", "label", "other", "share") if mixes else ("image", "label")
    dtypes = {"image": tf.uint8, "label": tf.int32, "other": tf.int32, "share": tf.float32}

    def load(step):
        step = int(step)
        picked = rows[batch_rows(len(rows), batch_size, config.seed, step)]
        images = data.images[np.sort(picked)][np.argsort(np.argsort(picked))]  # read the file in order
        sampled = sample_params(config.augment, config.seed, step, batch_size, config.data.image_size)
        images = apply_params(images, sampled, output_size(config, step, len(rows) // batch_size))
        batch = {"image": images, **mixed_labels(data.labels[picked], sampled.mix)}
        return [batch[name] for name in names]

    def load_tf(step):
        values = tf.numpy_function(load, [step], [dtypes[name] for name in names])
        return dict(zip(names, values, strict=True))

    ds = tf.data.Dataset.range(start, stop).map(load_tf, num_parallel_calls=2, deterministic=True)
    yield from ds.prefetch(4).as_numpy_iterator()  # pyright: ignore[reportReturnType]
