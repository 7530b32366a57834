"""A library leaves the process as it is; `foodjax.setup()` and the command line do not."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest

from foodjax.system import setup as setup_lib

ROOT = Path(__file__).parents[2]
OURS = ("TF_", "JAX_", "XLA_")
LIBRARY = ("import", "train", "evaluate", "Predictor", "load_data", "report", "random")
SETUP = {
    "environment TF_CPP_MIN_LOG_LEVEL", "environment TF_ENABLE_ONEDNN_OPTS", "jax jax_compilation_cache_dir",
    "jax jax_cpu_enable_async_dispatch", "jax jax_persistent_cache_min_compile_time_secs", "logger PIL", "logger absl",
    "logger asyncio", "logger matplotlib", "sys.unraisablehook", "warnings.filters",
}  # fmt: skip
DISTURBED = {
    "PIL LOAD_TRUNCATED_IMAGES", "PIL MAX_IMAGE_PIXELS", "logger jax", "logger orbax", "matplotlib svg.fonttype",
    "numpy errors", "numpy random state", "python random state", "recursion limit", "signal SIGINT", "signal SIGTERM",
    "sys.excepthook", "threading.excepthook", "umask", "warnings.showwarning", "working directory",
}  # fmt: skip


def fresh_environment(**more):
    """The environment of a user who has set nothing of JAX and TensorFlow."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | more


def run_python(program, **environment):
    command = [sys.executable, "-c", program]
    environment = fresh_environment(**environment)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def changes(tmp_path_factory):
    """What each action of world.py changes: {action: {name: "before -> after"}}."""
    command = [sys.executable, "tests/system/world.py", str(tmp_path_factory.mktemp("world"))]
    environment = fresh_environment(  # a user's own cache; the tests' one saves time
        JAX_COMPILATION_CACHE_DIR=jax.config.values["jax_compilation_cache_dir"],
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0.5",
    )
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_neither_an_import_nor_a_call_changes_the_process(changes):
    assert {action: changes[action] for action in LIBRARY} == dict.fromkeys(LIBRARY, {})
    assert changes["import of the command line"] == {}


@pytest.mark.slow
def test_the_comparison_sees_what_setup_changes_and_more(changes):
    assert set(changes["setup"]) == SETUP
    assert changes["setup again"] == {}
    assert set(changes["disturb"]) == DISTURBED


SETTINGS = """
import json, os, foodjax
foodjax.setup()
import jax
names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs", "jax_cpu_enable_async_dispatch")
print(json.dumps([os.environ["TF_CPP_MIN_LOG_LEVEL"], *(jax.config.values[name] for name in names)]))
"""


def test_settings_of_a_fresh_process(tmp_path):
    folder = str(tmp_path / "foodjax" / "compiled")
    assert run_python(SETTINGS, XDG_CACHE_HOME=str(tmp_path)) == ["3", folder, 0.05, False]


def test_settings_of_the_user_stay(tmp_path):
    own = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "2",
        "TF_CPP_MIN_LOG_LEVEL": "0",
    }
    assert run_python(SETTINGS, **own) == ["0", str(tmp_path), 2.0, False]


COMMAND = """
import json, logging, sys
from foodjax import cli
from foodjax.commands.verb import Verb
from foodjax.system import setup

def look(given):
    print(json.dumps([before, logging.getLogger("absl").level, setup._called.is_set()]))

before = ["jax" in sys.modules, logging.getLogger("absl").level, setup._called.is_set()]
cli.VERBS.append(Verb("look", "looks", look, "none", ()))
sys.exit(cli.main(["main.py", "--mode", "look"]))
"""


def test_the_command_line_sets_up_before_it_runs_a_command():
    assert run_python(COMMAND) == [[False, logging.NOTSET, False], logging.CRITICAL, True]


@pytest.mark.parametrize("called,hidden", [(True, [([], "GPU")]), (False, [])])
def test_tensorflow_loses_its_gpus_after_setup_alone(monkeypatch, called, hidden):
    calls = []
    config = SimpleNamespace(set_visible_devices=lambda *arguments: calls.append(arguments))
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(config=config))
    monkeypatch.setattr(setup_lib, "_called", SimpleNamespace(is_set=lambda: called))
    setup_lib.leave_gpus_to_jax()
    assert calls == hidden


def test_a_tensorflow_that_runs_keeps_its_gpus(monkeypatch):
    def refuse(*_):
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    config = SimpleNamespace(set_visible_devices=refuse)
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(config=config))
    monkeypatch.setattr(setup_lib, "_called", SimpleNamespace(is_set=lambda: True))
    setup_lib.leave_gpus_to_jax()


LATE = [(RuntimeError("Event loop is closed"), []), (ValueError("another"), ["another"])]


@pytest.mark.parametrize("error,told", LATE)
def test_late_unraisable_errors_of_a_failed_read_are_dropped(monkeypatch, error, told):
    found = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: found.append(str(unraisable.exc_value)))
    setup_lib._drop_late_unraisables()
    sys.unraisablehook(SimpleNamespace(exc_value=error))
    assert found == told


@pytest.mark.parametrize("error,told", [*LATE, (None, ["a message"])])
def test_late_records_of_a_failed_read_are_dropped(error, told):
    info = error and (type(error), error, None)
    record = logging.LogRecord("asyncio", logging.ERROR, __file__, 1, "a message", (), info)
    assert setup_lib._is_no_late_record(record) == bool(told)
