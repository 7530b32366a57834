import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import run_main, start_main, write_experiment

from foodjax.study import claims, space, sweep
from foodjax.study.display import SweepDisplay


def test_another_run_starts_only_where_memory_allows(tmp_path, monkeypatch):
    import psutil

    path = write_experiment(tmp_path, ["", "blocks=1"])
    trials = space.create_trials(str(path), {}, tmp_path)
    runner = sweep.Scheduler({}, 2, SweepDisplay(trials))
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        claim = claims.claimed(trials[0].workdir)
        running = [sweep.TrialProcess(trials[0], process, 0, tmp_path / "log", 0, time.monotonic(), claim)]
        assert not runner._fits(running)  # in its first epoch: how much it will take is not known
        trials[0].workdir.mkdir()
        (trials[0].workdir / "metrics.jsonl").write_text('{"epoch": 1, "val_loss": 1.0}\n')
        assert runner._fits(running)
        memory = psutil.virtual_memory()
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=2**20))
        assert not runner._fits(running)
    finally:
        process.kill()
        process.wait()


PROBES = """
from experiments import demo
from foodjax import variants

def get_config(arg=""):
    config = demo.get_config()
    config.data.update(dir={dir!r}, num_classes=0, image_size=16, batch_size=16, resize="bilinear")
    config.model.blocks = config.model.blocks[:1]
    config.model.init_from = {weights!r}
    config.train.update(solver="probe", epochs=4)
    return variants.apply(config, arg)

def get_sweep(arg=""):
    return ["", "eval.flip=true"]
"""


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_a_sweep_over_probes_runs_and_compares_them(workdir, tmp_path):
    path, folder = tmp_path / "probes.py", tmp_path / "runs"
    path.write_text(PROBES.format(dir=str(workdir.parent / "food-101"), weights=str(workdir)))
    done = run_main("sweep", "--config", path, "--workdir", folder, "--prune", 2, check=True)
    assert "sweep: 2 runs, 0 of 2 epochs are done" in done.stdout
    assert "pruned" not in done.stdout  # a probe has no epoch to end at before its last one
    rows = list(csv.DictReader((folder / "comparison" / "table.csv").open()))
    assert [(row["variant"], float(row["epochs"])) for row in rows] == [("baseline", 1), ("eval.flip=true", 1)]
    results = {}
    for row in rows:
        run = folder / f"{row['variant']}-seed0"
        assert json.loads((run / "config.json").read_text())["train"]["solver"] == "probe"
        assert (run / "probe.json").exists()
        results[row["variant"]] = json.loads((run / "run.json").read_text())["result"]["test_accuracy"]
    assert {row["variant"]: float(row["accuracy"]) for row in rows} == pytest.approx(results, abs=1e-12)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("metrics.jsonl")}
    again = run_main("sweep", "--config", path, "--workdir", folder, check=True)
    assert "sweep: 2 runs, 2 of 2 epochs are done" in again.stdout
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("metrics.jsonl")} == before


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_a_sweep_survives_a_failing_variant_and_compares_the_others(tmp_path):
    # 16 pixels do not survive a pool of 32: the run fails when it starts.
    path = write_experiment(tmp_path, ["", "blocks=1", "model.blocks[0].pool=32"], seeds=2)
    folder = tmp_path / "runs"
    done = run_main("--mode", "sweep", "--config", path, "--workdir", folder, "--jobs", 2)
    assert done.returncode == 2, done.stderr
    assert "error: 2 runs failed, first model.blocks-0-.pool=32-seed0 (model.blocks[0] gets 16 x 16" in done.stderr
    rows = list(csv.DictReader((folder / "comparison" / "table.csv").open()))
    assert [(row["variant"], row["seeds"]) for row in rows] == [("baseline", "2"), ("blocks=1", "2")]
    page = (folder / "comparison" / "comparison.html").read_text()
    assert page.count('<svg role="img"') == 3
    assert (folder / "comparison" / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    # Names of XML vocabularies are no addresses that a browser asks for.
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", page)
    assert "url(http" not in page
    record = json.loads((folder / "blocks=1-seed1" / "run.json").read_text())
    session = record["sessions"][-1]
    assert session["config"] == f"{path}:blocks=1,seed=1"
    assert session["seed"] == 1
    assert session["outcome"] == "finished"
    assert session["data"]["test"]["images"] == 50
    assert session["packages"]["jax"]
    assert session["command"]
    outcomes = [json.loads((folder / f"blocks=1-seed{k}" / "run.json").read_text())["result"] for k in (0, 1)]
    assert [outcome["epochs"] for outcome in outcomes] == [2, 2]
    mean = np.mean([outcome["test_accuracy"] for outcome in outcomes])
    assert float(rows[1]["accuracy"]) == pytest.approx(mean, abs=1e-12)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("metrics.jsonl")}
    again = run_main("--mode", "sweep", "--config", path, "--workdir", folder)
    assert "sweep: 6 runs, 8 of 12 epochs are done" in again.stdout
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("metrics.jsonl")} == before


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_a_sweep_that_is_killed_ends_as_one_that_was_not(tmp_path):
    path = write_experiment(tmp_path, ["", "blocks=1"], epochs=6)
    whole = run_main("--mode", "sweep", "--config", path, "--workdir", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    folder = tmp_path / "killed"
    arguments = "--mode", "sweep", "--config", path, "--workdir", folder
    for name, lines in (("baseline-seed0", 2), ("blocks=1-seed0", 1)):
        process = start_main(*arguments, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while _lines(folder / name / "metrics.jsonl") < lines and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    end = run_main("--mode", "sweep", "--config", path, "--workdir", folder)
    assert end.returncode == 0, end.stderr
    for name in ("baseline-seed0", "blocks=1-seed0"):
        for file in ("metrics.jsonl", "evaluation/predictions.csv"):
            assert (folder / name / file).read_bytes() == (tmp_path / "whole" / name / file).read_bytes()
    sessions = json.loads((folder / "baseline-seed0" / "run.json").read_text())["sessions"]
    assert len(sessions) == 2
    assert sessions[0]["outcome"] in ("killed", "interrupted")


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_two_sweeps_on_one_folder_share_the_work(tmp_path):
    path = write_experiment(tmp_path, ["", "lr=2e-3"], seeds=2)
    folder = tmp_path / "runs"
    arguments = "--mode", "sweep", "--config", path, "--workdir", folder
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with start_main(*arguments, **options) as one, start_main(*arguments, **options) as two:
        said = [process.communicate(timeout=400)[0] for process in (one, two)]
    assert [one.returncode, two.returncode] == [0, 0], said
    ended = [re.findall(r"^(\S+-seed\d): val_loss", text, re.MULTILINE) for text in said]
    assert all(ended), "each did something"
    assert sorted(ended[0] + ended[1]) == [f"{label}-seed{k}" for label in ("baseline", "lr=2e-3") for k in (0, 1)]
    for run in folder.glob("*-seed?"):  # each was started once, and to its end
        assert [s["outcome"] for s in json.loads((run / "run.json").read_text())["sessions"]] == ["finished"]
    assert len(list(csv.DictReader((folder / "comparison" / "table.csv").open()))) == 2


def test_a_run_that_somebody_else_trains_waits_again(tmp_path):
    path = write_experiment(tmp_path, [""])
    (trial,) = space.create_trials(str(path), {}, tmp_path / "runs")
    runner = sweep.Scheduler({}, 1, SweepDisplay([trial]))
    log = tmp_path / "log"
    log.write_text(f"error: workdir {trial.workdir} is in use by another training: wait for it\n")
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(2)"])
    process.wait()
    claim = claims.claimed(trial.workdir)
    assert not runner._ended(sweep.TrialProcess(trial, process, 0, log, 0, time.monotonic(), claim), None)
    assert not runner.failed


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_hopeless_variants_are_pruned_and_the_kept_are_as_without(tmp_path):
    path = write_experiment(tmp_path, ["", "lr=1e-9", "lr=2e-3", "lr=1e-8"], epochs=4)
    folder = tmp_path / "runs"
    done = run_main("--mode", "sweep", "--config", path, "--workdir", folder, "--prune", 2)
    assert done.returncode == 0, done.stderr
    assert "epoch 1: pruned" in done.stdout
    assert "lr=1e-9" in done.stdout.split("epoch 1: pruned")[1].splitlines()[0]
    epochs = {p.name: _lines(p / "metrics.jsonl") for p in folder.iterdir() if p.is_dir() and p.name != "comparison"}
    assert epochs["baseline-seed0"] == epochs["lr=2e-3-seed0"] == 4
    assert epochs["lr=1e-9-seed0"] < 4
    alone = run_main("--config", f"{path}:lr=2e-3,seed=0", "--workdir", tmp_path / "alone")
    assert alone.returncode == 0
    ours, theirs = ((p / "metrics.jsonl").read_bytes() for p in (folder / "lr=2e-3-seed0", tmp_path / "alone"))
    assert ours == theirs


def _lines(path):
    return path.read_text().count("\n") if path.exists() else 0
