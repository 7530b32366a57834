import os
import subprocess
import sys

import pytest
from helpers import ROOT

from foodjax.system import determinism
from foodjax.system.errors import UserError

NAME = determinism.NAME


@pytest.fixture
def not_started(monkeypatch):
    monkeypatch.setattr(determinism, "_started", lambda: "")


@pytest.mark.parametrize(
    "before,after",
    [
        ("", f"{NAME}=true"),
        ("--xla_cpu_x=1", f"--xla_cpu_x=1 {NAME}=true"),
        (NAME, NAME),
        (f"{NAME}=false {NAME}=1", f"{NAME}=false {NAME}=1"),
        (f"{NAME}_2=false", f"{NAME}_2=false {NAME}=true"),
    ],
)
def test_the_flag_is_added_once_to_those_of_the_user(monkeypatch, not_started, before, after):
    monkeypatch.setenv("XLA_FLAGS", before)
    determinism.set_up(deterministic=False)
    assert os.environ["XLA_FLAGS"] == before
    for _ in range(2):
        determinism.set_up(deterministic=True)
        assert os.environ["XLA_FLAGS"] == after


def test_the_opposite_in_the_environment_is_refused(monkeypatch, not_started):
    monkeypatch.setenv("XLA_FLAGS", f"{NAME}=false")
    with pytest.raises(UserError, match=rf"train.deterministic is true, but XLA_FLAGS has {NAME}=false: needs one"):
        determinism.set_up(deterministic=True)


def test_a_gpu_that_is_in_use_is_refused_and_a_cpu_is_not(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(determinism, "_started", lambda: "gpu")
    with pytest.raises(UserError, match=f"JAX has begun to use the GPU without it: needs XLA_FLAGS={NAME}=true"):
        determinism.set_up(deterministic=True)
    monkeypatch.setattr(determinism, "_started", lambda: "cpu")
    determinism.set_up(deterministic=True)
    assert not os.environ["XLA_FLAGS"]


@pytest.mark.slow
def test_the_flag_is_one_that_xla_knows_and_the_start_is_seen():
    code = (
        "import os; os.environ.pop('XLA_FLAGS', None)\n"
        "import jax\n"
        "from foodjax.system import determinism\n"
        "assert determinism._started() == ''\n"
        "determinism.set_up(deterministic=True)\n"
        "assert os.environ['XLA_FLAGS'] == determinism.FLAG\n"
        "jax.numpy.ones(3).sum()\n"  # XLA ends the process at a flag that it does not know
        "assert determinism._started() == 'cpu'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=os.environ | {"JAX_PLATFORMS": "cpu"})


@pytest.mark.parametrize(
    "platform,devices,words",
    [("cpu", 1, "changes nothing on a CPU"), ("tpu", 4, "changes nothing on a tpu"), ("gpu", 1, "without timing")],
)
def test_a_line_says_what_is_not_covered(platform, devices, words):
    line = determinism.sentence(platform, devices)
    assert words in line
    assert "NCCL" not in line
    assert "the sums over 2 GPUs are NCCL's" in determinism.sentence("gpu", 2)
