"""Training batches made by threads of Python; needs no TensorFlow."""

import weakref
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from foodjax.config.keys import Config
from foodjax.data.batches import Batch, train_batch
from foodjax.data.prepared import Prepared

_WORKERS = 2
_AHEAD = 4  # batches that are ready or in work


def train_batches(
    data: Prepared, rows: np.ndarray, config: Config, start: int, stop: int, part: slice = slice(None)
) -> Iterator[Batch]:
    """Yields the batches of `host_batches.TrainBatches`, made by threads a few steps ahead.

    The threads end with the last batch, after an error, and when the iterator is closed or dropped. An error in making
    a batch is raised at its step, after the batches before it.
    """
    pool = ThreadPoolExecutor(_WORKERS, "batches")
    queue: deque[Future[Batch]] = deque()
    # Not waiting: the garbage collector may close the iterator in one of the threads, which cannot wait for itself.
    # Once, and at the exit of the interpreter at the latest: afterwards the modules that shutdown needs are gone.
    end = weakref.finalize(queue, pool.shutdown, wait=False, cancel_futures=True)
    try:
        for step in range(start, stop + _AHEAD):
            if step < stop:
                queue.append(pool.submit(train_batch, data, rows, config, step, part))
            else:
                pool.shutdown(wait=False)  # the threads end with the last batch
            if step >= start + _AHEAD:
                yield queue.popleft().result()
    finally:
        end()
