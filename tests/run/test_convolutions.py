"""Runs with the native kernels and without: what is recorded, and what continues with what."""

import json
import subprocess
import sys

import pytest
from helpers import one_device_environment

from foodjax.config import stored
from foodjax.config.check import checked
from foodjax.models.native import library
from foodjax.models.native.choice import Choice
from foodjax.run import loop, wiring
from foodjax.run.wiring import Engine
from foodjax.workdir import run_record
from foodjax.workdir.description import read_description

# The tests themselves have eight devices, with which no kernel is used. This trains on one, the last time as if there
# were no kernels any more: (name of the workdir, number of epochs, dtype, convolutions).
RUNS = """
import hashlib, json, sys
from pathlib import Path
import jax, numpy as np
import foodjax
from foodjax.models.native import library
from foodjax.run.wiring import Engine
from foodjax.workdir import run_record
from foodjax.workdir.checkpoints import Checkpoints
from foodjax.workdir.description import read_description

root = Path(sys.argv[1])
def train(name, epochs, dtype, convolutions):
    config = foodjax.load_config("demo")
    config.data.update(cache_dir=str(root / "cache"), drawn_train=12, drawn_test=5, image_size=16, batch_size=16)
    config.model.update(dtype=dtype, convolutions=convolutions, blocks=config.model.blocks[:1])
    config.model.blocks[0].update(features=32, padding=("SAME", "SAME"))
    config.model.head.hidden, config.train.epochs = (16,), epochs
    foodjax.train(config, root / name)

def end(name):
    engine = Engine(*read_description(root / name))
    checkpoints = Checkpoints(root / name)
    state = checkpoints.restore(checkpoints.latest_step(), engine.abstract_state(), engine.mesh)
    checkpoints.close()
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state.params)]
    return {
        "digest": hashlib.sha256(b"".join(leaf.tobytes() for leaf in leaves)).hexdigest(),
        "norm": float(np.sqrt(sum((leaf**2).sum() for leaf in leaves))),
        "stored": json.loads((root / name / "config.json").read_text())["model"]["convolutions"],
        "sessions": [session["convolutions"] for session in run_record.read(root / name)["sessions"]],
    }

for dtype in ("float32", "bfloat16"):
    train(f"{dtype} whole", 2, dtype, "auto")
    train(f"{dtype} parts", 1, dtype, "auto")
    train(f"{dtype} parts", 2, dtype, "auto")
train("xla", 1, "float32", "xla")
train("xla", 2, "float32", "auto")
train("lost", 1, "float32", "auto")
library.load = lambda: "no C++ compiler (c++)"
train("lost", 2, "float32", "auto")
names = [f"{dtype} {name}" for dtype in ("float32", "bfloat16") for name in ("whole", "parts")]
(root / "ends.json").write_text(json.dumps({name: end(name) for name in (*names, "xla", "lost")}))
"""


@pytest.fixture(scope="module")
def level():
    """The level of this machine's kernels."""
    level = library.level()
    if not level:
        pytest.skip("this CPU has no AVX-512")
    if reason := library.load():
        pytest.skip(reason)
    return level


@pytest.fixture(scope="module")
def runs(level, tmp_path_factory):
    """The ends of the runs by name, and what they printed."""
    root = tmp_path_factory.mktemp("runs")
    command, env = [sys.executable, "-c", RUNS, root], one_device_environment()
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((root / "ends.json").read_text()), done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_run_continues_with_its_kernels_to_the_bit(runs, level, dtype):
    ends, printed = runs
    assert f"convolutions: native kernels ({level})\n" in printed
    whole, parts = ends[f"{dtype} whole"], ends[f"{dtype} parts"]
    assert whole["digest"] == parts["digest"]
    assert (whole["stored"], whole["sessions"]) == ("native", [level])
    assert (parts["stored"], parts["sessions"]) == ("native", [level, level])


@pytest.mark.slow
def test_a_run_that_began_with_xlas_convolutions_keeps_them(runs):
    xla, native = runs[0]["xla"], runs[0]["float32 whole"]
    assert (xla["stored"], xla["sessions"]) == ("xla", ["xla", "xla"])
    assert xla["digest"] != native["digest"]
    assert xla["norm"] == pytest.approx(native["norm"], rel=1e-4)


@pytest.mark.slow
def test_without_the_kernels_a_native_run_goes_on_and_says_so(runs, level):
    ends, printed = runs
    assert "the run began with native convolutions and goes on with XLA's, as no C++ compiler (c++)" in printed
    assert (ends["lost"]["stored"], ends["lost"]["sessions"]) == ("native", [level, "xla"])
    assert ends["lost"]["norm"] == pytest.approx(ends["float32 whole"]["norm"], rel=1e-4)


def without_kernels(wanted, devices):
    return Choice("", "no C++ compiler (c++)")


@pytest.mark.slow
@pytest.mark.parametrize("wanted", ["auto", "native"])  # native: of a config of a run on another machine
def test_a_missing_compiler_is_told_once_and_the_run_is_one_of_xlas(tiny_config, tmp_path, monkeypatch, capsys, wanted):
    monkeypatch.setattr(wiring, "choose", without_kernels)
    tiny_config.model.convolutions = wanted
    loop.train(tiny_config, tmp_path / "run")
    assert capsys.readouterr().out.count("convolutions: XLA's, the slower ones, as no C++ compiler (c++)\n") == 1
    assert [session["convolutions"] for session in run_record.read(tmp_path / "run")["sessions"]] == ["xla"]
    assert read_description(tmp_path / "run")[0].model.convolutions == "xla"


def test_runs_of_older_versions_have_xlas_convolutions(tiny_config):
    text = json.loads(stored.to_json(checked(tiny_config)))
    del text["model"]["convolutions"]
    old = stored.from_json(json.dumps(text | {"format": 13}))
    assert old.model.convolutions == "xla"
    assert Engine(old, ("a", "b")).convolutions == Choice("")
