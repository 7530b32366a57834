import csv
import json

import pytest
from helpers import encode
from PIL import Image

from foodjax.run import predict
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
