"""Feeds: the batches of training, made on the host or on the device, and the steps taken on them.

The training loop advances in dispatches. A feed takes the steps of a dispatch and adds their sums one after the other,
so that no bit of the sums depends on the length of a dispatch. Every feed sees the same examples in step s.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import jax
from jax.sharding import NamedSharding, PartitionSpec

from foodjax.data.augment.apply import output_size
from foodjax.data.device_batches import put_images, sample_recipe
from foodjax.data.host_batches import select_train_batches
from foodjax.data.sets import Data
from foodjax.run.wiring import Engine
from foodjax.steps.devices import own_part, put_batch, put_whole, replicated
from foodjax.steps.metrics import Metrics
from foodjax.steps.state import TrainState

Record = Callable[[int, Metrics], None]


class Feed(Protocol):
    """Takes training steps, `longest` at most in a dispatch.

    Attributes:
        longest: steps in a dispatch. Dispatches end at multiples of it (counted from the start of an epoch), at
            checkpoints and at the end of an epoch.
        wait_seconds: how long the steps of this epoch have waited for data.
    """

    longest: int
    wait_seconds: float

    def start(self, first: int, stop: int) -> None:
        """Begins an epoch, or what is left of it: steps first, ..., stop - 1."""
        ...

    def advance(self, state: TrainState, total: Metrics, first: int, count: int) -> tuple[TrainState, Metrics]:
        """Takes the steps first, ..., first + count - 1.

        Args:
            state: before them, donated.
            total: the sums of the epoch so far.
            first: the first step; it follows the last step of the dispatch before.
            count: at most `longest`.

        Returns:
            The state after the steps, and the sums including them. Both may still be under computation.
        """
        ...


class IdleWatch:
    """Measures how long the device is idle while the host makes the next batch.

    A thread records when the last dispatch ended: waiting counts from then on, not while the device computes.
    """

    def __init__(self):
        self._thread = ThreadPoolExecutor(1, "idle-watch")

    def start(self, last: jax.Array) -> Callable[[], float]:
        """Begins a wait; `last` is of the last dispatch. Returns a function that ends it and returns its length, s."""
        begin = time.monotonic()
        done = self._thread.submit(lambda: (jax.block_until_ready(last), time.monotonic())[1])

        def stop() -> float:
            end = time.monotonic()
            return max(0.0, end - max(begin, done.result())) if last.is_ready() else 0.0  # pyright: ignore

        return stop


class HostFeed:
    """Batches made on the host, by tf.data or threads, one step in each dispatch."""

    longest = 1

    def __init__(self, engine: Engine, data: Data, record: Record | None):
        """Selects what makes the batches; where data.backend is "tf", TensorFlow is imported after the first steps."""
        self._run, self._data, self._record = engine, data, record
        self._train_batches = select_train_batches(engine.config.data.backend)
        self._watch, self._part = IdleWatch(), own_part(engine.mesh, engine.config.data.batch_size)
        self._batches, self.wait_seconds = iter(()), 0.0

    def start(self, first: int, stop: int) -> None:  # noqa: D102
        train, rows, config = self._data.train, self._data.parts.train, self._run.config
        self._batches, self.wait_seconds = self._train_batches(train, rows, config, first, stop, self._part), 0.0

    def advance(self, state: TrainState, total: Metrics, first: int, count: int) -> tuple[TrainState, Metrics]:  # noqa: D102
        for step in range(first, first + count):
            stop = self._watch.start(total.loss_sum)
            batch = next(self._batches)
            self.wait_seconds += stop()
            state, metrics = self._run.train_step(state, put_batch(batch, self._run.mesh))
            total = total.merge(metrics)
            if self._record is not None:
                self._record(step, metrics)
        return state, total


class DeviceFeed:
    """Batches made on the device from pictures in its memory; imports no TensorFlow."""

    def __init__(self, engine: Engine, data: Data, record: Record | None):
        """Puts the pictures into device memory."""
        config = engine.config
        self._config, self._data, self._record, self.wait_seconds = config, data, record, 0.0
        # On a CPU XLA makes plain loops of the convolutions in a loop: a step of the tutorial took 45 s, not 0.7.
        self.longest = 1 if jax.default_backend() == "cpu" else config.train.steps_per_dispatch
        self._watch, self._mesh = IdleWatch(), engine.mesh
        self._images = put_images(data.train, engine.mesh)
        self._train_steps: Any = engine.train_steps

    def start(self, first: int, stop: int) -> None:  # noqa: D102
        self.wait_seconds = 0.0

    def advance(self, state: TrainState, total: Metrics, first: int, count: int) -> tuple[TrainState, Metrics]:  # noqa: D102
        rows, stop = self._data.parts.train, self._watch.start(total.loss_sum)
        recipe = sample_recipe(self._data.train, rows, self._config, first, count)
        self.wait_seconds += stop()
        size = output_size(self._config, first, len(rows) // self._config.data.batch_size)
        recipe = put_whole(recipe, NamedSharding(self._mesh, PartitionSpec(None, "batch")))
        total = replicated(total, self._mesh)  # sums that came from the host would compile it once more
        state, total, metrics = self._train_steps(state, total, self._images, recipe, size)
        if self._record is not None:
            self._record(first, metrics)
        return state, total


def create_feed(engine: Engine, data: Data, record: Record | None = None) -> Feed:
    """Returns the feed that data.backend names.

    Args:
        engine: the network.
        data: the prepared sets.
        record: called after each dispatch with the steps taken before it, and the metrics of its steps: scalars of one,
            (S,) of several. With log.every_steps alone.
    """
    kind = DeviceFeed if engine.config.data.backend == "device" else HostFeed
    return kind(engine, data, record if engine.config.log.every_steps else None)
