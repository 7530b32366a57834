import json
import math
from pathlib import Path

import pytest

import foodjax
from foodjax.run import loop
from foodjax.run.evaluate import evaluate_workdir
from foodjax.run.trained import Trained, read_trained
from foodjax.system.errors import UserError
from foodjax.workdir import run_record
from foodjax.workdir.description import Finished
from foodjax.workdir.metrics import read_metrics

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tiny_config):
    tiny_config.model.blocks = tiny_config.model.blocks[:1]
    return tiny_config


def test_a_training_returns_what_it_reached_and_so_does_the_next_call(config, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    trained = foodjax.train(config, "~/run")
    assert not (Path("~") / "run").exists()
    assert trained.workdir == tmp_path / "run"
    assert trained.epochs == 2
    assert trained.reason == "last epoch"
    assert trained.history == read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [row["epoch"] for row in trained.history] == [1, 2]
    best = min(trained.history, key=lambda row: row["val_loss"])
    assert (trained.best_epoch, trained.best_val_loss) == (best["epoch"], best["val_loss"])
    scores = json.loads((tmp_path / "run" / "evaluation" / "evaluation.json").read_text())
    assert (trained.test_accuracy, trained.test_loss) == (scores["accuracy"], scores["loss"])
    capsys.readouterr()
    # An evaluation with other settings changes evaluation.json; the training reached what it reached.
    config.eval.crop_area = 0.5
    other = evaluate_workdir(config, tmp_path / "run")
    assert other.loss != trained.test_loss
    config.eval.crop_area = 1.0
    again = foodjax.train(config, str(tmp_path / "run"))
    assert "is finished (last epoch after epoch 2): nothing to do" in capsys.readouterr().out
    assert again == trained
    assert type(again) is Trained


def test_an_observer_ends_a_training_with_its_reason(config, tmp_path):
    trained = loop.train(config, tmp_path / "run", [lambda epoch: f"loss {epoch.rows[-1]['loss']:.1f} is enough"])
    assert trained.reason == f"loss {trained.history[0]['loss']:.1f} is enough"
    assert trained.epochs == len(trained.history) == trained.best_epoch == 1
    assert loop.train(config, tmp_path / "run") == trained


def test_an_exception_in_an_observer_ends_a_training_that_then_continues(config, tmp_path):
    def fail(epoch):
        if len(epoch.rows) == 2:
            raise ValueError("of the observer")

    with pytest.raises(ValueError, match="of the observer"):
        foodjax.train(config, tmp_path / "run", observers=[fail])
    trained = foodjax.train(config, tmp_path / "run")
    assert (trained.epochs, trained.reason) == (2, "last epoch")


def test_early_stopping_is_the_reason_of_a_run_that_stopped(config, tmp_path):
    config.train.update(epochs=50, patience=1)
    config.optimizer.learning_rate = 0.05  # learns nothing, soon
    trained = loop.train(config, tmp_path / "run")
    assert trained.reason == "early stopping"
    assert trained.best_epoch == trained.epochs - 1
    assert loop.train(config, tmp_path / "run") == trained


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "finished.json"])
def test_a_finished_run_that_lost_a_file_ends_once_more_with_the_same_numbers(workdir, tmp_path, name, capsys):
    import shutil

    from foodjax.workdir.description import read_description

    ours = shutil.copytree(workdir, tmp_path / "run")
    config, _ = read_description(ours)
    whole = loop.train(config, ours)
    (ours / name).unlink()
    assert loop.train(config, ours) == whole
    assert (ours / "metrics.jsonl").read_bytes() == (workdir / "metrics.jsonl").read_bytes()
    said = capsys.readouterr().out
    assert ("but its files of results do not fit that: they are written again" in said) == (name == "metrics.jsonl")
    assert loop.train(config, ours) == whole


def test_what_cannot_be_read_is_no_outcome(workdir, tmp_path, monkeypatch):
    assert read_trained(tmp_path, Finished("last epoch", 1)) is None
    assert read_trained(workdir, Finished("last epoch", 2)) is None  # one epoch is there
    assert read_trained(workdir, Finished("last epoch", 1)) is not None
    monkeypatch.setattr(run_record, "read", lambda workdir: {"result": {"epochs": 1}, "sessions": []})
    assert read_trained(workdir, Finished("last epoch", 1)) is None


def test_it_is_shown_in_a_line_without_its_history():
    trained = Trained(Path("runs/x"), 2, [{"epoch": 1}, {"epoch": 2}], 1, math.log(10), "last epoch", 0.125, 2.25)
    assert repr(trained) == (
        "Trained(workdir='runs/x', epochs=2, history=[2 rows], best_epoch=1, best_val_loss=2.3026, "
        "reason='last epoch', test_accuracy=0.1250, test_loss=2.2500)"
    )


def test_pictures_of_another_size_are_refused_before_a_workdir_is_made(config, tmp_path):
    from foodjax.config.check import checked
    from foodjax.data.sets import split_data

    data = foodjax.load_data(config)
    config.data.image_size = 32
    with pytest.raises(UserError, match="data.image_size is 32, but the pictures have 16 x 16 pixels"):
        split_data(checked(config), data.train, data.test)
