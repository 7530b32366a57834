"""Every photograph is used, or counted and named with its reason: on the terminal, in photographs.csv and the pages."""

import errno
import json
import os
import shutil
import zipfile

import numpy as np
import painted
import pytest
from helpers import make_food_root
from PIL import Image

from foodjax.config.check import replace
from foodjax.data import decode, found, photographs, sets
from foodjax.data.photographs import Photograph
from foodjax.data.sources import folders
from foodjax.data.sources.find import create_source
from foodjax.data.sources.labels import read_labels
from foodjax.data.sources.layouts import Options, list_tree
from foodjax.data.sources.tree import Folder, scan
from foodjax.report import inspect
from foodjax.run import loading
from foodjax.system.cells import read_csv
from foodjax.system.errors import UserError


@pytest.fixture
def root(tmp_path):
    return painted.folders(tmp_path / "data")


def listed(place, cache, **changes):
    data = painted.load(place, cache, **changes)
    return {p.file: p for p in photographs.of_data(data)}


def test_every_photograph_has_a_line(root, tmp_path):
    (root / "train" / "ring" / "notes.txt").write_text("x")
    (root / "train" / "ring" / "old.jpg").write_bytes(b"no picture")
    (root / "stray.png").write_bytes(b"x")
    found = listed(root, tmp_path, on_error="skip")
    assert len(found) == 18 + 12 + 3
    assert [p.part for file, p in found.items() if file.startswith("train/bars")] == ["validation"] * 2 + ["train"] * 4
    size = (root / "test" / "bars" / "0.png").stat().st_size
    assert found["test/bars/0.png"] == Photograph("test", "bars", "test/bars/0.png", "", size)
    assert found["train/ring/notes.txt"].reason == ".txt: no suffix of a picture"
    assert found["train/ring/old.jpg"][:4] == (
        "train",
        "ring",
        "train/ring/old.jpg",
        found["train/ring/old.jpg"].reason,
    )
    assert found["train/ring/old.jpg"].reason.startswith("not a picture of a known kind")
    assert found["train/ring/old.jpg"].size == 10
    assert found["stray.png"].reason == "lies in none of the parts"
    assert sum(not p.reason for p in found.values()) == 30


def test_photographs_of_other_classes_have_a_line_and_are_one_group(root, tmp_path, capsys):
    found = listed(root, tmp_path, num_classes=2)
    assert [p.class_name for p in found.values() if p.reason] == ["ring"] * 10
    assert {p.reason for p in found.values() if p.reason} == {"its class is not used"}
    out = capsys.readouterr().out
    assert "10 files are not used:\n  train: 6, its class is not used; 'train/ring/0.png'\n  test: 4, its" in out


def test_a_validation_part_that_the_tutorial_leaves_out_is_listed(tmp_path):
    parts = {name: name for name in ("train", "validation", "test")}
    root = painted.folders(tmp_path / "data", parts)
    found = listed(root, tmp_path, protocol="tutorial")
    assert {p.reason for file, p in found.items() if file.startswith("validation")} == {
        "data.protocol=tutorial validates on test"
    }
    assert found["test/bars/0.png"].part == "test and validation"
    assert found["test/bars/3.png"].part == "test"
    assert found["train/bars/0.png"].reason == "the split leaves it out (data.protocol, data.train_per_class)"
    own = listed(root, tmp_path)
    assert {p.part for file, p in own.items() if file.startswith("validation")} == {"validation"}
    assert not any(p.reason for p in own.values())


@pytest.mark.parametrize("choice", ["tell", "drop"])
def test_duplicates_are_named_and_why_they_are_left_out(root, tmp_path, choice):
    rng = np.random.default_rng(0)
    for path in sorted(root.rglob("*.png")):
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(path)
    shutil.copy(root / "train" / "bars" / "4.png", root / "test" / "bars" / "1.png")
    shutil.copy(root / "train" / "ring" / "4.png", root / "train" / "ring" / "5.png")
    config = replace(painted.config_of(root, tmp_path / "c", duplicates=choice), {"data.image_size": 24})
    rows = {p.file: p for p in photographs.of_data(sets.load_data(config))}
    assert rows["train/ring/5.png"].duplicate_of == "train/ring/4.png"
    leaked, reason = rows["train/bars/4.png"], "validation or test holds it too (data.duplicates=drop)"
    assert leaked.reason == ("" if choice == "tell" else reason)
    assert leaked.duplicate_of == ("" if choice == "tell" else "test/bars/1.png")
    assert rows["test/bars/1.png"].duplicate_of == "train/bars/4.png"
    assert sum(bool(p.reason) for p in rows.values()) == (choice == "drop")


@pytest.mark.parametrize("number,end", [(3, "2.png ("), (10, "9.png ("), (12, " and 2 more: repair them")])
def test_a_refusal_names_ten_photographs_with_their_reasons(tmp_path, number, end):
    root = painted.folders(tmp_path / "data", counts={"train": 14, "test": 2})
    for k in range(number):
        (root / "train" / "ring" / f"{k}.png").write_bytes(b"<html>")
    with pytest.raises(
        UserError, match=f"^{number} of 42 train images do not decode: train/ring/0.png \\(not a"
    ) as caught:
        painted.load(root, tmp_path / "cache")
    assert end in str(caught.value)
    assert str(caught.value).count(".png (not a picture of a known kind") == min(number, 10)
    with pytest.raises(UserError, match="all are listed in .*run/photographs.csv$"):
        loading.load_for(tmp_path / "run", painted.config_of(root, tmp_path / "cache"), None, begun=False)
    assert len(photographs.read(tmp_path / "run")) == number
    assert {row["used"] for row in read_csv(tmp_path / "run" / "photographs.csv")} == {"no"}
    (tmp_path / "run" / "photographs.csv").write_text("of the run")
    with pytest.raises(found.UndecodedError):
        loading.load_for(tmp_path / "run", painted.config_of(root, tmp_path / "cache"), None, begun=True)
    assert (tmp_path / "run" / "photographs.csv").read_text() == "of the run"


@pytest.mark.parametrize("error,words", [
    (PermissionError(errno.EACCES, "Permission denied"), "Permission denied"),
    (OSError(errno.EIO, "Input/output error"), "Input/output error"),
    (OSError(errno.ESTALE, "Stale file handle"), "Stale file handle"),
    (FileNotFoundError(errno.ENOENT, "No such file or directory"), "it was there a moment ago"),
])  # fmt: skip
def test_a_file_that_cannot_be_read_now_is_no_hole_in_the_cache(root, tmp_path, monkeypatch, error, words):
    def failing(path, mode):
        if path.endswith("train/ring/3.png"):
            raise error
        return open(path, mode)

    with monkeypatch.context() as patch:
        patch.setattr(folders, "open", failing, raising=False)
        with pytest.raises(UserError, match=rf"cannot read .*train/ring/3.png \({words}\)"):
            painted.load(root, tmp_path / "cache", on_error="skip")
    data = painted.load(root, tmp_path / "cache", on_error="skip")
    assert painted.seen(data.train) == painted.written("train")
    assert data.unused == []


def test_a_photograph_that_goes_while_others_are_read_is_no_hole(root, tmp_path):
    config = painted.config_of(root, tmp_path / "cache", on_error="skip")
    source = create_source(config)
    source.fingerprint()
    path = root / "train" / "ring" / "3.png"
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(UserError, match="it was there a moment ago"):
        sets.load_source(source, config)
    path.write_bytes(content)
    assert painted.seen(sets.load_data(config).train) == painted.written("train")


def test_a_list_that_names_what_is_not_there_is_told_as_that(tmp_path):
    root = make_food_root(tmp_path / "food-101")
    (root / "images" / "ring" / "1.jpg").unlink()
    found = listed(root, tmp_path / "cache", on_error="skip")
    assert found["images/ring/1.jpg"].reason == "missing or empty"
    with zipfile.ZipFile(tmp_path / "food.zip", "w") as file:
        for path in root.rglob("*.*"):
            file.write(path, path.relative_to(tmp_path))
    found = listed(tmp_path / "food.zip", tmp_path / "cache", on_error="skip")
    assert found["food-101/images/ring/1.jpg"].reason == "missing or empty"


def test_food_101_with_a_class_without_rights_is_refused(tmp_path):
    root = make_food_root(tmp_path / "food-101")
    tree = scan(str(root))
    tree.folders["images"].folders["ring"] = Folder("ring", "images/ring", problem="Permission denied")

    def read(path):
        return (root / path).read_bytes()

    with pytest.raises(UserError, match="cannot read the folder food/images/ring .Permission denied.: needs the right"):
        list_tree(tree, "food", read, Options())
    with pytest.raises(UserError, match="cannot read the folder food/images/ring"):
        read_labels(b"file,label\nbars/1.jpg,a\nring/1.jpg,b", "t.csv", tree, "food")
    del tree.folders["images"].folders["ring"]
    assert [e.class_name for e in list_tree(tree, "food", read, Options()).test].count("ring") == 4


def test_what_another_pillow_may_decode_is_tried_again(root, tmp_path, monkeypatch):
    Image.new("RGB", (6, 5), (40, 0, 0)).save(root / "train" / "ring" / "old.jpg", "BMP")
    with monkeypatch.context() as patch:
        for module in (found, decode):
            patch.setattr(module, "FORMATS", ("PNG",))
        first = painted.load(root, tmp_path / "cache", on_error="skip")
    assert [row.file for row in first.unused] == ["train/ring/old.jpg"]
    assert painted.load(root, tmp_path / "cache", on_error="skip").unused == []


def test_a_run_and_its_evaluation_list_their_photographs(workdir):
    rows = photographs.read(workdir)
    assert [row.part for row in rows].count("test") == 45
    assert {row.part for row in rows} == {"train", "validation", "test"}
    assert len(rows) == 105
    assert not any(row.reason for row in rows)
    assert [row.file for row in photographs.read(workdir / "evaluation")] == [r.file for r in rows if r.part == "test"]
    header = (workdir / "photographs.csv").read_text().splitlines()[0]
    assert header == "part,class,file,used,reason,bytes,duplicate_of"


@pytest.mark.slow
def test_inspect_shows_the_files_that_are_not_used(root, tmp_path):
    (root / "train" / "ring" / "a<b>.HEIF~").write_text("x")
    (root / "train" / "ring" / "old.jpg").write_bytes(b"no picture")
    config = replace(painted.config_of(root, tmp_path / "cache", on_error="skip"), {"data.image_size": 32})
    page = inspect.inspect_workdir(config, tmp_path / "run").page.read_text()
    assert "30 photographs are used, 2 files are not" in page
    assert "a&lt;b&gt;.HEIF~" in page
    assert "not a picture of a known kind" in page
    assert len(photographs.read(tmp_path / "run" / "inspect")) == 32
    os.remove(root / "train" / "ring" / "old.jpg")
    os.remove(root / "train" / "ring" / "a<b>.HEIF~")
    page = inspect.inspect_workdir(config, tmp_path / "run").page.read_text()
    assert "All 30 photographs are used." in page
    assert json.dumps("unused-files") not in page
