"""Whatever a file or a command line holds, only the project's own errors come out. More examples: -m slow.

What is fed and what must hold is in `fuzz/targets.py`, which `fuzz/run.py` feeds for longer, guided by coverage.
"""

import copy
import importlib.util
import json
import subprocess
import sys

import pytest
from fuzz import run
from fuzz.strangers import TARGETS as STRANGERS
from fuzz.targets import CONFIG, TARGETS, Target
from helpers import ROOT, one_device_environment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foodjax.config import keys

FEW = settings(  # the same each time; other examples are what fuzz/run.py is for
    max_examples=60, deadline=5000, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MANY = settings(FEW, max_examples=2000)
FEWER = {"checkpoint": settings(FEW, max_examples=6)}  # each starts a child process

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
).map(json.dumps)
KEYS = st.sampled_from(sorted(keys.table()))


@st.composite
def broken(draw, originals):
    """Bytes of a good file in which some were replaced, cut off or added."""
    content = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 6)) if content else 0):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.integers(0, len(content)))]) + draw(st.binary(max_size=16))


@st.composite
def changed_config(draw):
    """A stored config with one value that is anything."""
    config, (*outer, last) = copy.deepcopy(json.loads(CONFIG)), draw(KEYS).split(".")
    part = config
    for name in outer:
        part = part[name]
    part[last] = json.loads(draw(JSON))
    return json.dumps(config)


# Inputs that come further than bytes do; zero bytes stand between the parts.
FURTHER = {
    "meta": st.lists(st.text() | JSON, max_size=3).map("\0".join),
    "variant": st.text(max_size=30) | st.tuples(KEYS, st.text(max_size=8) | JSON).map("=".join),
    "override": st.tuples(KEYS, st.text(max_size=8) | JSON).map("=".join),
    "stored_config": st.text() | JSON | changed_config(),
    "workdir": st.lists(st.just("") | JSON | changed_config(), max_size=3).map("\0".join),
    "metrics": st.lists(JSON).map("\n".join),
    "progress": JSON,
}


LIMITS = [pytest.param(name, FEWER.get(name, FEW), id=f"{name}-few") for name in TARGETS]
LIMITS += [  # of strangers' files, whose examples take longer, many come from fuzz/run.py alone
    pytest.param(name, MANY, id=f"{name}-many", marks=pytest.mark.slow) for name in TARGETS if name not in STRANGERS
]


@pytest.mark.parametrize("name,limits", LIMITS)
def test_only_our_own_errors_come_out(name, limits, tmp_path):
    target = TARGETS[name]
    inputs = st.binary(max_size=2000) | broken(target.seeds())
    if name in FURTHER:
        inputs |= FURTHER[name].map(str.encode)

    @limits
    @given(inputs)
    def feed(content):
        target.feed(tmp_path / "scratch", content)

    feed()


@pytest.mark.parametrize("name", TARGETS)
def test_a_seed_can_be_used(name, tmp_path):
    assert any([TARGETS[name].feed(tmp_path / "scratch", content) for content in TARGETS[name].seeds()])


def planted(folder, content):
    if content[:2] == b"\xff\xd9":
        raise KeyError("planted")


def test_what_is_found_is_kept(tmp_path):
    (tmp_path / "findings").mkdir()
    found = run.blind(Target(planted, lambda: [b"\xff\xd8", b"\xd9\xd9"]), tmp_path, seconds=20, seed=0)
    assert "KeyError: 'planted'" in found
    (kept,) = (tmp_path / "findings").iterdir()
    assert kept.read_bytes()[:2] == b"\xff\xd9"


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_guided_by_coverage_nothing_is_found(name, tmp_path):
    if not importlib.util.find_spec("atheris"):
        pytest.skip("atheris is not installed: pip install -e '.[fuzz]', which has wheels for Linux on x86-64 alone")
    command = [sys.executable, str(ROOT / "tests/fuzz/run.py"), name, "--folder", str(tmp_path), "--seconds", "10"]
    result = subprocess.run(command, capture_output=True, text=True, env=one_device_environment(), timeout=120)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "stat::number_of_executed_units" in result.stderr
