"""Shared fixtures: real photographs when they are here, drawn ones always."""

import os
import shutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Eight devices, so that one process can test both the mesh of one and the mesh of eight.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import pytest
from helpers import SHARED, make_food_root

import foodjax


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
def small_convnext(monkeypatch):
    """ConvNeXt-Tiny has one block of few channels in each stage."""
    from foodjax.models.backbones import convnext

    monkeypatch.setattr(convnext, "_WIDTHS", (8, 12, 16, 24))
    monkeypatch.setattr(convnext, "_DEPTHS", (1, 1, 1, 1))


@pytest.fixture
def food_root(tmp_path):
    """A small food-101/ folder of drawn pictures in the official layout: 3 classes x (6 train, 4 test)."""
    return make_food_root(tmp_path / "food-101")


@pytest.fixture
def food_config(tiny_config, food_root):
    """The small experiment on the photographs of `food_root`."""
    tiny_config.data.dir = str(food_root)
    tiny_config.data.num_classes = 0
    return tiny_config


@pytest.fixture
def picture():
    """A PIL image of 24 x 24 random pixels."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """Processes keep prepared data in the test's folder, and compiled programs where this process has its own."""
    import jax

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", jax.config.jax_compilation_cache_dir)


@pytest.fixture(scope="module")
def browser():
    """The system's Chromium, steered by playwright; skips where one of the two is absent."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        # Its sandbox does not start for root, as whom containers run; the pages are our own.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        yield playwright.chromium.launch(executable_path=path, args=arguments)
