"""Selects what makes training batches on the host: tf.data, or threads where there is no TensorFlow.

TensorFlow's import takes seconds, and the first step does not wait for it: threads make the first batches of a start,
to the same bits. Then the thread that trains imports TensorFlow, between two steps. A thread beside it would be too
early: other imports of that moment, such as matplotlib's, look into sys.modules and take a half-loaded package for a
whole one.
"""

import sys
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from foodjax.config.keys import Config
from foodjax.data import thread_batches
from foodjax.data.batches import Batch
from foodjax.data.prepared import Prepared
from foodjax.system.imports import import_problem, is_missing

_FIRST = 4  # batches of a start that threads make; what takes no more steps imports no TensorFlow


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
        backend: data.backend. "tf" takes tf.data; where TensorFlow is not imported yet, threads make the first batches,
            and where it cannot be imported, a line says so and they make all. "threads" and "device" take the threads
            and import no TensorFlow.
    """
    if backend != "tf":
        return thread_batches.train_batches
    # A package that is missing is told before the first step, a broken one when it is imported.
    return _with_tensorflow() if "tensorflow" in sys.modules or is_missing("tensorflow") else _ThreadsFirst()


class _ThreadsFirst:
    """Makes the first batches of a start by threads, and imports TensorFlow for the others."""

    def __init__(self):
        self._left = _FIRST
        self._others: TrainBatches | None = None

    def __call__(
        self, data: Prepared, rows: np.ndarray, config: Config, start: int, stop: int, part: slice = slice(None)
    ) -> Iterator[Batch]:
        """Yields the batches of `TrainBatches`."""
        switch = min(start + self._left, stop)
        self._left -= switch - start
        yield from thread_batches.train_batches(data, rows, config, start, switch, part)
        if switch < stop:
            self._others = self._others or _with_tensorflow()
            yield from self._others(data, rows, config, switch, stop, part)


def _with_tensorflow() -> TrainBatches:
    """Imports TensorFlow and returns what makes batches with it; where that fails, says so and returns the threads."""
    if problem := import_problem("tensorflow"):
        print(f"TensorFlow cannot be imported ({problem}): data.backend=threads makes the same batches")
        return thread_batches.train_batches
    from foodjax.data import tf_batches

    return tf_batches.train_batches
