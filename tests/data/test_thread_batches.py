import itertools
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from helpers import ROOT, prepared

from foodjax.config.check import checked
from foodjax.data import tf_batches, thread_batches
from foodjax.data.batches import empty_batch

ANY: Any = None  # data, rows and config, which a stand-in for train_batch does not read


@pytest.mark.parametrize("mixes", [{}, {"mixup": 0.5, "cutmix": 0.3}], ids=["plain", "mixed"])
@pytest.mark.parametrize("start", [0, 4])
def test_threads_make_the_bits_of_tf_data(tiny_config, start, mixes):
    tiny_config.augment.update(rotation=90.0, brightness=(0.5, 1.5), hue=20.0, cutout=0.3, **mixes)
    tiny_config.train.progressive_resizing = ((0, 12), (2, 16))
    tiny_config.model.head.pooling = "average"
    config, data = checked(tiny_config), prepared(tiny_config)
    rows = np.arange(0, len(data.ids), 2)  # 60 rows, batch 16: 3 steps an epoch
    ours, theirs = (list(x.train_batches(data, rows, config, start, 8)) for x in (thread_batches, tf_batches))
    assert len(ours) == len(theirs) == 8 - start
    for step, (one, other) in enumerate(zip(ours, theirs, strict=True), start):
        assert one.keys() == other.keys() == {"image", "label"} | ({"other", "share"} if mixes else set())
        shapes = {name: (array.shape, array.dtype) for name, array in one.items()}
        assert shapes == {name: (array.shape, array.dtype) for name, array in empty_batch(config, step, 3).items()}
        for name in other:
            assert one[name].dtype == other[name].dtype
            np.testing.assert_array_equal(one[name], other[name], strict=True)


@pytest.fixture
def made(monkeypatch):
    """The steps whose batches were begun; the batch of a step is its number, and step 5 has none."""
    steps = []

    def train_batch(data, rows, config, step, part):
        steps.append(step)
        if step == 5:
            raise OSError("the batch of step 5")
        time.sleep(0.02 * (step % 2))  # the later of two batches is done first
        return step

    monkeypatch.setattr(thread_batches, "train_batch", train_batch)
    return steps


@pytest.fixture
def threads_end():
    """A function that returns whether the threads that the test started end within seconds."""
    before = set(threading.enumerate())

    def ended(seconds=10):
        end = time.monotonic() + seconds
        while (left := set(threading.enumerate()) - before) and time.monotonic() < end:
            time.sleep(0.01)
        return not left

    return ended


@pytest.mark.parametrize("start,stop", [(0, 0), (3, 4), (6, 40)])
def test_batches_keep_their_order_and_the_threads_end_with_the_last_one(made, threads_end, start, stop):
    batches = thread_batches.train_batches(ANY, ANY, ANY, start, stop)
    assert list(itertools.islice(batches, stop - start)) == list(range(start, stop))
    assert threads_end()  # although the iterator has not been asked for another batch
    assert list(batches) == []
    assert sorted(made) == list(range(start, stop))


def test_an_error_is_raised_at_its_step_and_ends_the_threads(made, threads_end):
    got = []
    with pytest.raises(OSError, match="the batch of step 5"):
        for batch in thread_batches.train_batches(ANY, ANY, ANY, 2, 40):
            got.append(batch)
    assert got == [2, 3, 4]
    assert threads_end()
    assert max(made) <= 5 + 4


@pytest.mark.parametrize("how", ["closed", "dropped"])
def test_an_iterator_that_ends_early_makes_few_batches_ahead_and_stops_its_threads(made, threads_end, how):
    batches: Any = thread_batches.train_batches(ANY, ANY, ANY, 6, 1000)
    assert next(batches) == 6
    time.sleep(0.2)
    assert sorted(made) == [6, 7, 8, 9, 10]
    assert not threads_end(0)
    if how == "closed":
        batches.close()
    del batches
    assert threads_end()
    assert sorted(made) == [6, 7, 8, 9, 10]


PROGRAM = """
import os, signal, sys, time
from foodjax.data import thread_batches

def train_batch(data, rows, config, step, part):
    if step == 3 and "Ctrl-C" in sys.argv:
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
    return step

signal.signal(signal.SIGINT, signal.default_int_handler)
thread_batches.train_batch = train_batch
batches = thread_batches.train_batches(None, None, None, 0, 10_000)
for batch in batches:
    if batch == 1 and "exit" in sys.argv:
        sys.exit(7)
"""


@pytest.mark.slow
@pytest.mark.parametrize("end,status", [("exit", 7), ("Ctrl-C", -2)])
def test_a_program_that_ends_does_not_hang(end, status):
    command = [sys.executable, "-c", PROGRAM, end]
    done = subprocess.run(command, cwd=ROOT, timeout=100, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert done.stderr.strip().splitlines()[-1:] == ([] if end == "exit" else ["KeyboardInterrupt"])
