"""A run on another machine: read-only, with another number of devices."""

import os
import shutil

import pytest
from helpers import run_main

import foodjax
from foodjax.system.errors import UserError


def _state(folder):
    return {p.relative_to(folder): (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*")}


@pytest.mark.parametrize("calibrate", [False, True])
def test_an_evaluation_writes_to_output_alone(tmp_path, workdir, calibrate):
    run = tmp_path / "run"
    shutil.copytree(workdir, run)
    before, own = _state(run), foodjax.evaluate(workdir).accuracy
    found = foodjax.evaluate(run, output=tmp_path / "mine", eval__calibrate=calibrate)
    assert found.accuracy == own
    assert _state(run) == before
    written = {str(p.relative_to(tmp_path / "mine")) for p in (tmp_path / "mine").rglob("*") if p.is_file()}
    files = {"evaluation.json", "classes.csv", "predictions.csv", "photographs.csv"}
    temperature = {"calibration.json"} if calibrate else set()
    assert written == {f"evaluation/{name}" for name in files} | {"report.html"} | temperature


def test_a_workdir_that_cannot_be_written_names_output_before_any_work(workdir, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr("foodjax.run.evaluate.open_test_set", None)
    with pytest.raises(UserError, match="cannot write to .*: needs --output FOLDER"):
        foodjax.evaluate(workdir)


@pytest.mark.slow
def test_three_devices_evaluate_a_run_of_a_batch_that_they_do_not_divide(tmp_path, workdir):
    environment = {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}
    done = run_main(
        "evaluate", "--workdir", workdir, "--output", tmp_path / "three", environment=environment, check=True
    )
    run_main("evaluate", "--workdir", workdir, "--output", tmp_path / "one", check=True)
    assert "45 images" in done.stdout
    for name in ("classes.csv", "predictions.csv"):
        one, three = ((tmp_path / k / "evaluation" / name).read_text() for k in ("one", "three"))
        assert [row.split(",")[:3] for row in one.splitlines()] == [row.split(",")[:3] for row in three.splitlines()]
