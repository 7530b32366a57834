"""The short form of the fault drill; the long one is `python tests/faults/drill.py --kills 300 ...`."""

import itertools
import os
import sys
from pathlib import Path

import jax
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import drill as drill_lib
import processes
from helpers import SHARED

from foodjax.workdir.metrics import read_metrics

pytestmark = pytest.mark.slow
PHOTOS = SHARED / "food-101"


@pytest.fixture(scope="module")
def drill(tmp_path_factory):
    """A drill in a process that may be forked, which is why this module runs in a pytest of its own."""
    if jax._src.xla_bridge._backends or "tensorflow" in sys.modules:
        pytest.skip("JAX or TensorFlow runs in this process, which cannot be forked: run pytest tests/faults alone")
    folder = tmp_path_factory.mktemp("drill")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XLA_FLAGS", raising=False)  # the eight devices of conftest
        patch.setenv("FOODJAX_DRILL_DATA", str(PHOTOS) if PHOTOS.is_dir() else "")  # "": the program draws them
        if "XDG_CACHE_HOME" not in os.environ:
            patch.setenv("XDG_CACHE_HOME", str(folder / "xdg"))
        found = drill_lib.Drill(folder, seed=0)
        found.prepare()
        yield found
        drill_lib.print_table(found.table)


def test_killed_at_any_moment_nothing_is_lost(drill):
    kills = 0
    for older in itertools.cycle((False, True)):  # both forms of checkpoints
        kills += drill.kill_chain(6, older)
        if kills >= 12 and older:
            break
    assert not [fault for fault, counts in drill.table.items() if counts[drill_lib.LOST]]


NAMES = [
    "SIGTERM", "Ctrl-C", "SIGKILL while preparing the cache", "two processes, one workdir",
    "best checkpoint: bits of the weights flipped", "best checkpoint: bits of the training flipped",
    "all checkpoints: the training deleted", "newest checkpoint: a file truncated", "older form, no fault",
    "older form, best checkpoint: bits flipped", "older form, newest checkpoint: a file truncated",
    "metrics.jsonl deleted",
    "TensorBoard file truncated", "config.json or dataset.json truncated", "prepared cache: a file a bit flipped",
    "disk full", "disk read-only", "no right to write",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_each_fault(drill, name):
    known = drill_lib.trials(drill)
    if name not in known:
        pytest.skip("needs the right to mount a small disk")
    outcome = known[name]()
    drill.note(name, outcome)
    assert outcome != drill_lib.LOST


def test_two_runs_of_a_command_give_the_same_bits(tmp_path):
    """Two processes as a user starts them, each with a hash seed and compiled programs of its own."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XLA_FLAGS", raising=False)
        patch.setenv("FOODJAX_DRILL_DATA", "")  # the program draws its pictures
        for n, workdir in enumerate((ours, theirs)):
            patch.setenv("PYTHONHASHSEED", str(n))
            patch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache{n}"))
            process = processes.Process(workdir, fresh=True)
            assert process.wait(600) == 0, process.output()[-3000:]
    for name in ("metrics.jsonl", "evaluation/predictions.csv", "evaluation/evaluation.json"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    assert len(read_metrics(ours / "metrics.jsonl")) == 4
    assert not processes.differences(ours, theirs)
    # Starts JAX in this process, after the last test that forks it: every number of every checkpoint.
    processes.equal_arrays(ours, theirs)
