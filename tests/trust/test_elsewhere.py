"""A run on another machine: read-only, with another number of devices."""

import json
import os
import shutil

import pytest
from helpers import make_food_root, run_main

import foodjax
from foodjax.system.errors import UserError


def _state(folder):
    return {p.relative_to(folder): (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*")}


@pytest.mark.slow
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


VIEWS = [
    ({"eval__flip": True}, "evaluation-flip"),
    ({"eval__crop_area": 0.5, "eval__flip": True}, "evaluation-crop_area0.5-flip"),
]


@pytest.mark.slow
@pytest.mark.parametrize("changes,name", VIEWS)
def test_another_view_has_a_folder_and_a_temperature_of_its_own(tmp_path, workdir, changes, name):
    run = tmp_path / "run"
    shutil.copytree(workdir, run)
    foodjax.evaluate(run, eval__calibrate=True)
    before = _state(run)
    found = foodjax.evaluate(run, eval__calibrate=True, **changes)
    assert found.folder == run / name
    assert {path: state for path, state in _state(run).items() if path in before and path.name != "."} == before
    own, other = (json.loads((run / place / "calibration.json").read_text()) for place in ("", name))
    assert own["num_examples"] == other["num_examples"]
    assert own["loss_before"] != other["loss_before"]
    view = json.loads((run / name / "evaluation.json").read_text())["data"]["view"]
    assert view == {key.replace("__", "."): value for key, value in changes.items()}
    assert "unlike the run" in (run / name / "report.html").read_text()
    again = foodjax.evaluate(run, eval__calibrate=True, **changes)  # the same view: the same folder and temperature
    assert again.folder == run / name
    assert again.temperature == found.temperature
    changed = evaluate_config(run, changes)
    assert foodjax.Predictor(run, config=changed).temperature == found.temperature
    assert foodjax.Predictor(run).temperature is None


def evaluate_config(run, changes):
    from foodjax.commands.configs import change
    from foodjax.workdir.description import read_description

    changed = [(key.replace("__", "."), value) for key, value in changes.items()]
    return change("evaluate", read_description(run)[0], [("eval.calibrate", True), *changed])


@pytest.mark.slow
def test_another_size_is_another_view(tmp_path, tiny_config):
    tiny_config.train.epochs = 1
    tiny_config.model.head.pooling = "average"
    run = foodjax.train(tiny_config, tmp_path / "run").workdir
    size = tiny_config.data.image_size + 8
    found = foodjax.evaluate(run, eval__size=size)
    assert found.folder == run / f"evaluation-size{size}"
    assert found.loss != foodjax.evaluate(run).loss


def test_the_runs_own_values_are_no_other_view(tmp_path, workdir):
    run = tmp_path / "run"
    shutil.copytree(workdir, run)
    size = foodjax.Predictor(run).config.data.image_size
    assert foodjax.evaluate(run, eval__size=size, eval__flip=False).folder == run / "evaluation"


@pytest.mark.slow
def test_a_view_without_its_temperature_is_refused(tmp_path, workdir):
    run = tmp_path / "run"
    shutil.copytree(workdir, run)
    foodjax.evaluate(run, eval__calibrate=True)
    with pytest.raises(UserError, match="evaluation-flip has no calibration.json .* fits it"):
        foodjax.Predictor(run, config=evaluate_config(run, {"eval__flip": True}))
    # On the run's own validation images alone, or not at all.
    photos = make_food_root(tmp_path / "others", num_train=3, num_test=4)
    with pytest.raises(UserError, match="evaluation-flip has no calibration.json .* fits it"):
        foodjax.evaluate(run, data__dir=str(photos), eval__calibrate=True, eval__flip=True)
    foodjax.evaluate(run, eval__calibrate=True, eval__flip=True)
    found = foodjax.evaluate(run, data__dir=str(photos), eval__calibrate=True, eval__flip=True)
    assert found.folder == run / "evaluation-others-flip"


@pytest.mark.slow
def test_a_run_that_stopped_early_goes_on_with_more_patience(tmp_path, tiny_config, capsys):
    tiny_config.train.update(epochs=6, patience=1)
    tiny_config.optimizer.learning_rate = 1e-12  # no epoch improves much: the losses are those of dropout alone
    tiny_config.optimizer.name = "sgd"
    short = foodjax.train(tiny_config, tmp_path / "run")
    assert short.reason == "early stopping"
    tiny_config.train.patience = 4
    more = foodjax.train(tiny_config, tmp_path / "run")
    assert more.epochs > short.epochs
    assert "continuing" in capsys.readouterr().out
    whole = foodjax.train(tiny_config, tmp_path / "whole")
    for name in ("metrics.jsonl", "evaluation/predictions.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert (more.epochs, more.reason) == (whole.epochs, whole.reason)
    assert foodjax.train(tiny_config, tmp_path / "run") == more  # nothing to do
    tiny_config.train.patience = 1
    assert foodjax.train(tiny_config, tmp_path / "run") == more  # less patience takes nothing back
