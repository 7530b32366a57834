"""Runs on folds: which photographs they train, validate and test on."""

import csv
import shutil

import numpy as np
import pytest
from helpers import encode
from PIL import Image

import foodjax
from foodjax.config.check import checked
from foodjax.config.fold import Fold, parse
from foodjax.data import fold_split
from foodjax.data.duplicates import Pair
from foodjax.data.prepared import Prepared
from foodjax.data.sets import split_data
from foodjax.system.errors import UserError


def made(counts):
    """Returns a prepared set of classes with so many photographs each, all different."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.zeros((len(labels), 8, 8, 3), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.arange(len(labels)) % 256, np.arange(len(labels)) // 256
    names = tuple(f"class{k}" for k in range(len(counts)))
    return Prepared(names, images, labels, [f"{names[k]}/{i:04}" for i, k in enumerate(labels)])


def config_of(fold, **more):
    values = {"data.image_size": 8, "data.batch_size": 4, "data.fold": fold, "data.source": "drawn", **more}
    return checked(foodjax.load_config("demo", *(f"{k}={v}" for k, v in values.items())))


@pytest.mark.parametrize(
    "text", ["6/5", "0/5", "1/1", "5", "a/b", "1/2/3", "-1/5", "1/99999", " 1/5", "1/05", "1/1001"]
)
def test_a_text_that_names_no_fold_is_refused(text):
    with pytest.raises(UserError, match=r"data.fold is .*: needs K/N, the fold K of N, from 1/2 to 1000/1000"):
        config_of(text)


def test_a_fold_is_a_number_and_a_count():
    assert parse("2/5") == Fold(2, 5)
    assert str(Fold(2, 5)) == "2/5"
    assert parse("") is None


def test_the_folds_hold_every_photograph_once_and_every_class_in_equal_shares():
    train, seen = made([20, 31, 12]), []
    for k in range(1, 6):
        parts = split_data(config_of(f"{k}/5"), train, train).parts
        seen += parts.test.tolist()
        whole = np.concatenate([parts.train, parts.validation, parts.test])
        assert sorted(whole.tolist()) == list(range(63))
        assert np.bincount(train.labels[parts.test])[0] == 4
        assert np.bincount(train.labels[parts.test])[1] in (6, 7)
        assert np.bincount(train.labels[parts.test])[2] in (2, 3)
        left = np.bincount(np.delete(train.labels, parts.test))
        share = foodjax.load_config("demo").data.validation_fraction
        assert np.bincount(train.labels[parts.validation], minlength=3).tolist() == [int(share * n) for n in left]
        assert train.labels[parts.train].tolist() == sorted(train.labels[parts.train])
    assert sorted(seen) == list(range(63))


def test_folds_depend_on_contents_and_the_seed_and_not_on_names_and_order():
    train = made([20, 20])
    order = np.random.default_rng(0).permutation(40)
    other = Prepared(train.class_names, train.images[order], train.labels[order], [f"x/{i}" for i in range(40)])
    ours = split_data(config_of("2/5"), train, train).parts
    theirs = split_data(config_of("2/5"), other, other).parts
    for part in ("train", "validation", "test"):
        assert sorted(getattr(ours, part).tolist()) == sorted(order[getattr(theirs, part)].tolist())
    again = split_data(config_of("2/5", **{"data.fold_seed": 1}), train, train).parts
    assert sorted(again.test.tolist()) != sorted(ours.test.tolist())
    seeded = split_data(config_of("2/5", seed=7), train, train).parts
    assert seeded.test.tolist() == ours.test.tolist()


def test_duplicates_and_named_groups_stay_in_one_part_of_every_run():
    train, rng = made([40, 40]), np.random.default_rng(0)
    named = {i: f"patient {rng.integers(0, 25)}" for i in train.ids}
    pairs = [Pair("train", a, "train", b, "near", "") for a, b in ((0, 1), (1, 50), (7, 30), (60, 61))]
    for k in range(1, 5):
        data = split_data(config_of(f"{k}/4"), train, train, None, pairs, named)
        part_of = {}
        for part in ("train", "validation", "test"):
            part_of |= dict.fromkeys(getattr(data.parts, part).tolist(), part)
        assert {part_of[0], part_of[1]} == {part_of[50]}
        assert part_of[7] == part_of[30]
        for name in set(named.values()):
            assert len({part_of[row] for row, i in enumerate(train.ids) if named[i] == name}) == 1
        assert len(data.parts.validation) > 0
        assert data.duplicates is None or not data.duplicates.num_leaks()


def test_more_folds_than_photographs_or_groups_of_a_class_are_one_line():
    few, groups = made([20, 4]), made([20, 6])
    with pytest.raises(UserError, match=r"data.fold is 5/5, but class 'class1' has 4 photographs .*data.fold=4/4"):
        split_data(config_of("5/5"), few, few)
    named = {i: str(k % 2) for k, i in enumerate(groups.ids) if k >= 20}
    with pytest.raises(UserError, match=r"the 6 photographs of class 'class1' are 2 groups that stay together"):
        split_data(config_of("1/5"), groups, groups, None, (), named)


def test_a_share_is_of_whole_groups_and_leaves_some_of_each_class():
    labels, groups = np.array([0] * 8 + [1] * 4), np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 3, 4, 5])
    taken = fold_split.share_of_groups(labels, 2, 0.3, groups)
    assert np.bincount(labels[taken]).tolist() == [4, 1]  # of the first class each group is more than the share
    assert not fold_split.share_of_groups(labels, 2, 0.1, groups).any()
    one = fold_split.share_of_groups(np.zeros(4, int), 1, 0.5, np.zeros(4, int))
    assert not one.any()


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Photographs with a table that names a group of each, two of a group in one class."""
    root = tmp_path_factory.mktemp("folds")
    rng = np.random.default_rng(0)
    rows = []
    for k in range(24):
        path = root / "photographs" / f"{k:02}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode(Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))))
        rows.append((path.name, f"class{k % 2}", "test" if k >= 20 else "validation" if k >= 16 else "train", k // 4))
    with (root / "photographs" / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "split", "Patient"), *rows])
    return root


def loaded(tables, fold, group):
    return foodjax.load_data(
        foodjax.load_config(
            "demo", "data.source=tfds", f"data.dir={tables / 'photographs'}", "data.labels=labels.csv",
            f"data.cache_dir={tables / 'cache'}", "data.image_size=8", f"data.fold={fold!r}", f"data.group={group!r}",
            "data.num_classes=0", "data.validation_fraction=0.25", "data.batch_size=2",
        )
    )  # fmt: skip


def test_groups_of_a_column_and_the_validation_part_are_in_the_folds(tables):
    seen = []
    for k in (1, 2):
        data = loaded(tables, f"{k}/2", "patient")
        assert data.test is data.train
        rows = {part: getattr(data.parts, part) for part in ("train", "validation", "test")}
        numbers = {part: {data.groups[data.train.ids[row]] for row in of} for part, of in rows.items()}
        assert not numbers["test"] & (numbers["train"] | numbers["validation"])
        assert not numbers["train"] & numbers["validation"]
        seen += [data.train.ids[row] for row in rows["test"]]
    assert len(seen) == len(set(seen)) == 20
    assert sum(i.startswith("validation/") for i in seen) == 4


@pytest.mark.parametrize("fold,group,message", [
    ("1/2", "doctor", r"data.group is 'doctor', but labels.csv has the columns 'file', .*'Patient': needs one"),
    ("", "patient", r"data.group is 'patient', but data.fold is empty"),
    ("1/6", "patient", r"data.fold is 1/6, but the 10 photographs of class 'class0' are 5 groups that stay together"),
    ("1/20", "", r"data.fold is 1/20, but class 'class0' has 10 photographs to make folds of"),
])  # fmt: skip
def test_what_a_group_or_a_fold_lacks_is_one_line(tables, fold, group, message):
    with pytest.raises(UserError, match=message):
        loaded(tables, fold, group)


def test_a_group_without_a_table_is_one_line(tmp_path):
    with pytest.raises(UserError, match="data.group is 'x', but data.labels is empty"):
        foodjax.load_data(foodjax.load_config("demo", "data.fold=1/2", "data.group=x", f"data.cache_dir={tmp_path}"))


def test_a_photograph_in_two_groups_is_one_line(tables, tmp_path):
    place = tmp_path / "photographs"
    shutil.copytree(tables / "photographs", place)
    with (place / "labels.csv").open("a") as file:
        file.write("00.png,class0,train,9\n")
    with pytest.raises(UserError, match="'00.png' is 'class0' of train in the group '0' and, in row 26"):
        loaded(tmp_path, "1/2", "patient")


def test_the_tutorials_validation_has_no_folds():
    with pytest.raises(UserError, match="data.fold needs data.protocol=holdout"):
        foodjax.load_data(foodjax.load_config("demo", "data.fold=1/2", "data.protocol=tutorial"))
