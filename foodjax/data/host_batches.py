"""Selects what makes training batches on the host: tf.data, or threads where there is no TensorFlow.

The import of TensorFlow takes seconds. A training does not wait for it: threads make its first batches, to the same
bits, and tf.data takes over where the import has ended.
"""

import functools
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np

from foodjax.config.keys import Config
from foodjax.data import thread_batches
from foodjax.data.batches import Batch
from foodjax.data.prepared import Prepared
from foodjax.system.imports import import_problem, is_missing


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
        backend: data.backend. "tf" takes tf.data, as soon as TensorFlow is imported; where it cannot be, a line says
            so and the threads make all batches. "threads" and "device" take the threads and import no TensorFlow.
    """
    if backend != "tf":
        return thread_batches.train_batches
    if is_missing("tensorflow"):
        _import_tensorflow()  # says why
        return thread_batches.train_batches
    return _threads_first


def _threads_first(
    data: Prepared, rows: np.ndarray, config: Config, start: int, stop: int, part: slice = slice(None)
) -> Iterator[Batch]:
    """Yields the batches of `TrainBatches`: by threads until TensorFlow is imported, then by tf.data."""
    by_threads = None
    for step in range(start, stop):
        if _is_imported():
            from foodjax.data import tf_batches

            if by_threads is not None:
                by_threads.close()
            yield from tf_batches.train_batches(data, rows, config, step, stop, part)
            return
        if by_threads is None:
            by_threads = thread_batches.train_batches(data, rows, config, step, stop, part)
        yield next(by_threads)
        _importing()  # when the first step has ended: until then the program itself has enough to import


def _is_imported() -> bool:
    """Returns whether TensorFlow is imported, here or by the user, and whole."""
    if _importing.cache_info().currsize:
        return _importing().done() and _importing().result()
    return "tensorflow" in sys.modules


@functools.cache
def _importing() -> Future[bool]:
    """Begins to import TensorFlow in a thread, once; the result is whether it could be.

    The interpreter waits for this thread before it ends: half loaded libraries cannot be torn down.
    """
    return ThreadPoolExecutor(1, "import-tensorflow").submit(_import_tensorflow)


def _import_tensorflow() -> bool:
    problem = import_problem("tensorflow")
    if problem:
        print(f"TensorFlow cannot be imported ({problem}): data.backend=threads makes the same batches")
    return not problem
