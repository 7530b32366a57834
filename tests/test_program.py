"""The program as a process: its three names, signals from its first line on, shells, and a smoke test."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import MAIN, ROOT, run_main, write_experiment

SCRIPT = Path(sys.executable).with_name("foodjax")
PROGRAMS = {"main.py": MAIN, "module": ("-m", "foodjax"), "script": (str(SCRIPT),)}


@pytest.mark.slow
def test_three_names_of_one_program():
    for words, status in ((["--version"], 0), (["--mode", "fly"], 2)):
        found = {}
        for name, program in PROGRAMS.items():
            if name == "script" and not SCRIPT.exists():
                continue  # not installed
            result = run_main(*words, program=program, timeout=60)
            found[name] = (result.returncode, result.stdout, result.stderr)
        assert found["main.py"][0] == status
        assert found["main.py"][1] or found["main.py"][2].startswith("error: 'fly' is no verb")
        assert set(found.values()) == {found["main.py"]}


# Sends a signal to the process itself where it is about to import a module, or to start again.
SITE = """
import os, signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == os.environ["TERM_AT"]:
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Finder())
if os.environ["TERM_AT"] == "exec":
    execv = os.execv
    os.execv = lambda *arguments: (os.kill(os.getpid(), signal.SIGTERM), execv(*arguments))
"""
TRAINS = [
    ["--config", "demo"],
    ["train", "--config", "demo"],
    ["--mode", "train", "--config", "demo"],
    ["--mode=train", "--config=demo"],
    ["--config", "demo", "--config.model.dtype=bfloat16"],
    ["--config", "demo", "--config.model.head.hidden=16", "--workdir", "a mode"],
    ["sweep", "--config", "ablate_blocks"],
    ["probe", "--config", "food10_probe"],
]
OTHERS = [
    ["evaluate", "--workdir", "x"],
    ["--config", "demo", "--mode", "summary"],
    ["predict", "train", "--workdir", "x"],
]


@pytest.mark.parametrize("moment", ["exec", "foodjax.cli"])
@pytest.mark.parametrize("words,status", [(w, 0) for w in TRAINS] + [(w, 143) for w in OTHERS])
def test_a_sigterm_ends_a_training_with_0_however_it_is_spelt(tmp_path, moment, words, status):
    (tmp_path / "sitecustomize.py").write_text(SITE)
    own = {"PYTHONPATH": str(tmp_path), "TERM_AT": moment}
    if moment != "exec":
        own["GLIBC_TUNABLES"] = "glibc.malloc.arena_max=1"  # it does not start again
    result = run_main(*words, environment=own, timeout=60)
    assert result.returncode == status, result.stderr
    assert result.stdout == ("interrupted\n" if status else "interrupted; the same command continues\n")


def test_a_server_that_ends_promises_nothing(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SITE)
    own = {"PYTHONPATH": str(tmp_path), "TERM_AT": "foodjax.cli"}
    result = run_main("serve", "--workdir", "x", environment=own, timeout=60)
    assert (result.returncode, result.stdout) == (143, "the server has ended\n")


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["jax", "ml_collections", "orbax", "foodjax.run.loop", "foodjax.data.prepare"])
def test_a_sigterm_while_libraries_are_loaded_ends_a_training_with_0(tmp_path, moment):
    (tmp_path / "sitecustomize.py").write_text(SITE)
    own = {"PYTHONPATH": str(tmp_path), "TERM_AT": moment}
    result = run_main("--config.model.dtype=bfloat16", "--config", "demo", "--workdir", tmp_path / "x", environment=own)
    assert (result.returncode, result.stdout) == (0, "interrupted; the same command continues\n"), result.stderr


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
@pytest.mark.slow
def test_a_command_in_a_shell(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    command = (
        f"{sys.executable} main.py summary --config food10:blocks=3,pool=avg --config.model.blocks.2.features=64 "
        "--config.train.progressive_resizing= --config.model.head.hidden=32,16 --config.data.class_names=star,ring"
    )
    done = subprocess.run([shell, "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "28, 28, 64" in done.stdout
    assert "32, 16" in done.stdout
    assert "block4" not in done.stdout


@pytest.mark.slow
def test_a_smoke_test_takes_a_batch_through_every_stage_in_a_workdir_of_its_own(tmp_path):
    path = write_experiment(tmp_path, ["", "lr=1e-3"], epochs=50)
    for name in ("run-smoke", "run-smoke-2"):
        result = run_main("train", "--config", path, "--workdir", tmp_path / "run", "--smoke", check=True)
        folder = tmp_path / name
        assert f"smoke test in {folder}: 16 train, 10 validation, 24 test images" in result.stdout
        assert [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()] == [1]
        assert json.loads((folder / "config.json").read_text())["train"]["epochs"] == 1
        for file in ("report.html", "evaluation/evaluation.json", "checkpoints", "finished.json"):
            assert (folder / file).exists()
    assert not (tmp_path / "run").exists()
    assert os.listdir(tmp_path / "run-smoke" / "prepared")
