"""Test sets that lack a class of the training, or have one more; unequal classes; classes of few photographs."""

import csv
import shutil

import numpy as np
import pytest
from painted import CLASSES, COUNTS, colour, config_of, folders, listing, load, paint, seen, written

from foodjax.config.check import replace
from foodjax.evaluation.predictions import Predictions
from foodjax.evaluation.scores import cells, compute_scores, write_files
from foodjax.report import run_report
from foodjax.run.evaluate import evaluate_workdir
from foodjax.system.errors import UserError
from foodjax.workdir.description import read_description


def test_a_class_without_test_images_is_trained_and_told(tmp_path, capsys):
    folders(tmp_path / "own")
    shutil.rmtree(tmp_path / "own" / "test" / "cross")
    data = load(tmp_path / "own", tmp_path)
    assert data.train.class_names == data.test.class_names == CLASSES
    assert seen(data.train) == written("train")
    assert seen(data.test) == written("test", classes=("bars", "ring"))
    assert "no test images of 1 of the 3 classes: 'cross'\n" in capsys.readouterr().out


def test_a_class_without_train_images_is_not_tested_on_and_told(tmp_path, capsys):
    folders(tmp_path / "own")
    for k in range(7):
        paint(tmp_path / "own" / "test" / "star" / f"{k}.png", (1, 2, k))
    data = load(tmp_path / "own", tmp_path)
    assert data.train.class_names == CLASSES
    assert seen(data.test) == written("test")
    assert {(u.part, u.class_name, u.reason) for u in data.test.found.unused} == {
        ("test", "star", "its class has no train images")
    }
    assert "  test, class 'star': 7, its class has no train images; 'test/star/0.png'" in capsys.readouterr().out


def test_one_lacks_and_another_is_more(tmp_path):
    folders(tmp_path / "own")
    (tmp_path / "own" / "test" / "ring").rename(tmp_path / "own" / "test" / "rings")
    found = listing(tmp_path / "own")
    assert found.class_names == CLASSES
    assert {e.class_name for e in found.test} == {"bars", "cross"}
    assert found.notes == ("no test images of 1 of the 3 classes: 'ring'",)
    assert {u.class_name for u in found.unused} == {"rings"}


def test_the_first_classes_are_those_with_train_images(tmp_path):
    folders(tmp_path / "own")
    paint(tmp_path / "own" / "test" / "apple" / "0.png", (1, 2, 3))
    data = load(tmp_path / "own", tmp_path, num_classes=2)
    assert data.train.class_names == ("bars", "cross")
    with pytest.raises(UserError, match="data.num_classes is 4, but the data has 3 classes: use"):
        load(tmp_path / "own", tmp_path, num_classes=4)


def test_a_named_class_without_train_images_is_refused(tmp_path):
    folders(tmp_path / "own")
    paint(tmp_path / "own" / "test" / "star" / "0.png", (1, 2, 3))
    with pytest.raises(UserError, match="class 'star' has no train images: needs at least one"):
        load(tmp_path / "own", tmp_path, class_names=("bars", "star"))


def test_no_class_in_common_is_refused(tmp_path):
    folders(tmp_path / "own")
    for name in CLASSES:
        (tmp_path / "own" / "test" / name).rename(tmp_path / "own" / "test" / f"{name}s")
    with pytest.raises(UserError, match="the data has no test images"):
        load(tmp_path / "own", tmp_path)


def test_unequal_classes_and_those_without_validation_are_told(tmp_path, capsys):
    folders(tmp_path / "own")
    for k in range(6, 40):
        paint(tmp_path / "own" / "train" / "ring" / f"{k}.png", colour("train", "ring", k))
    for k in range(1, 6):
        (tmp_path / "own" / "train" / "bars" / f"{k}.png").unlink()
    load(tmp_path / "own", tmp_path)
    out = capsys.readouterr().out
    assert "the classes are unequal: 'ring' has 24 training images, 'bars' has 1; train.balance=classes gives" in out
    assert "classes without validation images: 'bars' (1 to train); needs at least 2 images of a class" in out


@pytest.fixture
def run(workdir, tmp_path):
    """A copy of the finished run on bars, cross and ring."""
    return shutil.copytree(workdir, tmp_path / "run")


def some(workdir, target, classes):
    """Copies ten photographs of the run's data to target/CLASS/, as {class: class that the photographs are of}."""
    for name, of in classes.items():
        (target / name).mkdir(parents=True)
        for k in range(10):
            shutil.copy(workdir.parent / "food-101" / "images" / of / f"{k}.jpg", target / name)
    return target


def evaluated(run, place):
    return evaluate_workdir(replace(read_description(run)[0], {"data.dir": str(place)}), run)


def test_evaluation_of_fewer_and_more_classes(run, workdir, tmp_path, capsys):
    place = some(workdir, tmp_path / "own", {"ring": "ring", "star": "cross", "cross": "cross"})
    result = evaluated(run, place)
    out = capsys.readouterr().out
    assert "no test images of 1 of the 3 classes: 'bars'\n" in out
    assert "  test, class 'star': 10, its class is none of the run's; 'star/0.jpg'" in out
    assert "data: 2 of the run's 3 classes, 20 test images" in out
    assert result.data.class_names == CLASSES
    assert {i: CLASSES[label] for i, label in zip(result.data.ids, result.data.labels, strict=True)}["ring/4.jpg"] == (
        "ring"
    )
    assert {row.name: row.support for row in result.classes} == {"bars": 0, "cross": 10, "ring": 10}
    assert result.classes[-1].name == "bars"
    with (result.folder / "classes.csv").open(newline="") as file:
        last = list(csv.reader(file))[-1]
    assert last == ["bars", "", "", "", "0"]
    page = run_report.to_page(result, run)
    assert "worst: bars" not in page
    assert page.count("<td>–</td>") == 3


def test_the_pictures_keep_the_numbers_that_they_have_among_all(run, workdir, tmp_path):
    all_of = some(workdir, tmp_path / "all", {"bars": "bars", "cross": "cross", "ring": "ring"})
    two = some(workdir, tmp_path / "two", {"ring": "ring", "cross": "cross"})
    whole, part = evaluated(run, all_of), evaluated(run, two)
    rows = {whole.data.ids[row]: k for k, row in enumerate(whole.predictions.rows)}
    for k, row in enumerate(part.predictions.rows):
        same = rows[part.data.ids[row]]
        assert part.predictions.labels[k] == whole.predictions.labels[same]
        np.testing.assert_allclose(
            part.predictions.probabilities[k], whole.predictions.probabilities[same], rtol=1e-4, atol=1e-6
        )


def test_evaluation_of_other_classes_alone_is_one_line(run, workdir, tmp_path):
    place = some(workdir, tmp_path / "own", {"Ring": "ring", "star": "cross"})
    message = (
        r"none of the run's 3 classes \('bars', 'cross', 'ring'\) is among the 2 with test images \('Ring', 'star'\)"
    )
    with pytest.raises(UserError, match=message):
        evaluated(run, place)


def test_a_run_of_the_first_classes_leaves_the_others_of_its_own_data_out_on_purpose(tmp_path, capsys):
    from foodjax.data.prepare import prepare
    from foodjax.data.sources.find import create_source
    from foodjax.data.told import tell

    folders(tmp_path / "own", counts=COUNTS)
    config = config_of(tmp_path / "own", tmp_path, num_classes=2)
    test = prepare(create_source(config), "test", config, lambda *a: a[2], ("bars", "cross"))
    tell(test.found)
    assert capsys.readouterr().out == "4 files are not used:\n  test: 4, its class is not used; 'test/ring/0.png'\n"
    assert seen(test) == written("test", classes=("bars", "cross"))


def test_a_run_is_told_of_the_classes_that_its_training_left_out(tmp_path, capsys):
    from foodjax.data.prepare import prepare
    from foodjax.data.sources.find import create_source
    from foodjax.data.told import tell

    folders(tmp_path / "own", counts=COUNTS)
    paint(tmp_path / "own" / "test" / "apple" / "0.png", (1, 2, 3))
    config = config_of(tmp_path / "own", tmp_path, num_classes=2)
    test = prepare(create_source(config), "test", config, lambda *a: a[2], ("bars", "cross"))
    tell(test.found)
    out = capsys.readouterr().out
    assert "  test: 4, its class is not used; 'test/ring/0.png'\n" in out
    assert "  test, class 'apple': 1, its class is none of the run's; 'test/apple/0.png'\n" in out


def test_the_scores_of_a_class_without_images(tmp_path):
    probabilities = np.array([[0.6, 0.3, 0.1], [0.1, 0.7, 0.2], [0.5, 0.2, 0.3]], np.float32)
    predictions = Predictions({"loss": 1.0, "accuracy": 1 / 3}, probabilities, np.array([0, 2, 2]), np.arange(3))
    scores = compute_scores(predictions, ("a", "b", "c"))
    assert [(row.name, row.support) for row in scores.classes] == [("a", 1), ("c", 2), ("b", 0)]
    assert [cells(row) for row in scores.classes] == [
        ["a", "0.500", "1.000", "0.667", "1"],
        ["c", "0.000", "0.000", "0.000", "2"],
        ["b", "–", "–", "–", "0"],
    ]
    write_files(tmp_path, scores, predictions, ["x", "y", "z"], ("a", "b", "c"), {})
    assert (tmp_path / "classes.csv").read_text().splitlines()[-1] == "b,,,,0"
