"""Feeds: what brings the batches of training to the device and takes the steps on them.

The loop in `train` advances in dispatches. A feed takes the steps of one dispatch and adds up their sums one after the
other, so that no bit of the sums depends on where a dispatch ends. Every feed sees the same examples in step s.
"""

from typing import Any, Protocol

from foodjax.data.pipeline import train_batches
from foodjax.logs import WaitClock
from foodjax.metrics import Metrics
from foodjax.run import Data, Run
from foodjax.train_state import TrainState


class Feed(Protocol):
    """Takes training steps, `longest` at most in a dispatch.

    Attributes:
        longest: steps; dispatches end at the multiples of it that are counted from the start of an epoch, at
            checkpoints and at the end of the epoch.
        wait_seconds: how long the steps stood waiting for data so far.
    """

    longest: int

    @property
    def wait_seconds(self) -> float: ...  # noqa: D102

    def advance(self, state: TrainState, total: Metrics, first: int, count: int) -> tuple[TrainState, Metrics]:
        """Takes the steps first, ..., first + count - 1.

        Args:
            state: before them, donated.
            total: the sums of the epoch so far.
            first: the step to start with; a feed may count on it being the one that follows the last dispatch.
            count: at most `longest`.

        Returns:
            The state after them and the sums with theirs. Neither need be computed yet.
        """
        ...


class HostFeed:
    """Batches that the host makes, a step in each dispatch."""

    longest = 1

    def __init__(self, run: Run, data: Data, first: int, stop: int):
        """Starts to make the batches of steps first, ..., stop - 1."""
        self._batches = WaitClock(train_batches(data.train, data.parts.train, run.config, first, stop))
        self._train_step: Any = run.train_step

    @property
    def wait_seconds(self) -> float:  # noqa: D102
        return self._batches.seconds

    def advance(self, state: TrainState, total: Metrics, first: int, count: int) -> tuple[TrainState, Metrics]:  # noqa: D102
        for _ in range(count):
            state, metrics = self._train_step(state, next(self._batches))
            total = total.merge(metrics)
        return state, total


def create_feed(run: Run, data: Data, first: int, stop: int) -> Feed:
    """Returns what takes the steps first, ..., stop - 1 of one epoch."""
    return HostFeed(run, data, first, stop)
