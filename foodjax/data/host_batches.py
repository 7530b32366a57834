"""Selects what makes training batches on the host: tf.data, or threads where there is no TensorFlow."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from foodjax.config.keys import Config
from foodjax.data import thread_batches
from foodjax.data.batches import Batch
from foodjax.data.prepared import Prepared
from foodjax.system.imports import import_problem


class TrainBatches(Protocol):
    """Makes training batches on the host; every implementation makes the same bits."""

    def __call__(
        self, data: Prepared, rows: np.ndarray, config: Config, start: int, stop: int, part: slice = ..., /
    ) -> Iterator[Batch]:
        """Yields the `batches.train_batch` of steps start, ..., stop - 1.

        Args:
            data: the prepared pictures, memory-mapped.
            rows: rows of the training pictures, (N,).
            config: the experiment; `batches.train_batch` names the keys.
            start: first step.
            stop: one past the last step.
            part: rows of each batch that this process makes; all by default.
        """
        ...


def select_train_batches(backend: str) -> TrainBatches:
    """Returns the function that makes training batches on the host.

    Args:
        backend: data.backend. "tf" takes tf.data; where TensorFlow cannot be imported it prints so and takes the
            threads. "threads" and "device" take the threads and import no TensorFlow.
    """
    if backend == "tf":
        problem = import_problem("tensorflow")
        if not problem:
            from foodjax.data import tf_batches

            return tf_batches.train_batches
        print(f"TensorFlow cannot be imported ({problem}): data.backend=threads makes the same batches")
    return thread_batches.train_batches
