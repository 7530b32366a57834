import threading
import time

import jax.numpy as jnp
import pytest

from foodjax.run.feed import IdleWatch


class Dispatch:
    """Stands for an array that the device has yet to compute."""

    def __init__(self):
        self._done = threading.Event()

    def finish(self):
        self._done.set()

    def is_ready(self):
        return self._done.is_set()

    def block_until_ready(self):
        self._done.wait()
        return self


def test_a_wait_counts_from_the_end_of_the_last_dispatch():
    dispatch, watch = Dispatch(), IdleWatch()
    begin, stop = time.monotonic(), watch.start(dispatch)  # pyright: ignore[reportArgumentType]
    time.sleep(0.4)
    finished = time.monotonic()
    dispatch.finish()
    time.sleep(0.2)
    seconds, end = stop(), time.monotonic()
    assert seconds == pytest.approx(end - finished, abs=0.1)
    assert seconds < end - begin - 0.2


def test_nothing_is_waited_for_while_the_device_computes():
    dispatch, watch = Dispatch(), IdleWatch()
    stop = watch.start(dispatch)  # pyright: ignore[reportArgumentType]
    time.sleep(0.05)
    assert stop() == 0
    dispatch.finish()


def test_all_of_a_wait_counts_when_nothing_was_left_to_compute():
    begin, stop = time.monotonic(), IdleWatch().start(jnp.zeros(3))
    time.sleep(0.2)
    assert 0.2 <= stop() + 0.05 <= time.monotonic() - begin + 0.05
