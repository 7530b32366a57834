"""File and class names of any bytes: used in everything that a run writes, and shown without control characters."""

import csv
import io
import json
import os
import re
import tarfile
import unicodedata
from pathlib import Path

import numpy as np
import painted
import pytest
from helpers import make_food_root, one_device_environment, run_main

from foodjax.config.check import replace
from foodjax.data import photographs
from foodjax.data.sources import alike
from foodjax.evaluation import scores as scores_lib
from foodjax.evaluation.predictions import Predictions
from foodjax.report import figures, inspect, live, pictures, run_report, templating
from foodjax.run import loop, predict
from foodjax.run.evaluate import evaluate_workdir
from foodjax.study import page, results
from foodjax.system import files
from foodjax.system.cells import read_csv
from foodjax.system.console import say, show
from foodjax.system.errors import UserError
from foodjax.workdir import description, tensorboard

LATIN = os.fsdecode(b"caf\xe9")
NFC = "crème brûlée"
NFD = unicodedata.normalize("NFD", NFC)
NAMES = (
    LATIN, NFC, NFD, "dog [small]", "[/x]", "[bold red]a", "=1+1", "-2+3", "@a", "'quo\"te', x;y", "line\nbreak",
    "\x1b[2J\x07", "\u202egnp.evil", "日本語", "a\u200bb", "$a$ _b^{", "<script>alert(1)</script>", "Dog ", "dog",
    "x" * 200, "-1", "#1 {{ x }} %s", "back\\slash\\xe9",
)  # fmt: skip
_FOLDERS = tuple(name for name in NAMES if "/" not in name)
_RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u200b\ud800-\udfff]")


def assert_shown(text: str, *names: str):
    """Asserts that a text holds no raw control character and all of the names as they are shown."""
    assert not _RAW.search(text)
    for name in names:
        assert name in text


@pytest.fixture
def scored():
    labels = np.arange(len(NAMES)).repeat(2)
    probabilities = np.eye(len(NAMES))[np.roll(labels, 1)] * 0.9 + 0.1 / len(NAMES)
    predictions = Predictions({"loss": 1.0}, probabilities, labels, np.arange(len(labels)))
    ids = [f"{NAMES[label]}/{k}{NAMES[label][:40]}.png" for k, label in enumerate(labels)]
    return scores_lib.compute_scores(predictions, NAMES), predictions, ids


def test_tables_of_an_evaluation_are_read_back(scored, tmp_path):
    scores, predictions, ids = scored
    scores_lib.write_files(tmp_path, scores, predictions, ids, NAMES, {})
    rows = read_csv(tmp_path / "predictions.csv")
    assert [row["id"] for row in rows] == ids
    assert [row["true"] for row in rows] == [name for name in NAMES for _ in range(2)]
    assert {row["predicted"] for row in rows} == set(NAMES)
    assert {row["class"] for row in read_csv(tmp_path / "classes.csv")} == set(NAMES)
    assert {row[0] for row in json.loads((tmp_path / "evaluation.json").read_text())["classes"]} == set(NAMES)
    for name in ("predictions.csv", "classes.csv"):
        with (tmp_path / name).open(newline="", encoding="utf-8") as file:  # as any program reads it
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not any(re.match(r"[=@\t\r]|[+-](?!\d+$)", cell) for cell in cells)


def test_predictions_of_ordinary_names_are_as_before(tmp_path, scored):
    names, labels = ("apple_pie", "beef carpaccio", "crème brûlée"), np.arange(3)
    predictions = Predictions({"loss": 1.0}, np.eye(3) * 0.5 + 0.25, labels, labels)
    scores = scores_lib.compute_scores(predictions, names)
    scores_lib.write_files(tmp_path, scores, predictions, ["a/1", "b,c/2", 'd"/3.jpg'], names, {})
    before = io.StringIO(newline="")
    rows = [[i, n, n, "0.750000"] for i, n in zip(["a/1", "b,c/2", 'd"/3.jpg'], names, strict=True)]
    csv.writer(before).writerows([["id", "true", "predicted", "probability"], *rows])
    assert (tmp_path / "predictions.csv").read_bytes() == before.getvalue().encode()


def test_the_table_on_the_terminal(scored, capsys):
    show(scores_lib.to_table(scored[0]))
    out = capsys.readouterr().out
    assert "".join(re.findall("x{20,}", out)) == "x" * 200
    assert_shown(
        out, r"caf\xe9", NFC, NFD, "dog [small]", "[/x]", "[bold red]a", "=1+1", r"line\nbreak", r"\x1b[2J\x07"
    )
    say("\n".join(NAMES))
    assert capsys.readouterr().out.count("\n") == 1


def test_figures_and_pages_take_any_names(tmp_path):
    matrix = np.eye(len(NAMES), dtype=int)
    for figure in (figures.confusion(matrix, NAMES), figures.class_counts(NAMES, {"train": np.ones(len(NAMES))})):
        svg = figures.to_svg(figure, "counts")
        assert_shown(svg, r"caf\xe9", "日本語", "&lt;script&gt;")
        assert figures.to_png(figure).startswith(b"\x89PNG")
    strip = pictures.strip([np.zeros((4, 4, 3), np.uint8)] * len(NAMES), [(name, name) for name in NAMES])
    assert strip.dtype == np.uint8
    rows, look = [[name] for name in NAMES], {"stroke": "#000", "dashes": "none", "path": "M0 0"}
    text = templating.render(
        "comparison.html.j2", title=LATIN, note="\n", columns=[("variant", "text", "")], rows=rows,
        left_out=list(NAMES), legend=[(name, look) for name in NAMES], accuracy="", curves="", cost="",
    )  # fmt: skip
    files.write_text(tmp_path / "page.html", text)
    assert_shown((tmp_path / "page.html").read_text(), r"caf\xe9", NFD, "dog [small]", "&lt;script&gt;", r"line\nbreak")


def test_a_description_and_tensorboard_keep_any_names(tmp_path, tiny_config):
    from foodjax.config.check import checked

    description.write_description(tmp_path / "run", checked(tiny_config), NAMES)
    assert description.read_description(tmp_path / "run")[1] == NAMES
    assert description.write_description(tmp_path / "run", checked(tiny_config), NAMES) is None
    events = tensorboard.EventFile(tmp_path / "tensorboard", 0)
    for name in NAMES:
        events.write_text(1, "text", name)
    events.close()
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1


@pytest.mark.parametrize("one,other,how", [
    (NFC, NFD, "Unicode form"),
    ("Dog", "dog", "upper and lower case"),
    ("STRASSE", "straße", "upper and lower case"),
    ("dog", "dog ", "blanks"),
    ("hot dog", "hot\u00a0dog", "blanks"),
    ("hot dog", "hotdog", "blanks"),
    ("dog", "do\u200bg", "characters that are not seen"),
    ("apple", "аpple", "letters of another alphabet"),
    ("Dog", "dog ", "several things"),
])  # fmt: skip
def test_two_names_that_look_alike_are_told_with_how_they_differ(one, other, how):
    (line,) = alike.notes([one, "ring", other])
    assert line.startswith("two classes look alike: '")
    assert f" differ in {how}" in line
    assert f" differ in {how}" in alike.hint(one, ["ring", other])


def test_names_that_only_resemble_are_not_told():
    assert alike.notes(["dog", "dogs", LATIN, os.fsdecode(b"caf\xe8"), "caf", "1", "10", "o", "0"]) == []
    assert alike.hint("dog", ["dog", "cat"]) == ""
    assert len(alike.notes([*"abcdef", *"ABCDEF"])) == 4
    assert alike.notes([*"abcdef", *"ABCDEF"])[-1] == "and 3 more pairs of classes look alike"


def test_a_class_in_another_form_in_each_part_is_told(tmp_path, capsys):
    root = painted.folders(tmp_path / "data", classes=("bars", "ring", NFC))
    (root / "test" / NFC).rename(root / "test" / NFD)
    painted.load(root, tmp_path / "cache")
    assert "differ in Unicode form" in capsys.readouterr().out
    with pytest.raises(UserError, match="has no train images: .*another name looks like it.*Unicode form"):
        painted.load(root, tmp_path / "cache", class_names=("bars", NFD))
    with pytest.raises(UserError, match="data.class_names has .*another name looks like it.*upper and lower case"):
        painted.load(painted.folders(tmp_path / "b"), tmp_path / "cache", class_names=("bars", "Ring"))
    both = painted.folders(tmp_path / "c", classes=("bars", "Bars"))
    painted.load(both, tmp_path / "cache")
    assert "two classes look alike: 'Bars' and 'bars' differ in upper and lower case\n" in capsys.readouterr().out


def named(root: Path) -> Path:
    """Writes a folder of classes with these names, and pictures with these names in them."""
    for part, codes in (("train", 40), ("test", 120)):
        for j, name in enumerate(_FOLDERS):
            for k in range(4):
                stem = f"{k}{_FOLDERS[(j + k) % len(_FOLDERS)]}"[:200]
                painted.paint(root / part / name / f"{stem}.png", (codes, 10 * j, 60 * k))
    return root


@pytest.mark.parametrize("source", ["folder", "archive", "food-101"])
def test_any_names_are_prepared_and_listed(tmp_path, source, capsys):
    if source == "food-101":
        root = make_food_root(tmp_path / "food-101", classes=("cafe", "a\tb", "=1+1"))
        (root / "images" / "cafe").rename(root / "images" / LATIN)
        for path in (root / "meta").iterdir():
            path.write_bytes(path.read_bytes().replace(b"cafe", b"caf\xe9"))
        data = painted.load(root, tmp_path / "cache")
        assert data.train.class_names == (LATIN, "a\tb", "=1+1")
        assert len(data.train.ids) == 18
        return
    root = named(tmp_path / "data")
    if source == "archive":
        with tarfile.open(tmp_path / "data.tar", "w") as tar:
            tar.add(root, arcname="data")
    place = root if source == "folder" else tmp_path / "data.tar"
    data = painted.load(place, tmp_path / "cache")
    known = {name.split("\\")[0] if source == "archive" else name for name in _FOLDERS}
    assert set(data.train.class_names) == known
    assert_shown(capsys.readouterr().out)
    files.write_all(tmp_path, photographs.to_files(photographs.of_data(data)))
    assert photographs.read(tmp_path) == photographs.of_data(data)
    if source == "folder":
        assert all(os.path.isfile(root / p.file) for p in photographs.read(tmp_path))


@pytest.mark.slow
def test_a_whole_training_with_any_names(tmp_path, capsys):
    root, run = named(tmp_path / os.fsdecode(b"d\xe9\n[/x]")), tmp_path / "run"
    config = replace(
        painted.config_of(root, tmp_path / "cache"),
        {"data.image_size": 32, "train.epochs": 1, "data.batch_size": 8, "eval.calibrate": True},
    )
    loop.train(config, run, [live.observe], report=run_report.write_report)
    inspect.inspect_workdir(config, run)
    evaluate_workdir(None, run)
    predict.predict_workdir(run, [root / "test"], tmp_path / "top5.csv")
    predict.predict_workdir(run, [root / "test"], tmp_path / "top5.json")
    page.write_comparison([str(run)])
    out, err = capsys.readouterr()
    assert "left out: " not in out + err
    assert_shown(out, "dog [small]", "[bold red]a", r"caf\xe9", NFD)
    assert_shown(err)
    pairs = results.read_run(run).predictions.values()
    assert {true for true, _ in pairs} == set(_FOLDERS)
    assert {predicted for _, predicted in pairs} <= set(_FOLDERS)
    assert {row["class"] for row in read_csv(tmp_path / "top5.csv")} <= set(_FOLDERS)
    assert {row["path"] for row in read_csv(tmp_path / "top5.csv")} == {
        str(path) for path in (root / "test").rglob("*.png")
    }
    for path in run.rglob("*.html"):
        assert_shown(path.read_text(), "dog [small]", r"caf\xe9", "#1 {{ x }} %s")
    assert len(photographs.read(run)) == 8 * len(_FOLDERS)


@pytest.mark.slow
def test_the_program_with_any_names_on_a_latin_terminal(tmp_path):
    root = named(tmp_path / "data")
    environment = one_device_environment() | {"PYTHONIOENCODING": "latin-1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    changes = {"data.dir": root, "data.num_classes": 0, "data.image_size": 32, "data.batch_size": 8}
    changes |= {"train.epochs": 1, "data.validation_fraction": 0.4}
    flags = [f"--config.{key}={value}" for key, value in changes.items()]
    found = run_main(
        "train", "--config", "demo:blocks=2", "--workdir", tmp_path / "run", *flags, environment=environment,
        check=True, encoding="latin-1",
    )  # fmt: skip
    assert "\\u65e5\\u672c\\u8a9e" in found.stdout
    assert "Traceback" not in found.stderr


def test_a_table_gives_classes_any_names(tmp_path):
    lines, root = ["file,label"], tmp_path / "data"
    for j, name in enumerate(NAMES):
        for k in range(4):
            painted.paint(root / f"{j}-{k}.png", (j, k, 0))
            lines.append(f'{j}-{k}.png,"{name.replace(chr(34), chr(34) * 2)}"')
    (tmp_path / "t.csv").write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    data = painted.load(root, tmp_path / "cache", labels=str(tmp_path / "t.csv"))
    assert set(data.train.class_names) == {name.strip() for name in NAMES}
