"""What evaluate and predict make of other people's folders, and what evaluate says of runs that older versions fed."""

import csv
import json
import os
import shutil

import pytest
from helpers import class_folders_of

from foodjax.config.check import replace
from foodjax.data.formats import has_heif
from foodjax.run import predict
from foodjax.run.evaluate import evaluate_workdir
from foodjax.system.errors import UserError
from foodjax.workdir import older_data
from foodjax.workdir.description import read_description


@pytest.fixture
def run(workdir, tmp_path):
    """A copy of the finished run; its photographs are in food-101/ beside the original."""
    return shutil.copytree(workdir, tmp_path / "run")


def evaluated(run, place, **changes):
    """Evaluates a run on a place; returns evaluation.json."""
    changes = {f"data.{name}": value for name, value in changes.items()} | {"data.dir": str(place)}
    return evaluate_workdir(replace(read_description(run)[0], changes), run).scores.num_examples


def test_evaluation_of_one_folder_of_classes_takes_all_of_it(run, workdir, capsys):
    photos = workdir.parent / "food-101" / "images"
    assert evaluated(run, photos) == 105
    assert "has no test part: evaluated on all of it" in capsys.readouterr().out
    with (run / "evaluation-images" / "predictions.csv").open() as file:
        assert {row["id"]: row["true"] for row in csv.DictReader(file)}["ring/7.jpg"] == "ring"


def test_evaluation_of_a_table(run, workdir, tmp_path):
    photos = workdir.parent / "food-101" / "images"
    rows = [f"{name}/{k}.jpg,{name}" for name in ("bars", "cross", "ring") for k in range(5)]
    (tmp_path / "t.csv").write_text("\n".join(["file,label", *rows]))
    assert evaluated(run, photos, labels=str(tmp_path / "t.csv")) == 15
    data = json.loads((run / "evaluation-images" / "evaluation.json").read_text())["data"]
    assert data["labels"] == str(tmp_path / "t.csv")


def as_before(run, ids):
    """Makes a run look as an older version stored it: its sessions have no version of the cache."""
    record = json.loads((run / "run.json").read_text())
    for session in record["sessions"]:
        del session["cache_version"]
    (run / "run.json").write_text(json.dumps(record))
    (run / "evaluation" / "predictions.csv").write_text("\n".join(["id,true,predicted,probability", *ids]) + "\n")


def test_a_run_that_a_wrong_cache_may_have_fed_is_told_at_every_evaluation(run, workdir, tmp_path, capsys):
    own = class_folders_of(workdir.parent / "food-101", tmp_path / "own")
    config = json.loads((run / "config.json").read_text())
    config["data"]["dir"] = str(own)
    (run / "config.json").write_text(json.dumps(config))
    for _ in range(2):
        assert evaluated(run, own) == 45
        assert "may be wrong" not in capsys.readouterr().out
    as_before(run, ["bars/1.jpg,bars,bars,0.5"])
    for _ in range(2):
        evaluated(run, own)
        assert "the numbers that this run stored may be wrong: an older foodjax read test" in capsys.readouterr().out


@pytest.mark.parametrize("data,ids,message", [
    ({"dir": "/gone"}, ["bars/1.jpg,bars,bars,0.5"], "read test photographs from train"),
    ({"dir": "/gone"}, [], "read test photographs from train"),
    ({"dir": "/gone"}, ["bars/1,bars,bars,0.5"], ""),  # Food-101's layout and its archive
    ({"dir": "", "source": "drawn"}, ["bars/00001,bars,bars,0.5"], ""),
    ({"dir": "", "source": "tfds", "tfds_name": "food101:2.1.0"}, ["bars/1,bars,bars,0.5"], ""),
    ({"dir": "", "source": "tfds", "tfds_name": "cifar10"}, ["cat/1,cat,cat,0.5"], "took the validation split of TFDS"),
])  # fmt: skip
def test_which_older_runs_a_wrong_cache_may_have_fed(run, data, ids, message):
    config = json.loads((run / "config.json").read_text())
    config["data"] |= data
    (run / "config.json").write_text(json.dumps(config))
    assert older_data.distrust(run) == ""
    as_before(run, ids)
    found = older_data.distrust(run)
    assert message in found
    assert bool(found) == bool(message)


def test_predict_follows_links_leaves_out_junk_and_names_the_rest(workdir, tmp_path, capsys):
    images, own = workdir.parent / "food-101" / "images", tmp_path / "own"
    (own / "more" / "@eaDir").mkdir(parents=True)
    (own / "linked").symlink_to(images / "bars")
    (own / "more" / "up").symlink_to(own)
    shutil.copy(images / "ring" / "1.jpg", own / "more" / "x.JFIF")
    shutil.copy(images / "ring" / "1.jpg", own / "more" / "._x.jpg")
    shutil.copy(images / "ring" / "1.jpg", own / "more" / "@eaDir" / "x.jpg")
    os.mkfifo(own / "pipe.jpg")
    (own / "gone.jpg").symlink_to("/nowhere.jpg")
    (own / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    predict.predict_workdir(workdir, [str(own)], tmp_path / "out.csv")
    out, err = capsys.readouterr()
    assert "36 photographs, 3 left out" in out
    assert f"left out {own}/pipe.jpg: a pipe, not a file" in err
    assert f"left out {own}/gone.jpg: a link to a file that is not there" in err
    assert f"left out {own}/phone.heic: " in err
    if not has_heif():
        assert "phone.heic: .heic: needs the package pillow-heif" in err
    with pytest.raises(UserError, match="pipe.jpg is neither a file nor a folder"):
        predict.predict_workdir(workdir, [str(own / "pipe.jpg")], None)
