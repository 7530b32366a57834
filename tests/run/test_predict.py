import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from helpers import encode, random_pictures
from PIL import Image

from foodjax.run import predict
from foodjax.serve import app
from foodjax.system.errors import UserError


def test_it_says_what_the_evaluation_said(workdir, tmp_path, capsys):
    images = workdir.parent / "food-101" / "images"
    places = [str(images / "bars" / f"{k}.jpg") for k in range(20, 35)] + [
        str(images / name) for name in ("cross", "ring")
    ]
    predict.predict_workdir(workdir, places, tmp_path / "top.csv")
    predict.predict_workdir(workdir, places, tmp_path / "top.json")
    assert "85 photographs, 0 left out; checkpoint of step" in capsys.readouterr().out  # three batches of 32
    with (tmp_path / "top.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2", "3"] * 85
    assert sum(float(row["probability"]) for row in rows) == pytest.approx(85, rel=1e-5)
    stored = json.loads((tmp_path / "top.json").read_text())["predictions"]
    assert [(r["path"], r["class"]) for r in stored] == [(r["path"], r["class"]) for r in rows]
    best = {row["path"]: row for row in rows if row["rank"] == "1"}
    with (workdir / "evaluation" / "predictions.csv").open() as file:
        evaluated = list(csv.DictReader(file))
    assert len(evaluated) == 45
    for row in evaluated:
        ours = best[str(images / f"{row['id']}.jpg")]
        assert ours["class"] == row["predicted"]
        assert float(ours["probability"]) == pytest.approx(float(row["probability"]), abs=2e-4)


def test_files_that_are_no_photographs_are_named_and_left_out(workdir, tmp_path, capsys, monkeypatch, picture):
    monkeypatch.setattr(predict, "MAX_BYTES", 10_000)
    whole = encode(picture)
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "long.jpg").write_bytes(b"x" * 10_001)
    (tmp_path / "huge.png").write_bytes(encode(Image.new("1", (20_000, 6_000)))[:9_000])
    Image.new("RGB", (1, 1), "red").save(tmp_path / "dot.png")
    predict.predict_workdir(workdir, [str(tmp_path)], None)
    out, err = capsys.readouterr()
    assert "dot.png: " in out
    assert "1 photographs, 5 left out" in out
    assert sorted(line.split(": ")[0].rsplit("/")[-1] for line in err.splitlines() if line.startswith("left out")) == [
        "cut.png", "empty.png", "huge.png", "long.jpg", "text.jpg",
    ]  # fmt: skip
    assert "20000 x 6000 pixels, more than" in err
    assert "10,001 bytes" in err
    (tmp_path / "dot.png").unlink()
    with pytest.raises(UserError, match="none of the 5 files is a picture that decodes"):
        predict.predict_workdir(workdir, [str(tmp_path)], None)


def test_mistakes_are_told_before_anything_is_read(workdir, tmp_path):
    (tmp_path / "mine.csv").write_text("kept")
    for places, output, message in (
        ([str(tmp_path / "none.jpg")], None, "none.jpg does not exist"),
        ([str(tmp_path)], None, "holds no picture"),
        (["README.md"], tmp_path / "mine.csv", "exists already"),
        (["README.md"], tmp_path / "top.txt", "ends with .csv or .json"),
    ):
        with pytest.raises(UserError, match=message):
            predict.predict_workdir(workdir, places, output)
    assert (tmp_path / "mine.csv").read_text() == "kept"


@pytest.fixture(scope="module")
def predictor(workdir):
    return predict.Predictor(str(workdir), batch_size=8)


def test_pictures_are_predicted_batch_by_batch(workdir, predictor):
    images = random_pictures(21)
    found = predictor.probabilities(images)
    assert found.shape == (21, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    parts = [predictor.probabilities(images[i : i + 8]) for i in (0, 8, 16)]
    np.testing.assert_array_equal(found, np.concatenate(parts))
    np.testing.assert_allclose(found, predict.Predictor(workdir).probabilities(images), atol=1e-6)
    assert predictor.probabilities(images[:0]).shape == (0, 3)


def test_a_single_picture_has_its_own_probabilities(predictor):
    images = random_pictures(2)
    found = predictor.probabilities(images[1])
    assert found.shape == (3,)
    np.testing.assert_array_equal(found, predictor.probabilities(images[1:])[0])


@pytest.mark.slow
def test_pictures_that_are_not_pixels_are_refused(workdir, predictor):
    images = random_pictures(2)
    guesser, explain = app.Guesser(workdir), app.Guesser(workdir)._explain
    for use in (predictor.probabilities, lambda x: explain(x, np.zeros(2)), lambda x: guesser.answer(x[0])):
        with pytest.raises(TypeError, match=r"the pictures are float64: needs uint8, 0\.\.255"):
            use(images / 255)
        with pytest.raises(ValueError, match=r"needs .*\(?16, 16, 3\)"):
            use(images[:, :8])
    with pytest.raises(ValueError, match=r"needs \(N, 16, 16, 3\) or \(16, 16, 3\) for one"):
        predictor.probabilities(images[None])
    with pytest.raises(UserError, match="batch_size is 0: needs at least 1"):
        predict.Predictor(workdir, batch_size=0)


@pytest.fixture
def photos(tmp_path, picture):
    """A folder with two photographs, one of them in a folder of its own, and a text."""
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for name in ("photos/a.png", "photos/more/b.png"):
        picture.save(tmp_path / name)
    (tmp_path / "photos" / "notes.txt").write_text("not a picture")
    return tmp_path / "photos"


def test_one_place_or_many_strings_or_paths_files_or_folders(predictor, photos, monkeypatch):
    monkeypatch.setenv("HOME", str(photos.parent))
    (one,) = predictor.predict(str(photos / "a.png"))
    assert one.path == photos / "a.png"
    assert one.top[0][1] == predictor.probabilities(predictor.decode("~/photos/a.png")).max()
    for places in (photos, str(photos), "~/photos", [photos / "a.png", "~/photos/more"], iter([photos])):
        found = list(predictor.predict(places))
        assert [prediction.path for prediction in found] == [photos / "a.png", photos / "more" / "b.png"]
    assert list(predictor.predict([photos / "a.png"] * 20)) == [one] * 20  # three batches, none left out
    assert predict.find_photos("~/photos") == predict.find_photos([photos]) == [p.path for p in found]


def test_a_file_that_is_no_photograph_stops_unless_it_may_be_left_out(predictor, photos):
    (photos.parent / "empty").mkdir()
    places = [photos / "notes.txt", photos / "none.jpg", photos.parent / "empty", photos]
    for place, says in zip(places, ("not a picture", "No such file", "no picture in this folder"), strict=False):
        with pytest.raises(UserError, match=f"cannot predict {place}: {says}"):
            list(predictor.predict([place]))
    bad = {}
    assert len(list(predictor.predict(places, bad))) == 2
    assert list(bad) == places[:3]
    assert bad[places[2]] == "no picture in this folder"


def test_a_predictor_is_shown_in_a_line_without_weights(workdir, predictor):
    says = f"Predictor(workdir={str(workdir)!r}, name='demo', step={predictor.step}, num_classes=3, temperature=None)"
    assert repr(predictor) == says


@pytest.mark.slow
def test_it_imports_only_what_it_uses():
    """What an import of the verb costs, every prediction pays."""
    heavy = {"scipy", "matplotlib", "tensorflow", "keras", "jinja2", "torch"}
    code = f"import sys, foodjax.run.predict; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
