"""A run on a fold: what it records, and its evaluation on its own photographs, on the test part, and on others."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers import class_folders_of

from foodjax.config.check import replace
from foodjax.data.sets import load_data
from foodjax.report.inspect import inspect_workdir
from foodjax.run import evaluate, loop, probe, smoke
from foodjax.run.trained_data import open_data
from foodjax.study import reproduce
from foodjax.system.errors import UserError
from foodjax.workdir import data_record
from foodjax.workdir.description import read_description

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fold_run(workdir, tmp_path_factory):
    """A run of one epoch on the second of four folds of 60 training photographs; 45 others are the test part."""
    config = replace(read_description(workdir)[0], {"data.fold": "2/4", "data.validation_fraction": 0.2})
    folder = tmp_path_factory.mktemp("fold") / "run"
    loop.train(config, folder)
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_it_records_its_photographs_and_not_the_test_part(fold_run):
    recorded = data_record.read(fold_run)
    assert recorded is not None
    assert recorded.is_whole
    counts = {part: len(found) for part, found in recorded.photographs.items()}
    assert counts == {"train": 36, "validation": 9, "test": 15, "unused": 0}
    session = json.loads((fold_run / "run.json").read_text())["sessions"][0]
    assert list(session["prepared"]) == ["train"]
    assert session["data"]["test"]["images"] == 15
    listed = Counter((row["part"], row["used"]) for row in rows_of(fold_run / "photographs.csv"))
    assert listed == {("train", "yes"): 36, ("validation", "yes"): 9, ("test", "yes"): 15}
    predicted = {row["id"] for row in rows_of(fold_run / "evaluation" / "predictions.csv")}
    assert predicted == {one.id for one in recorded.photographs["test"]}


def test_it_is_finished_and_its_photographs_are_known_again(fold_run, capsys):
    config, _ = read_description(fold_run)
    trained = loop.train(config, fold_run)
    out = capsys.readouterr().out
    assert "is finished" in out
    assert "have changed" not in out
    assert trained.test_accuracy == json.loads((fold_run / "evaluation/evaluation.json").read_text())["accuracy"]
    found = open_data(fold_run, config, Path(config.data.cache_dir))
    assert found is not None
    wanted = load_data(config)
    for part in ("train", "validation", "test"):
        assert getattr(found.parts, part).tolist() == getattr(wanted.parts, part).tolist()


def test_its_evaluation_is_of_its_fold_wherever_the_photographs_lie_and_whatever_their_names(fold_run, tmp_path):
    config, _ = read_description(fold_run)
    before = (fold_run / "evaluation" / "predictions.csv").read_bytes()
    found = evaluate.evaluate_workdir(None, fold_run)
    assert found.folder == fold_run / "evaluation"
    assert (fold_run / "evaluation" / "predictions.csv").read_bytes() == before
    listed = Counter((row["part"], row["used"]) for row in rows_of(found.folder / "photographs.csv"))
    assert listed == {("train", "no"): 45, ("test", "yes"): 15}
    moved = class_folders_of(Path(config.data.dir), tmp_path / "moved")
    for path in list(moved.glob("train/*/*.jpg")):
        path.rename(path.with_name(f"renamed{path.name}"))
    other = evaluate.evaluate_workdir(replace(config, {"data.dir": str(moved)}), fold_run, tmp_path / "output")
    assert other.folder == tmp_path / "output" / "evaluation"
    assert other.accuracy == found.accuracy
    assert np.sort(other.predictions.probabilities, axis=0) == pytest.approx(
        np.sort(found.predictions.probabilities, axis=0)
    )


def test_the_test_part_is_evaluated_apart_and_another_fold_is_refused(fold_run, workdir, tmp_path):
    config, _ = read_description(fold_run)
    found = evaluate.evaluate_workdir(replace(config, {"data.fold": ""}), fold_run, tmp_path)
    assert found.folder == tmp_path / "evaluation-test"
    assert found.scores.num_examples == 45
    with pytest.raises(UserError, match="tested on the fold 2/4: .* needs data.fold=2/4, or data.fold=''"):
        evaluate.evaluate_workdir(replace(config, {"data.fold": "1/4"}), fold_run, tmp_path)
    own, _ = read_description(workdir)
    with pytest.raises(
        UserError, match="trained without folds: it has seen photographs of that fold: needs data.fold=''"
    ):
        evaluate.evaluate_workdir(replace(own, {"data.fold": "1/4"}), workdir, tmp_path)


def test_other_photographs_are_evaluated_apart_and_never_take_the_place_of_the_fold(fold_run, tmp_path):
    config, _ = read_description(fold_run)
    other = class_folders_of(Path(config.data.dir), tmp_path / "other")
    for path in list(other.glob("train/*/1*.jpg")):
        path.unlink()
    found = evaluate.evaluate_workdir(replace(config, {"data.dir": str(other)}), fold_run, tmp_path / "output")
    assert found.folder == tmp_path / "output" / "evaluation-other"
    assert found.scores.num_examples == 45  # of its test part
    # In the run's own place.
    run = tmp_path / "run"
    shutil.copytree(fold_run, run)
    stored = json.loads((run / "config.json").read_text())
    stored["data"]["dir"] = str(other)
    (run / "config.json").write_text(json.dumps(stored))
    with pytest.raises(UserError, match=r"the photographs are not those of .* a fold of others may hold some that it"):
        evaluate.evaluate_workdir(None, run)


def test_a_smoke_test_and_the_inspect_page_have_the_fold(fold_run, tmp_path):
    config, _ = read_description(fold_run)
    found = inspect_workdir(config, tmp_path / "inspected")
    assert {part: int(counts.sum()) for part, counts in found.counts.items()} == {
        "train": 36, "validation": 9, "test": 15,
    }  # fmt: skip
    _, _, data = smoke.prepare_smoke(config, tmp_path / "tried")
    assert len(data.parts.train) == 16
    assert set(data.train.labels[data.parts.test]) == {0, 1, 2}


def test_it_is_reproduced(fold_run, tmp_path, capsys):
    config, _ = read_description(fold_run)
    assert reproduce.reproduce(config, fold_run, tmp_path / "again")
    assert "evaluation and every prediction are equal to the byte" in capsys.readouterr().out


def test_a_probe_is_tested_on_the_fold_too(fold_run, workdir, tmp_path):
    config = replace(read_description(fold_run)[0], {"model.init_from": str(workdir)})
    probe.probe(config, tmp_path / "run")
    predicted = [row["id"] for row in rows_of(tmp_path / "run/evaluation/predictions.csv")]
    assert predicted == [row["id"] for row in rows_of(fold_run / "evaluation/predictions.csv")]
