"""Shared fixtures: real photographs when they are here, drawn ones always."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Eight devices, so that one process can test both the mesh of one and the mesh of eight.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import jax
import pytest

import foodjax

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"


def pytest_sessionstart():
    foodjax.setup()  # many tests compile the same programs; not before pytest has set its own hooks


@pytest.fixture
def food_photos():
    """The folder of real Food-101 photographs; skips where it is absent."""
    path = SHARED / "food-101"
    if not path.is_dir():
        pytest.skip(f"no real photographs at {path}")
    return path


@pytest.fixture
def tiny_config(tmp_path):
    """The demo, made small enough for a test; its cache is the test's own."""
    from experiments import demo

    config = demo.get_config()
    config.data.update(cache_dir=str(tmp_path / "cache"), drawn_train=12, drawn_test=5, image_size=16)
    config.data.update(batch_size=16, eval_batch_size=24)
    config.model.blocks = config.model.blocks[:2]
    for block in config.model.blocks:
        block.update(features=8, padding=("SAME",))
    config.model.head.hidden = (16,)
    config.train.epochs = 2
    return config


@pytest.fixture(scope="session")
def workdir(tmp_path_factory):
    """A run of one epoch on three drawn classes that lie in a folder as photographs would."""
    from experiments import demo
    from foodjax.run import loop

    root = tmp_path_factory.mktemp("workdir")
    make_food_root(root / "food-101", num_train=20, num_test=15)
    config = demo.get_config()
    config.data.update(dir=str(root / "food-101"), num_classes=0, cache_dir=str(root / "cache"), image_size=16)
    config.data.update(batch_size=16, resize="bilinear")
    config.model.blocks = config.model.blocks[:1]
    config.train.epochs = 1
    loop.train(config, root / "run")
    return root / "run"


@pytest.fixture
def food_root(tmp_path):
    """A small food-101/ folder of drawn pictures in the official layout: 3 classes x (6 train, 4 test)."""
    return make_food_root(tmp_path / "food-101")


def make_food_root(root: Path, classes=("bars", "cross", "ring"), num_train=6, num_test=4) -> Path:
    import io
    import json

    from PIL import Image

    from foodjax.data.sources.shapes import CLASS_NAMES, draw_png

    (root / "meta").mkdir(parents=True)
    (root / "meta" / "classes.txt").write_text("\n".join(classes) + "\n")
    lists = {"train": {}, "test": {}}
    for name, shape in zip(classes, CLASS_NAMES, strict=False):
        (root / "images" / name).mkdir(parents=True)
        for k in range(num_train + num_test):
            image = Image.open(io.BytesIO(draw_png(shape, k, 0)))
            image.save(root / "images" / name / f"{k}.jpg")
            lists["train" if k < num_train else "test"].setdefault(name, []).append(f"{name}/{k}")
    for part, table in lists.items():
        (root / "meta" / f"{part}.json").write_text(json.dumps(table))
    return root


def one_device_mesh():
    import numpy as np
    from jax.sharding import Mesh

    return Mesh(np.array(jax.devices()[:1]), ("batch",))


def one_device_environment():
    """The environment of a user: without this file's eight devices."""
    return {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
