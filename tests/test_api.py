"""What `import foodjax` gives."""

import importlib
import importlib.metadata
import importlib.util
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import foodjax

ROOT = Path(__file__).parents[1]
NAMES = [name for name in foodjax.__all__ if name != "__version__"]
IMPORT = """
import json, sys, time
start = time.perf_counter()
import foodjax
seconds = time.perf_counter() - start
print(json.dumps([seconds, sorted({name.split(".")[0] for name in sys.modules})]))
"""


def test_an_import_is_quick_and_loads_no_library():
    command = [sys.executable, "-c", IMPORT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, modules = json.loads(done.stdout)
    assert seconds < 0.3
    assert not {"jax", "tensorflow", "keras", "numpy", "PIL", "absl"} & set(modules)


@pytest.mark.parametrize("name", NAMES)
def test_no_public_name_is_a_submodule(name):
    assert importlib.util.find_spec(f"foodjax.{name}") is None


def test_public_names_are_theirs_after_every_module_was_imported():
    for module in pkgutil.walk_packages(foodjax.__path__, "foodjax."):
        importlib.import_module(module.name)
    assert foodjax.variants is sys.modules["foodjax.config.variants"]
    assert foodjax.figures is sys.modules["foodjax.report.figures"]
    assert foodjax.evaluate is sys.modules["foodjax.commands.evaluate"].evaluate
    for name in set(NAMES) - {"figures", "variants"}:
        assert callable(getattr(foodjax, name)), name


def test_every_public_name_has_a_home_and_is_listed():
    assert set(foodjax._HOMES) == set(NAMES)
    assert set(NAMES) <= set(dir(foodjax))


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'foodjax' has no attribute 'trian'"):
        _ = foodjax.trian


def test_the_version_is_the_package_s(monkeypatch):
    assert f'version = "{foodjax.__version__}"' in (ROOT / "pyproject.toml").read_text()

    def find_nothing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", find_nothing)
    assert foodjax.__version__ == "unknown"
