"""Selects what makes training batches on the host: tf.data, or threads where there is no TensorFlow."""

from collections.abc import Callable, Iterator

import numpy as np

from foodjax.config.keys import Config
from foodjax.data import thread_batches
from foodjax.data.batches import Batch
from foodjax.data.prepared import Prepared
from foodjax.system.errors import first_line

# (data, rows, config, start, stop) -> the batches of steps start, ..., stop - 1, the same bits whichever it is.
TrainBatches = Callable[[Prepared, np.ndarray, Config, int, int], Iterator[Batch]]


def select_train_batches(backend: str) -> TrainBatches:
    """Returns the function that makes training batches on the host.

    Args:
        backend: data.backend. "tf" takes tf.data; where TensorFlow cannot be imported it prints so and takes the
            threads. "threads" and "device" take the threads and import no TensorFlow.
    """
    if backend == "tf":
        try:
            import tensorflow  # noqa: F401
        except Exception as error:  # a broken installation raises many types
            print(f"TensorFlow cannot be imported ({first_line(error)}): data.backend=threads makes the same batches")
        else:
            from foodjax.data import tf_batches

            return tf_batches.train_batches
    return thread_batches.train_batches
