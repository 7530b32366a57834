"""Training batches made by tf.data. Imports TensorFlow."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from foodjax.config.keys import Config
from foodjax.data.batches import Batch, train_batch
from foodjax.data.prepared import Prepared
from foodjax.system.setup import leave_gpus_to_jax


def train_batches(
    data: Prepared, rows: np.ndarray, config: Config, start: int, stop: int, part: slice = slice(None)
) -> Iterator[Batch]:
    """Yields the batches of `host_batches.TrainBatches`, made by tf.data."""
    leave_gpus_to_jax()
    mixes = config.augment.mixup > 0 or config.augment.cutmix > 0
    names = ("image", "label", "other", "share") if mixes else ("image", "label")
    dtypes = {"image": tf.uint8, "label": tf.int32, "other": tf.int32, "share": tf.float32}

    def load(step):
        batch = train_batch(data, rows, config, int(step), part)
        return [batch[name] for name in names]

    def load_tf(step):
        values = tf.numpy_function(load, [step], [dtypes[name] for name in names])
        return dict(zip(names, values, strict=True))

    ds = tf.data.Dataset.range(start, stop).map(load_tf, num_parallel_calls=2, deterministic=True)
    yield from ds.prefetch(4).as_numpy_iterator()  # pyright: ignore[reportReturnType]
