"""Every verb but the Keras export, through the real program, where TensorFlow, TFDS and Keras cannot be imported."""

import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import h5py
import pytest
from helpers import one_device_environment, run_main, start_main, write_experiment

from foodjax.data.sources.shapes import draw_png
from foodjax.run.wiring import load_variables
from foodjax.workdir.description import read_description

pytestmark = pytest.mark.slow

# What stands as None among the modules is neither found nor imported. Python runs this file when it starts.
SITECUSTOMIZE = """
import sys
sys.modules.update(dict.fromkeys(("tensorflow", "tensorflow_datasets", "keras")))
"""
VARIANT = "drop_augment=rotation"  # of the same network, which is compiled once
TOLD = "TensorFlow cannot be imported (import of tensorflow halted; None in sys.modules): data.backend=threads makes "

# A command line, and what it prints. The sweep of the fixture has trained runs/baseline-seed0 before.
VERBS = {
    "evaluate --workdir {runs}/baseline-seed0": "test accuracy ",
    "predict --workdir {runs}/baseline-seed0 --images {folder}/ring.png": "1 photographs, 0 left out",
    "summary --config {folder}/tiny.py": "total ",
    "inspect --config {folder}/tiny.py --workdir {folder}/inspected": "inspect.html and 4 PNGs in ",
    "find_lr --config {folder}/tiny.py --workdir {folder}/tiny --config.model.norm=batch "
    "--config.optimizer.name=adamw": "suggestion: --config.optimizer.learning_rate=",
    "import --config {folder}/tiny.py --workdir {folder}/imported --keras {folder}/run.weights.h5": "imported ",
    "compare --runs {runs}/* --output {folder}/compared": "comparison.html are in ",
    "reproduce --workdir {runs}/baseline-seed0 --output {folder}/again": "equal to the byte",
}
WITH_TENSORFLOW = "train --config {folder}/tiny.py --workdir {folder}/with"


class Programs(NamedTuple):
    """The finished processes by their command lines, and where they wrote."""

    folder: Path
    environment: dict[str, str]
    sweep: subprocess.CompletedProcess
    done: dict[str, subprocess.CompletedProcess]


def write_keras_weights(workdir, path):
    """Writes the weights of a run of tiny.py as Keras does, without Keras."""
    params = load_variables(workdir)[0]["params"]
    layers = [params["block1"]["conv1"], params["block2"]["conv1"], params["dense1"], params["logits"]]
    with h5py.File(path, "w") as file:
        for group, layer in zip(("conv2d", "conv2d_1", "dense", "dense_1"), layers, strict=True):
            file[f"layers/{group}/vars/0"], file[f"layers/{group}/vars/1"] = layer["kernel"], layer["bias"]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Runs a sweep of two variants, then the other verbs and a training with TensorFlow, two at a time."""
    folder = tmp_path_factory.mktemp("without")
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(SITECUSTOMIZE)
    cache = {"XDG_CACHE_HOME": str(folder / "cache")}
    without = cache | {"PYTHONPATH": str(folder / "site")}
    experiment, runs = write_experiment(folder, ["", VARIANT], epochs=1, backend="tf"), folder / "runs"
    sweep = run_main("sweep", "--config", experiment, "--workdir", runs, environment=without)
    (folder / "ring.png").write_bytes(draw_png("ring", 0, 0))
    write_keras_weights(runs / "baseline-seed0", folder / "run.weights.h5")

    def run(line):
        arguments = line.format(folder=folder, runs=runs).split()
        return run_main(*arguments, environment=cache if line == WITH_TENSORFLOW else without)

    with ThreadPoolExecutor(2) as pool:
        lines = [WITH_TENSORFLOW, *VERBS]
        return Programs(folder, without, sweep, dict(zip(lines, pool.map(run, lines), strict=True)))


def test_nothing_of_tensorflow_can_be_imported(programs):
    for name in ("tensorflow", "tensorflow_datasets", "keras"):
        command, environment = [sys.executable, "-c", f"import {name}"], one_device_environment() | programs.environment
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert f"import of {name} halted" in done.stderr


def test_a_sweep_trains(programs):
    assert programs.sweep.returncode == 0, programs.sweep.stderr
    for name in ("baseline-seed0", f"{VARIANT}-seed0"):
        assert (programs.folder / "runs" / f"{name}.log").read_text().count(TOLD) == 1
        assert read_description(programs.folder / "runs" / name)[0].data.backend == "tf"


@pytest.mark.parametrize("line", VERBS, ids=lambda line: line.split()[0])
def test_a_verb_runs(programs, line):
    done = programs.done[line]
    assert done.returncode == 0, done.stderr
    assert VERBS[line] in done.stdout
    feeds = line.split()[0] in ("find_lr", "reproduce")
    assert done.stdout.count(TOLD) == feeds


@pytest.mark.parametrize("name", ["metrics.jsonl", "evaluation/predictions.csv", "evaluation/evaluation.json"])
def test_a_training_with_tensorflow_has_the_same_bytes(programs, name):
    done = programs.done[WITH_TENSORFLOW]
    assert done.returncode == 0, done.stderr
    assert "cannot be imported" not in done.stdout
    ours, theirs = (programs.folder / run / name for run in ("runs/baseline-seed0", "with"))
    assert ours.read_bytes() == theirs.read_bytes()


def test_the_page_is_served(programs):
    arguments = ("serve", "--workdir", programs.folder / "runs" / "baseline-seed0", "--port", 0)
    with start_main(*arguments, environment=programs.environment, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            line = next(line for line in server.stdout if line.startswith("serving "))
            headers = {"Content-Type": "application/octet-stream"}
            picture = (programs.folder / "ring.png").read_bytes()
            request = urllib.request.Request(line.split(" at ")[1].split()[0] + "predict", picture, headers)
            assert b'"top"' in urllib.request.urlopen(request, timeout=60).read()
        finally:
            server.terminate()
            server.communicate(timeout=60)
    assert server.returncode in (0, 143)
