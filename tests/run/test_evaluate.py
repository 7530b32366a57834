"""What an evaluation returns."""

import csv
import json
import re

import numpy as np
import pytest

from foodjax.run.evaluate import evaluate_workdir
from foodjax.workdir.description import read_description


@pytest.fixture(scope="module")
def evaluated(workdir):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(workdir.parent))
        return evaluate_workdir(None, "~/run")


def test_its_numbers_are_those_of_the_files(workdir, evaluated):
    scores = json.loads((workdir / "evaluation" / "evaluation.json").read_text())
    assert evaluated.folder == workdir / "evaluation"
    assert (evaluated.accuracy, evaluated.loss) == (scores["accuracy"], scores["loss"])
    assert evaluated.classes == evaluated.scores.classes
    assert [list(row) for row in evaluated.classes] == scores["classes"]
    with (workdir / "evaluation" / "classes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, found in zip(rows, evaluated.classes, strict=True):
        assert row["class"] == found.name
        assert float(row["precision"]) == found.precision
        assert float(row["recall"]) == found.recall
        assert float(row["f_score"]) == found.f_score
        assert int(row["support"]) == found.support == 15


def test_its_accuracy_is_the_share_of_right_predictions(evaluated):
    predictions = evaluated.predictions
    assert evaluated.accuracy == np.mean(predictions.probabilities.argmax(axis=1) == predictions.labels)
    recalls = {row.name: row.recall for row in evaluated.classes}
    assert evaluated.accuracy == pytest.approx(np.mean([recalls[name] for name in evaluated.engine.class_names]))


def test_without_a_config_it_is_that_of_the_workdir(workdir, evaluated):
    assert evaluated.engine.config == read_description(str(workdir))[0]
    assert evaluate_workdir(read_description(workdir)[0], str(workdir)).scores == evaluated.scores


def test_it_is_shown_in_a_line_without_arrays(evaluated):
    text = repr(evaluated)
    assert re.fullmatch(
        r"Evaluation\(folder='.*/run/evaluation', step=\d+, num_examples=45, accuracy=0\.\d{4}, loss=\d\.\d{4}, "
        r"temperature=None\)",
        text,
    )
    assert f"accuracy={evaluated.accuracy:.4f}, loss={evaluated.loss:.4f}" in text
