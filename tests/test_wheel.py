"""The wheel, installed outside the checkout, is the program."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from helpers import ROOT, one_device_environment

from foodjax.data.sources.shapes import draw_png

pytestmark = pytest.mark.slow

MINE = """
from experiments import demo, sizes
from foodjax import Sweep, variants

def get_config(arg=""):
    config = demo.get_config()
    config.name = "mine"
    config.data.update(sizes.DATA)
    config.model.blocks = config.model.blocks[:1]
    config.model.blocks[0].features = 8
    config.model.head.hidden = (16,)
    config.train.epochs = 1
    return variants.apply(config, arg)

def get_sweep(arg=""):
    return Sweep(["", "lr=1e-3"])
"""
SIZES = "DATA = dict(drawn_train=12, drawn_test=5, image_size=16, batch_size=16, eval_batch_size=24)\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder in which the wheel, built from a copy of the sources, is installed without its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("foodjax", "experiments"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, source], capture_output=True, text=True)
    if done.returncode and "setuptools" in done.stderr:
        pytest.skip("a wheel needs setuptools from a package index")
    assert done.returncode == 0, done.stderr
    wheel = next(folder.glob("*.whl"))
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    return folder / "site"


@pytest.fixture(scope="module")
def foodjax(site, tmp_path_factory):
    """A function that runs the program of the wheel in a folder of the user's own, which it returns as .folder."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "experiments").mkdir()
    (folder / "experiments" / "mine.py").write_text(MINE)
    (folder / "experiments" / "sizes.py").write_text(SIZES)
    (folder / "experiments" / "food10.py").write_text("raise RuntimeError('the packaged demo builds on food10')")
    (folder / "random.py").write_text("raise RuntimeError('the random of the standard library is meant')")

    def run(*words):
        command = [sys.executable, "-P", "-m", "foodjax", *map(str, words)]
        environment = one_device_environment() | {"PYTHONPATH": str(site)}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.folder = folder
    return run


def test_the_wheel_has_the_package_the_experiments_and_the_templates(site):
    files = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    for wanted in ("foodjax/py.typed", "foodjax/experiments/food10.py", "foodjax/report/templates/web.js"):
        assert wanted in files
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "foodjax").rglob("*.py")}
    ours |= {str(path.relative_to(ROOT)) for path in (ROOT / "foodjax/report/templates").iterdir()}
    assert ours <= files
    others = {name for name in files if not name.startswith(("foodjax/", "foodjax-", "bin/"))}
    assert not others


def test_it_runs_in_an_empty_folder(foodjax, site):
    code = "import foodjax; print(foodjax.__file__); print(foodjax.load_config('food10_fast').name)"
    command = [sys.executable, "-P", "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    out = subprocess.run(
        command, cwd=foodjax.folder, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert out.splitlines() == [str(site / "foodjax" / "__init__.py"), "food10_fast"]
    assert "packaged experiments: ablate_blocks, demo, food10" in foodjax("--help")
    assert "10,588,458" in foodjax("summary", "--config", "food10")


def test_an_experiment_of_ones_own_is_swept_and_predicts(foodjax):
    out = foodjax("sweep", "--config", "experiments/mine.py", "--workdir", "runs/mine")
    assert "baseline" in out
    assert "lr=1e-3" in out
    sessions = [json.loads(path.read_text())["sessions"] for path in foodjax.folder.glob("runs/mine/*/run.json")]
    assert [len(one) for one in sessions] == [1, 1]
    (foodjax.folder / "star.png").write_bytes(draw_png("star", 1, 0))
    out = foodjax("predict", "star.png", "--workdir", "runs/mine/baseline-seed0", "--output", "top5.csv")
    assert "star.png: " in out
    assert (foodjax.folder / "top5.csv").read_text().count("star.png") == 5
