"""A run knows its photographs by content: moved they are the same, changed they are told before anything is done."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import prepared
from painted import colour, folders, paint

from experiments import demo
from foodjax.config.check import checked, replace
from foodjax.data import shares
from foodjax.run import loop
from foodjax.run.evaluate import evaluate_workdir
from foodjax.study.reproduce import reproduce
from foodjax.system.errors import UserError
from foodjax.workdir import data_record, run_record
from foodjax.workdir.description import read_description


class Started(Exception):  # noqa: N818, no error
    """Raised where the steps would begin."""


def experiment(place, **changes):
    config = demo.get_config()
    config.data.update(dir=str(place), num_classes=0, image_size=16, batch_size=8, eval_batch_size=24)
    config.data.update(validation_fraction=0.4, cache_dir=str(Path(place).absolute().parent / "cache"))
    config.model.blocks = config.model.blocks[:1]
    config.model.blocks[0].update(features=8, padding=("SAME",))
    config.model.head.hidden = (16,)
    config.train.epochs = 1
    config.update_from_flattened_dict(changes)
    return checked(config)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with photographs in own/ and a run of one epoch on them in run/."""
    root = tmp_path_factory.mktemp("identity")
    loop.train(experiment(folders(root / "own")), root / "run")
    return root


@pytest.fixture
def root(trained, tmp_path):
    """A copy of `trained`, with the times of the files."""
    shutil.copytree(trained, tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def start(monkeypatch):
    """Starts a training up to its steps; returns the data that it would train on."""
    taken = []

    def stop(engine, workdir, data, add, observers):
        taken.append(data)
        raise Started

    def start(place, run, **changes):
        with monkeypatch.context() as patch:
            patch.setattr(loop, "_train", stop)
            with pytest.raises(Started):
                loop.train(experiment(place, **{"train.epochs": 3, **changes}), run)
        return taken.pop()

    return start


def state(folder):
    """Returns the content and times of everything in a folder."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else sorted(os.listdir(path)))
        for path in [folder, *folder.rglob("*")]
    }


def put(source, target):
    """Replaces a picture and keeps the size and the time of the file; what follows a PNG's end counts for nothing."""
    before = target.stat()
    target.write_bytes(source.read_bytes().ljust(before.st_size, b"\0"))
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))


def moved(root):
    return shutil.move(root / "own", root / "elsewhere" / "photos")


def copied(root):
    return shutil.copytree(root / "own", root / "copy", copy_function=shutil.copy)


def linked(root):
    (root / "link").symlink_to(root / "own")
    return root / "link"


def linked_files(root):
    for path in [p for p in (root / "own").rglob("*") if p.is_file()]:
        target = root / "links" / path.relative_to(root / "own")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    return root / "links"


def archived(root):
    return shutil.make_archive(str(root / "own"), "zip", root / "own")


PLACES = {
    "moved": moved,
    "copied": copied,
    "linked": linked,
    "linked files": linked_files,
    "archived": archived,
    "renamed": lambda root: (root / "own").rename(root / "mine"),
    "with a slash": lambda root: f"{root}/own/",
    "with dots": lambda root: f"{root}/own/../own/./",
    "relative": lambda root: os.path.relpath(root / "own"),
}


@pytest.mark.parametrize("name", PLACES)
def test_in_another_place_they_are_the_same_and_the_run_goes_on(root, start, name):
    (root / "elsewhere").mkdir()
    before = data_record.read(root / "run")
    place = PLACES[name](root)
    start(place, root / "run")
    assert data_record.read(root / "run") == before
    assert read_description(root / "run")[0].data.dir == str(place)
    sessions = run_record.read(root / "run")["sessions"]
    assert sessions[0]["data"] == sessions[1]["data"]


def rename_files(own):
    """Gives the photographs of a class names in another order, and so of another split."""
    for k in range(6):
        (own / "train" / "ring" / f"{k}.png").rename(own / "train" / "ring" / f"x{9 - k}.png")


@pytest.mark.parametrize("protocol", ["holdout", "tutorial"])
def test_files_with_other_names_keep_their_parts_and_their_order(root, start, protocol):
    changes = {"data.protocol": protocol}
    first = start(root / "own", root / "new", **changes)
    (root / "new" / "metrics.jsonl").write_text('{"epoch": 1}\n')  # it has trained
    rename_files(root / "own")
    for k in range(4):
        (root / "own" / "test" / "bars" / f"{k}.png").rename(root / "own" / "test" / "bars" / f"y{9 - k}.png")
    second = start(root / "own", root / "new", **changes)
    assert first.train.ids != second.train.ids
    assert first.test.ids != second.test.ids
    for part in ("train", "validation", "test"):
        (a, rows), (b, other) = (data_record.sets_of(data)[part] for data in (first, second))
        np.testing.assert_array_equal(a.images[rows], b.images[other])
        np.testing.assert_array_equal(a.labels[rows], b.labels[other])


@pytest.mark.slow
def test_a_run_that_moves_in_the_middle_has_the_numbers_of_one_that_does_not(root):
    config = experiment(root / "own", **{"train.epochs": 2})
    loop.train(config, root / "whole")
    rename_files(root / "own")
    loop.train(experiment(moved(root), **{"train.epochs": 2}), root / "run")
    whole, parts = ((root / name / "metrics.jsonl").read_bytes() for name in ("whole", "run"))
    assert whole == parts


def add(own):
    paint(own / "train" / "ring" / "7.png", (1, 2, 3))


def remove(own):
    (own / "test" / "bars" / "1.png").unlink()


def replace_one(own):
    paint(own / "train" / "ring" / "3.png", (1, 2, 3))


def replace_one_of_the_same_size_and_time(own):
    path = own / "test" / "ring" / "3.png"
    before = path.stat()
    put(own / "test" / "ring" / "2.png", path)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_size == before.st_size


def rename_a_class(own):
    for part in ("train", "test"):
        (own / part / "ring").rename(own / part / "hoop")


def add_a_class(own):
    for part, count in (("train", 3), ("test", 2)):
        for k in range(count):
            paint(own / part / "zebra" / f"{k}.png", (9, 9, k))


def move_one_to_test(own):
    (own / "train" / "ring" / "3.png").rename(own / "test" / "ring" / "33.png")


def give_one_another_class(own):
    (own / "train" / "ring" / "3.png").rename(own / "train" / "bars" / "33.png")


def many(own):
    add(own)
    for k in (1, 2):
        (own / "test" / "cross" / f"{k}.png").unlink()


def a_validation_part(own):
    paint(own / "val" / "ring" / "0.png", (5, 5, 5))
    paint(own / "val" / "bars" / "0.png", (5, 5, 6))
    paint(own / "val" / "cross" / "0.png", (5, 5, 7))


CHANGES = {
    add: "1 added to train ('ring/7.png')",
    remove: "1 removed from test ('bars/1.png')",
    replace_one: "1 replaced in train ('ring/3.png')",
    replace_one_of_the_same_size_and_time: "1 replaced in test ('ring/3.png')",
    rename_a_class: "the class 'ring' has the name 'hoop' now",
    add_a_class: "3 added to train (first 'zebra/0.png'), 2 added to test (first 'zebra/0.png')",
    move_one_to_test: "1 moved from train to test ('ring/33.png')",
    give_one_another_class: "1 with another class in train ('bars/33.png')",
    many: "1 added to train ('ring/7.png'), 2 removed from test (first 'cross/1.png')",
    a_validation_part: "3 added to validation (first 'bars/0.png')",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_is_told_before_a_step_or_a_write(root, change):
    change(root / "own")
    before = state(root / "run")
    with pytest.raises(UserError) as found:
        loop.train(experiment(root / "own", **{"train.epochs": 3}), root / "run")
    message = str(found.value)
    assert f"the photographs have changed since {root}/run began to train: " in message
    assert CHANGES[change] in message
    assert message.endswith("put the old ones back, or train on these in another --workdir")
    assert "\n" not in message
    assert state(root / "run") == before


def test_they_may_change_before_the_first_step(root, start, capsys):
    start(root / "own", root / "new")
    add(root / "own")
    data = start(root / "own", root / "new")
    assert "which took no step: 1 added to train ('ring/7.png')" in capsys.readouterr().out
    assert len(data.train.ids) == 19
    assert len(data_record.read(root / "new").photographs["test"]) == 12
    assert "ring/7.png" in str(data_record.read(root / "new").photographs)
    start(root / "own", root / "new")
    assert "have changed" not in capsys.readouterr().out


def test_of_a_finished_run_they_may_be_gone_and_a_change_is_told(root, capsys):
    before = state(root / "run")
    loop.train(experiment(root / "own"), root / "run")
    assert "have changed" not in capsys.readouterr().out
    many(root / "own")
    loop.train(experiment(root / "own"), root / "run")
    assert "its photographs have changed since (1 added, 2 removed, by name): another" in capsys.readouterr().out
    shutil.rmtree(root / "own")
    loop.train(experiment(root / "own"), root / "run")
    assert "nothing to do" in capsys.readouterr().out
    assert state(root / "run") == before


# Evaluation


def evaluate(root, place):
    config = replace(read_description(root / "run")[0], {"data.dir": str(place), "data.cache_dir": f"{root}/cache"})
    return evaluate_workdir(config, root / "run").folder.name


@pytest.fixture
def at_home(root):
    """The copy, with the path of its own photographs in its config."""
    path = root / "run" / "config.json"
    config = json.loads(path.read_text())
    config["data"]["dir"] = str(root / "own")
    path.write_text(json.dumps(config))
    return root


@pytest.mark.parametrize("name", ["moved", "archived", "linked files", "with a slash"])
def test_an_evaluation_in_another_place_is_of_the_run_s_own(at_home, name, capsys):
    (at_home / "elsewhere").mkdir()
    numbers = json.loads((at_home / "run" / "evaluation" / "evaluation.json").read_text())
    assert evaluate(at_home, PLACES[name](at_home)) == "evaluation"
    found = json.loads((at_home / "run" / "evaluation" / "evaluation.json").read_text())
    assert found["data"].pop("dir") != numbers["data"].pop("dir")
    assert found == numbers
    assert not list((at_home / "run").glob("evaluation-*"))
    assert "have changed" not in capsys.readouterr().out


@pytest.mark.parametrize("change", [remove, replace_one_of_the_same_size_and_time], ids=lambda change: change.__name__)
def test_an_evaluation_of_others_under_the_old_path_is_told_and_kept_apart(at_home, change, capsys):
    before = state(at_home / "run" / "evaluation")
    change(at_home / "own")
    for _ in range(2):
        assert evaluate(at_home, at_home / "own") == "evaluation-own"
        out = capsys.readouterr().out
        assert f"the test photographs have changed since {at_home}/run was trained: {CHANGES[change]}; this" in out
    assert state(at_home / "run" / "evaluation") == before
    many(at_home / "own")
    assert evaluate(at_home, at_home / "own") == "evaluation-own-2"
    assert state(at_home / "run" / "evaluation") == before


def test_a_change_of_the_training_photographs_leaves_an_evaluation_the_run_s_own(at_home, capsys):
    add(at_home / "own")
    assert evaluate(at_home, at_home / "own") == "evaluation"
    assert "have changed" not in capsys.readouterr().out


def test_an_evaluation_of_others_elsewhere_is_kept_apart_by_content(at_home):
    other = folders(at_home / "other", {"train": "validation", "test": "all"}, counts={"train": 6, "test": 4})
    assert evaluate(at_home, other) == "evaluation-other"
    shutil.copytree(other, at_home / "more" / "other")
    assert evaluate(at_home, at_home / "more" / "other") == "evaluation-other"
    paint(at_home / "more" / "other" / "test" / "ring" / "0.png", (3, 3, 3))
    assert evaluate(at_home, at_home / "more" / "other") == "evaluation-other-2"


# Reproduction


def test_a_run_is_reproduced_from_another_place(root, capsys):
    place = moved(root) if (root / "elsewhere").mkdir() is None else None
    assert reproduce(experiment(place), root / "run", root / "again")
    assert "the same: 1 epoch," in capsys.readouterr().out
    for name in ("metrics.jsonl", "evaluation/predictions.csv"):
        assert (root / "again" / name).read_bytes() == (root / "run" / name).read_bytes()


@pytest.mark.parametrize("change", [add, replace_one_of_the_same_size_and_time], ids=lambda change: change.__name__)
def test_a_run_is_not_reproduced_on_others(root, change):
    change(root / "own")
    before = state(root / "run")
    with pytest.raises(UserError, match="the photographs have changed since .*/run began to train: 1 "):
        reproduce(experiment(root / "own"), root / "run", root / "again")
    assert not (root / "again").exists()
    assert state(root / "run") == before


# Runs of older versions


@pytest.fixture
def older(at_home):
    """A run as versions before wrote it: run.json alone, with digests of ids and pixels."""
    (at_home / "run" / "data.json").unlink()
    change_record(at_home, lambda session: [part.pop("content") for part in session["data"].values()])
    return at_home


def change_record(root, change):
    record = run_record.read(root / "run")
    for session in record["sessions"]:
        change(session)
    (root / "run" / "run.json").write_text(json.dumps(record))


def test_an_older_run_goes_on_where_its_photographs_are_now_and_records_them(older, start):
    (older / "elsewhere").mkdir()
    start(moved(older), older / "run")
    assert len(data_record.read(older / "run").photographs["test"]) == 12


@pytest.mark.parametrize("change,words", [
    (add, "train has 13 photographs and had 12"),
    (remove, "test has 11 photographs and had 12"),
    (replace_one_of_the_same_size_and_time, "test has as many photographs, but others or under other names (an older"),
])  # fmt: skip
def test_a_change_of_an_older_run_is_told(older, change, words):
    change(older / "own")
    before = state(older / "run")
    with pytest.raises(UserError) as found:
        loop.train(experiment(older / "own", **{"train.epochs": 3}), older / "run")
    assert words in str(found.value)
    assert state(older / "run") == before


def test_an_evaluation_of_an_older_run_is_its_own_or_kept_apart(older, capsys):
    shutil.copytree(older / "own", older / "copy")
    assert evaluate(older, older / "copy") == "evaluation"
    replace_one_of_the_same_size_and_time(older / "own")
    assert evaluate(older, older / "own") == "evaluation-own"
    assert "test has as many photographs, but others" in capsys.readouterr().out


def test_without_digests_a_line_says_so_and_another_place_is_refused(older, start, capsys):
    change_record(older, lambda session: session.pop("data"))
    with pytest.raises(UserError, match="hold no digests of the photographs, .*: give them as before, or choose anoth"):
        loop.train(experiment(copied(older), **{"train.epochs": 3}), older / "run")
    assert evaluate(older, older / "own") == "evaluation"
    assert "hold no digests of the photographs, so it cannot be seen whether" in capsys.readouterr().out
    start(older / "own", older / "run")
    assert "hold no digests of the photographs" in capsys.readouterr().out


def test_an_older_run_with_wrong_test_photographs_goes_on_and_says_so(older, start, capsys):
    def spoil(session):
        del session["cache_version"]
        session["data"]["test"]["pixels"] = "0123456789abcdef"

    change_record(older, spoil)
    assert evaluate(older, older / "own") == "evaluation"
    assert "may be wrong" in capsys.readouterr().out
    assert evaluate(older, copied(older)) == "evaluation-copy"
    start(older / "own", older / "run")
    assert "may be wrong" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "[]", "3", '{"train": 3}', "[" * 100_000, '{"train": {"id": [1]}}'])
def test_a_damaged_record_is_none_and_run_json_serves(root, start, text):
    (root / "run" / "data.json").write_text(text)
    assert data_record.read(root / "run").photographs == {}
    start(root / "own", root / "run")
    assert len(data_record.read(root / "run").photographs["test"]) == 12


# The cache


@pytest.fixture
def config(tmp_path):
    """An experiment on photographs that are prepared already."""
    config = demo.get_config()
    config.data.update(dir=str(folders(tmp_path / "own")), num_classes=0, image_size=4, cache_dir=str(tmp_path / "c"))
    prepared(config)
    return config


@pytest.mark.parametrize("name", ["moved", "copied with times", "linked", "renamed", "with a slash"])
def test_in_another_place_they_are_not_decoded_again(config, tmp_path, name, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    before = prepared(config)
    places = PLACES | {"copied with times": lambda root: shutil.copytree(root / "own", root / "copy")}
    config.data.dir = str(places[name](tmp_path))
    monkeypatch.setattr(shares, "decode_as", None)
    for _ in range(2):
        np.testing.assert_array_equal(prepared(config).images, before.images)
    assert len([path for path in (tmp_path / "c").iterdir() if path.is_dir()]) == 1


def test_an_archive_that_was_moved_is_not_decoded_again(config, tmp_path, monkeypatch, capsys):
    config.data.dir = archived(tmp_path)
    before = prepared(config)
    config.data.dir = str(shutil.move(config.data.dir, tmp_path / "photos.zip"))
    monkeypatch.setattr(shares, "decode_as", None)
    np.testing.assert_array_equal(prepared(config).images, before.images)


def test_others_with_the_same_names_sizes_and_times_are_prepared_for_themselves(config, tmp_path, capsys):
    before = prepared(config)
    other = shutil.copytree(tmp_path / "own", tmp_path / "other")
    put(other / "train" / "ring" / "2.png", other / "train" / "ring" / "3.png")
    for place in ("other", "own", "other"):
        config.data.dir = str(tmp_path / place)
        found = prepared(config)
        row = found.ids.index("ring/3.png")
        assert tuple(found.images[row][0, 0]) == colour("train", "ring", 2 if place == "other" else 3)
        assert (found.digests == before.digests) == (place == "own")
    assert "photographs have changed, with sizes and times as before: preparing them again" in capsys.readouterr().out


def test_files_that_are_not_used_are_those_of_now(config, tmp_path):
    assert prepared(config).found.unused == ()
    (tmp_path / "own" / "train" / "ring" / "notes.txt").write_text("x")
    assert [row.file for row in prepared(config).found.unused] == ["train/ring/notes.txt"]


def test_notes_name_the_place_of_now(tmp_path, capsys):
    config = demo.get_config()
    own = folders(tmp_path / "a", {"": "all"}, counts={"all": 6})
    place = shutil.make_archive(str(tmp_path / "first"), "zip", own)
    config.data.update(dir=place, num_classes=0, image_size=4, cache_dir=str(tmp_path / "c"))
    assert f"{place} has no parts" in prepared(config).found.notes[0]
    config.data.dir = str(shutil.move(place, tmp_path / "second.zip"))
    assert f"{tmp_path}/second.zip has no parts" in prepared(config).found.notes[0]
