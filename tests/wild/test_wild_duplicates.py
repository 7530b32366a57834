"""Duplicates among other people's photographs: told, shown and left out of train; pictures with detail are drawn."""

import json
import re
import shutil
import types

import numpy as np
import pytest
from painted import config_of
from PIL import Image, ImageOps
from scipy.ndimage import gaussian_filter

from experiments import demo
from foodjax.config.check import checked, replace
from foodjax.data import leaks
from foodjax.data.sets import load_data, split_data
from foodjax.data.split import split
from foodjax.report.inspect import inspect_workdir
from foodjax.run import loop
from foodjax.run.evaluate import evaluate_workdir
from foodjax.system.errors import UserError
from foodjax.workdir.description import read_description

CLASSES = ("bars", "cross", "ring")
COUNTS = {"train": 6, "test": 3}


def texture(number):
    """A smooth random picture with detail everywhere."""
    noise = np.random.default_rng(number).standard_normal((32, 32, 3))
    smooth = sum(s * gaussian_filter(noise, (s, s, 0)) for s in (1, 2, 4))
    return Image.fromarray(np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8))


def textures(root, parts=COUNTS, first=0):
    """Writes PART/CLASS/K.png, all different."""
    number = first
    for part, count in parts.items():
        for name in CLASSES:
            (root / part / name).mkdir(parents=True)
            for k in range(count):
                texture(number).save(root / part / name / f"{k}.png")
                number += 1
    return root


def plant(root, source, target, change=lambda image: image):
    """Writes a copy of a picture, perhaps changed."""
    change(Image.open(root / source)).save(root / target)


def config(root, tmp_path, **changes):
    """One of six photographs of a class, 0.png, validates."""
    return replace(
        config_of(root, tmp_path / "cache", image_size=32), {"data.validation_fraction": 0.2}
        | {f"data.{name}": value for name, value in changes.items()},
    )  # fmt: skip


@pytest.fixture
def own(tmp_path):
    """Eighteen train and nine test pictures, and four duplicates among them."""
    root = textures(tmp_path / "own")
    plant(root, "train/bars/3.png", "test/ring/x.png")
    plant(root, "train/cross/4.png", "train/cross/9.png", ImageOps.mirror)
    plant(root, "train/ring/5.png", "train/bars/9.png")
    plant(root, "train/ring/0.png", "train/ring/9.png")  # 0.png validates
    return root


def ids(data, part):
    """The ids of a part, in its order."""
    of = data.validation if part == "validation" else getattr(data, part)
    return [of.ids[row] for row in getattr(data.parts, part)]


def test_the_pairs_are_counted_and_named(own, tmp_path, capsys):
    found = load_data(config(own, tmp_path)).duplicates
    assert str(found) == "3 exact, 1 near duplicates: 1 within a class, 1 across classes, 2 between parts"
    assert [(*map(str, found.pictures(p)), p.kind, p.where) for p in found.pairs] == [
        ("'bars/3.png' of train", "'ring/x.png' of test", "exact", "between parts"),
        ("'ring/9.png' of train", "'ring/0.png' of validation", "exact", "between parts"),
        ("'bars/9.png' of train", "'ring/5.png' of train", "exact", "across classes"),
        ("'cross/4.png' of train", "'cross/9.png' of train", "near", "within a class"),
    ]
    out = capsys.readouterr().out
    assert "  'bars/3.png' of train and 'ring/x.png' of test: exact, between parts\n" in out
    assert "data.duplicates=drop leaves those that validation or test holds out of train" in out


def test_what_a_photograph_duplicates_by_part_and_id(own, tmp_path):
    assert load_data(config(own, tmp_path)).duplicates.originals == {
        ("test", "ring/x.png"): "train/bars/3.png",
        ("train", "cross/9.png"): "train/cross/4.png",
        ("train", "ring/5.png"): "train/bars/9.png",
        ("train", "ring/9.png"): "train/ring/0.png",
    }


def test_told_duplicates_change_no_part(own, tmp_path):
    data = load_data(config(own, tmp_path))
    plain = split(data.train.ids, data.train.labels, data.test.ids, data.test.labels, "holdout", 0.2)
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(data.parts, part), getattr(plain, part))


def test_drop_leaves_out_of_train_what_validation_or_test_holds(own, tmp_path, capsys):
    told, dropped = (load_data(config(own, tmp_path, duplicates=value)) for value in ("tell", "drop"))
    assert [i for i in ids(told, "train") if i not in ids(dropped, "train")] == ["bars/3.png", "ring/9.png"]
    assert ids(dropped, "validation") == ids(told, "validation") == ["bars/0.png", "cross/0.png", "ring/0.png"]
    assert ids(dropped, "test") == ids(told, "test")
    assert str(dropped.duplicates).endswith("1 across classes, 2 between parts; 2 left out of train")
    assert "2 photographs that validation or test holds too are left out of train" in capsys.readouterr().out


def test_a_duplicate_of_a_duplicate_is_dropped_too(tmp_path):
    root = textures(tmp_path / "own")
    for target in ("train/bars/7.png", "train/cross/7.png", "test/ring/7.png"):
        plant(root, "train/bars/2.png", target)
    kept = ids(load_data(config(root, tmp_path, duplicates="drop")), "train")
    assert not {"bars/2.png", "bars/7.png", "cross/7.png"} & set(kept)
    assert len(kept) == 18 + 2 - 3 - 3  # validation has three, and three are dropped


def test_the_numbers_per_class_are_taken_from_what_is_left(own, tmp_path):
    data = load_data(config(own, tmp_path, duplicates="drop", train_per_class=3))
    assert [i for i in ids(data, "train") if i.startswith("bars")] == ["bars/1.png", "bars/2.png", "bars/4.png"]
    assert data.duplicates.num_dropped == 1  # ring/9.png was not among the first three


def test_the_pairs_of_photographs_that_take_the_place_of_dropped_ones_are_told(own, tmp_path):
    plant(own, "train/bars/4.png", "train/cross/3.png")
    data = load_data(config(own, tmp_path, duplicates="drop", train_per_class=3))
    assert {"bars/4.png", "cross/3.png"} <= set(ids(data, "train"))  # bars/4.png in the place of bars/3.png
    pairs = [tuple(one.id for one in data.duplicates.pictures(pair)) for pair in data.duplicates.pairs]
    assert sorted(pairs) == [("bars/3.png", "ring/x.png"), ("bars/4.png", "cross/3.png")]


def test_a_class_that_loses_all_its_photographs_is_one_line(tmp_path):
    root = textures(tmp_path / "own")
    for k in range(6):
        plant(root, f"train/cross/{k}.png", f"test/cross/copy{k}.png")
    message = "class 'cross' has no train images: validation or test holds all 5 of them too, and data.duplicates=drop"
    with pytest.raises(UserError, match=message):
        load_data(config(root, tmp_path, duplicates="drop"))


def test_a_batch_that_what_is_left_does_not_fill_is_one_line(own, tmp_path):
    with pytest.raises(UserError, match="data.batch_size is 18, but there are only 16 training images: use at most 16"):
        load_data(config(own, tmp_path, duplicates="drop", batch_size=18))


def test_a_second_start_searches_nothing_and_other_splits_share_the_search(own, tmp_path, monkeypatch):
    first = load_data(config(own, tmp_path)).duplicates.pairs
    monkeypatch.setattr(leaks, "find_duplicates", None)
    assert load_data(config(own, tmp_path)).duplicates.pairs == first
    assert load_data(config(own, tmp_path, validation_fraction=0.4, duplicates="drop")).duplicates.num_dropped == 2
    monkeypatch.setattr(leaks, "VERSION", leaks.VERSION + 1)
    with pytest.raises(TypeError):
        load_data(config(own, tmp_path))


@pytest.mark.parametrize("damage", [
    lambda text: "", lambda text: text[:-9], lambda text: text.replace("exact", "near", 1), lambda text: "[]",
])  # fmt: skip
def test_a_damaged_result_is_searched_again(own, tmp_path, damage):
    first = load_data(config(own, tmp_path)).duplicates.pairs
    (path,) = (tmp_path / "cache").glob("duplicates-*.json")
    whole = path.read_text()
    path.write_text(damage(whole))
    assert load_data(config(own, tmp_path)).duplicates.pairs == first
    assert path.read_text() == whole


def test_a_cache_that_cannot_be_written_is_searched_at_every_start(own, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(leaks, "FileLock", refuse)
    monkeypatch.setattr(leaks, "files", types.SimpleNamespace(write_text=refuse))
    for _ in range(2):
        assert len(load_data(config(own, tmp_path)).duplicates.pairs) == 4
    assert not list((tmp_path / "cache").glob("duplicates-*"))


def test_drawn_shapes_are_never_searched(tiny_config, monkeypatch, capsys):
    monkeypatch.setattr(leaks, "find_duplicates", None)
    assert load_data(tiny_config).duplicates is None
    assert capsys.readouterr().out == ""
    tiny_config.data.duplicates = "drop"
    data = load_data(tiny_config)
    assert (len(data.parts.train), data.duplicates) == (110, None)


def test_sets_from_elsewhere_are_searched_to_drop(own, tmp_path):
    data = load_data(config(own, tmp_path))
    again = split_data(config(own, tmp_path, duplicates="drop"), data.train, data.test)
    assert again.duplicates.num_dropped == 2
    assert split_data(config(own, tmp_path), data.train, data.test).duplicates is None


def test_the_tutorials_validation_images_are_no_duplicates_of_the_test_images(own, tmp_path):
    found = load_data(config(own, tmp_path, protocol="tutorial", validation_fraction=0.25)).duplicates
    # ring/0.png is in no part then, and so ring/9.png is no duplicate.
    assert str(found) == "2 exact, 1 near duplicates: 1 within a class, 1 across classes, 1 between parts"


def test_a_picture_outside_the_parts_connects_those_inside(own, tmp_path):
    root = textures(tmp_path / "more")
    for target in ("test/bars/8.png", "test/bars/9.png"):
        plant(root, "train/bars/0.png", target)
    found = load_data(config(root, tmp_path, protocol="tutorial")).duplicates
    assert [p[:4] for p in found.pairs] == [("test", 3, "test", 4)]
    assert str(found) == "1 exact, 0 near duplicates: 1 within a class, 0 across classes, 0 between parts"


def test_the_datas_own_validation_part_is_searched_too(tmp_path):
    root = textures(tmp_path / "own", {"train": 4, "val": 3, "test": 3})
    plant(root, "val/bars/1.png", "train/bars/8.png")
    plant(root, "val/bars/2.png", "test/bars/8.png")
    data = load_data(config(root, tmp_path, duplicates="drop"))
    assert "bars/8.png" not in ids(data, "train")
    assert [(p.part, p.other_part) for p in data.duplicates.pairs] == [("train", "validation"), ("validation", "test")]
    assert data.duplicates.num_dropped == 1


def test_pictures_without_duplicates_are_told_as_that(tmp_path, capsys):
    data = load_data(config(textures(tmp_path / "own"), tmp_path))
    assert str(data.duplicates) == "no duplicates"
    assert "twice" not in capsys.readouterr().out


def test_inspect_shows_pairs_of_each_place_and_counts_the_rest(own, tmp_path, capsys):
    for name in CLASSES:
        for k in range(1, 6):
            for copy in "ab":
                plant(own, f"train/{name}/{k}.png", f"test/{name}/{copy}{k}.png")
    page = inspect_workdir(config(own, tmp_path), tmp_path / "run").page.read_text()
    section = page[page.index('<h2 id="duplicates">') : page.index('<h2 id="pixels">')]
    counts = re.search(r"\d+ exact, \d+ near duplicates: [^.]*", section).group()
    assert f"data: {counts}\n" in capsys.readouterr().out
    assert section.count('<img src="data:image/jpeg') == 48
    assert "Shown are 24 of " in section
    assert "test photographs are in another part too" in section
    assert "exact, across classes" in section
    assert "near, within a class" in section
    assert "train: cross<br>cross/9.png" in section


@pytest.fixture
def run(own, tmp_path):
    """A run of one epoch on the pictures with duplicates."""
    draft = demo.get_config()
    draft.data.update(dir=str(own), cache_dir=str(tmp_path / "cache"), num_classes=0, image_size=32, batch_size=8)
    draft.data.validation_fraction = 0.2
    draft.model.blocks = draft.model.blocks[:1]
    draft.train.epochs = 1
    loop.train(draft, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.slow
def test_training_and_its_evaluation_tell_the_leaks(run, own, tmp_path, capsys):
    record = json.loads((run / "run.json").read_text())["sessions"][0]["prepared"]
    assert {part: name.split("-")[1] for part, name in record.items()} == {"train": "train", "test": "test"}
    evaluated = evaluate_workdir(None, run)
    assert evaluated.duplicates.num_leaks() == 1
    assert "1 of the 10 test images are among the run's training or validation images" in capsys.readouterr().out


@pytest.mark.slow
def test_other_photographs_are_compared_with_the_prepared_training_set(run, own, tmp_path, capsys):
    other = textures(tmp_path / "other", {"test": 2}, first=100)
    plant(own, "train/bars/0.png", "../other/test/bars/old.png", ImageOps.mirror)  # it validated
    plant(own, "train/cross/2.png", "../other/test/cross/old.png")
    shutil.rmtree(own)  # the prepared set is enough
    changed = replace(read_description(run)[0], {"data.dir": str(other)})
    evaluated = evaluate_workdir(changed, run)
    assert str(evaluated.duplicates) == (
        "1 exact, 1 near duplicates: 0 within a class, 0 across classes, 2 between parts"
    )
    assert "2 of the 8 test images are among the run's" in capsys.readouterr().out
    shutil.rmtree(next((tmp_path / "cache").glob("own-train-*")))
    assert evaluate_workdir(changed, run).duplicates is None
    assert "data: 3 classes, 8 test images\n" in capsys.readouterr().out


@pytest.mark.slow
def test_what_was_dropped_from_train_is_no_leak(own, tmp_path):
    draft = demo.get_config()
    draft.data.update(dir=str(own), cache_dir=str(tmp_path / "cache"), num_classes=0, image_size=32, batch_size=8)
    draft.data.update(validation_fraction=0.2, duplicates="drop")
    draft.model.blocks = draft.model.blocks[:1]
    draft.train.epochs = 1
    loop.train(draft, tmp_path / "run")
    assert evaluate_workdir(None, tmp_path / "run").duplicates.num_leaks() == 0


def test_configs_that_name_drawn_shapes():
    drawn = demo.get_config()
    assert leaks.is_exempt(checked(drawn))
    drawn.data.dir = "photographs"
    assert not leaks.is_exempt(checked(drawn))
