"""Labels are checked by predictions of networks that have not seen them: of a table, or of a probe's features."""

import json

import numpy as np
import pytest
from helpers import make_food_root

from experiments import demo
from foodjax.commands.labels import labels as find_labels
from foodjax.config.check import checked, replace
from foodjax.data import exclude, photographs, sets
from foodjax.evaluation import label_errors
from foodjax.report import labels as report_labels
from foodjax.run import label_check, probe
from foodjax.system.cells import read_csv, to_csv
from foodjax.system.errors import UserError
from foodjax.workdir.description import read_description

pytest.importorskip("cleanlab", reason="cleanlab is not installed: pip install 'foodjax[labels]'")

NAMES = ("bars", "cross", "ring")
WRONG = {"bars/3": "ring", "cross/7": "bars", "ring/12": "cross", "ring/0": "bars"}  # id -> what it shows


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Three classes x (20 train, 3 test) in Food-101's layout; of each class three of train validate."""
    root = tmp_path_factory.mktemp("labels")
    make_food_root(root / "food-101", num_train=20, num_test=3)
    config = demo.get_config()
    config.name = "shapes"
    config.data.update(dir=str(root / "food-101"), num_classes=0, cache_dir=str(root / "cache"), image_size=16)
    config.data.update(batch_size=16)
    return checked(config)


def rows_of(whole: bool, num=20):
    """Returns rows of a table that is sure of what each photograph shows, and right."""
    rng = np.random.default_rng(0)
    for name in NAMES:
        for k in range(num):
            shows = WRONG.get(f"{name}/{k}", name)
            p = round(float(rng.uniform(0.8, 0.95)), 4)
            rest = [p if one == shows else (1 - p) / 2 for one in NAMES]
            yield (f"{name}/{k}", name, shows, p, k % 5, *(rest if whole else ()))


def write_table(path, whole=True, rows=None):
    header = ("id", "true", "predicted", "probability", "fold", *(NAMES if whole else ()))
    path.write_text(to_csv(header, rows_of(whole) if rows is None else rows))
    return path


def test_a_table_that_is_missing_is_told_before_the_data_is_opened(config, tmp_path):
    elsewhere = replace(config, {"data.dir": str(tmp_path / "nothing")})
    with pytest.raises(UserError, match=r"--predictions .+none\.csv cannot be read"):
        find_labels(elsewhere, tmp_path / "run", predictions=tmp_path / "none.csv")


@pytest.mark.parametrize("whole", [True, False], ids=["all probabilities", "the predicted one alone"])
def test_wrong_labels_are_found_in_a_table(config, tmp_path, whole, capsys):
    table = write_table(tmp_path / "table.csv", whole)
    found = find_labels(config, tmp_path / "run", predictions=table)
    assert {s.file: s.suggested for s in found} == {f"images/{i}.jpg": shows for i, shows in WRONG.items()}
    assert [s.rank for s in found] == [1, 2, 3, 4]
    assert [s.p_given for s in found] == sorted(s.p_given for s in found)
    lines = capsys.readouterr().out.splitlines()
    assert "60 labels checked, 4 likely wrong (6.7%); 4 in labels.csv" in lines
    written = read_csv(tmp_path / "run" / "labels" / "labels.csv")
    assert [row["file"] for row in written] == [s.file for s in found]
    assert tuple(written[0]) == report_labels.HEADER
    assert sorted(path.name for path in (tmp_path / "run" / "labels").iterdir()) == ["labels.csv", "labels.html"]


def test_the_list_is_one_for_data_exclude(config, tmp_path):
    find_labels(config, tmp_path, predictions=write_table(tmp_path / "table.csv"), output=tmp_path / "found")
    data = sets.load_data(replace(config, {"data.exclude": str(tmp_path / "found" / "labels.csv")}))
    out = {p.file for p in photographs.of_data(data) if p.reason == exclude.REASON}
    assert out == {f"images/{i}.jpg" for i in WRONG}
    assert (len(data.parts.train), len(data.parts.validation)) == (48, 8)


def test_a_count_takes_more_or_fewer_and_the_first_are_the_same(config, tmp_path):
    table = write_table(tmp_path / "table.csv")
    few, many = (
        find_labels(config, tmp_path, predictions=table, count=count, output=tmp_path / str(count)) for count in (2, 9)
    )
    assert [s.file for s in many[:2]] == [s.file for s in few]
    assert [s.is_found for s in many] == [True] * 4 + [False] * 5


def test_a_list_that_is_there_stays(config, tmp_path):
    table = write_table(tmp_path / "table.csv")
    (tmp_path / "run" / "labels").mkdir(parents=True)
    (tmp_path / "run" / "labels" / "labels.csv").write_text("file\nmine\n")
    with pytest.raises(UserError, match=r"labels/labels.csv exists already: needs another --output, or that you move"):
        find_labels(config, tmp_path / "run", predictions=table)
    assert (tmp_path / "run" / "labels" / "labels.csv").read_text() == "file\nmine\n"


def test_photographs_without_a_prediction_and_rows_without_a_photograph_are_told(config, tmp_path, capsys):
    rows = [row for row in rows_of(True) if row[0] not in ("ring/5", "ring/6")] + [
        ("x/1", "ring", "ring", 1, 0, 0, 0, 1)
    ]
    found = label_check.of_predictions(config, write_table(tmp_path / "table.csv", rows=rows))
    assert (len(found.labels), len(found.places)) == (58, 58)
    out = capsys.readouterr().out
    assert "1 rows of" in out
    assert "2 photographs have no prediction and are not checked, first 'ring/5'" in out


def changed(number, **cells):
    header = ("id", "true", "predicted", "probability", "fold", *NAMES)
    rows = list(rows_of(True))
    rows[number] = tuple({**dict(zip(header, rows[number], strict=True)), **cells}.values())
    return rows


REFUSED = {
    "another label": (
        changed(3, true="ring"),
        "'bars/3' is 'ring' in line 5 and 'bars' in the data: needs predictions",
    ),
    "another class": (changed(3, predicted="cup"), "line 5: 'cup' is none of the 3 classes"),
    "no number": (changed(3, ring="much"), "line 5: could not convert string to float: 'much': needs probabilities"),
    "no probabilities": (changed(3, ring=0.5, bars=0.7), "line 5: the probabilities are not in 0..1, or their sum is"),
    "nan": (changed(3, ring=float("nan")), "line 5: the probabilities are not in 0..1"),
    "others": ([("x", *row[1:]) for row in rows_of(True)], "has none of the photographs of .*: needs their ids"),
    "no class": ([r for r in rows_of(True) if r[1] != "ring"], "has no photograph of class 'ring': needs some of each"),
}


@pytest.mark.parametrize("rows,message", REFUSED.values(), ids=REFUSED)
def test_a_table_that_does_not_fit_is_refused(config, tmp_path, rows, message):
    with pytest.raises(UserError, match=message):
        label_check.of_predictions(config, write_table(tmp_path / "table.csv", rows=rows))


def test_a_table_without_its_columns_is_refused(config, tmp_path):
    path = tmp_path / "table.csv"
    with pytest.raises(UserError, match=r"--predictions .*table.csv cannot be read \(No such file or directory\)"):
        label_check.of_predictions(config, path)
    path.write_text("id,true,predicted\na,b,c\n")
    with pytest.raises(UserError, match="lacks the column probability: needs a table such as predictions.csv"):
        label_check.of_predictions(config, path)
    path.write_text("id,true,predicted,probability,bars\na,b,c,1,1\n")
    with pytest.raises(UserError, match="has a column 'bars' and none 'cross': needs one for each class, or none"):
        label_check.of_predictions(config, path)


def test_a_run_that_has_seen_the_labels_is_refused(workdir):
    config, _ = read_description(workdir)
    with pytest.raises(UserError, match="is no run of foodjax probe: its network has seen the labels"):
        label_check.of_run(config, workdir)


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_class_without_photographs_is_none_and_warns_of_nothing():
    given = np.arange(40) % 2
    probabilities = np.full((40, 3), 0.05)
    probabilities[np.arange(40), given] = 0.9
    probabilities[3] = [0.95, 0.03, 0.02]  # labelled 1
    found = label_errors.find(probabilities, given)
    assert (found.order[0], found.suggested[3]) == (3, 0)
    assert np.flatnonzero(found.is_found).tolist() == [3]


@pytest.mark.slow
def test_the_features_of_a_probe_are_enough(workdir, tmp_path, capsys):
    config = replace(read_description(workdir)[0], {"model.init_from": str(workdir), "eval.flip": True})
    probe.probe(config, tmp_path / "run")
    config, _ = read_description(tmp_path / "run")
    capsys.readouterr()
    found = label_check.of_run(config, tmp_path / "run")
    out = capsys.readouterr().out
    assert f"the features are those of {workdir}: where that run trained on these photographs, it knows" in out
    assert "features:" not in out
    assert len(found.labels) == 60
    assert {place.part for place in found.places} == {"train"}
    np.testing.assert_allclose(found.probabilities.sum(1), 1)
    assert sorted(set(found.folds.tolist())) == [0, 1, 2, 3, 4]
    given = [found.file(place).split("/")[1] for place in found.places]
    assert [found.class_names[label] for label in found.labels] == given
    likeliest = [found.class_names[k] for k in found.probabilities.argmax(1)]
    assert found.accuracy == np.mean(np.array(likeliest) == given)
    report_labels.write(found, config, tmp_path / "labels", "how", 10, with_predictions=True)
    again = label_check.of_predictions(config, tmp_path / "labels" / "predictions.csv")
    files = [[of.file(of.places[i]) for i in of.suspects.order[:3]] for of in (found, again)]
    assert files[0] == files[1]
    assert json.dumps(again.folds.tolist()) == json.dumps(found.folds.tolist())
