import dataclasses
import shutil
import zipfile

import numpy as np
import pytest
from helpers import archive_of, make_food_root, prepared
from PIL import Image

from foodjax.config.check import checked
from foodjax.data import originals
from foodjax.data.originals import Originals


@pytest.fixture
def food(tiny_config, tmp_path):
    """A config of nine photographs to test on, three of each class; the first of bars is 64 x 32, red."""
    root = make_food_root(tmp_path / "food-101", num_train=4, num_test=3)
    Image.new("RGB", (64, 32), "red").save(root / "images" / "bars" / "4.jpg")
    tiny_config.data.update(source="tfds", dir=str(root), num_classes=0)
    return tiny_config


def test_a_photograph_keeps_its_shape_and_is_not_enlarged(food):
    test_set, read = prepared(food, "test"), Originals(checked(food))
    found = read.read(test_set, [3, 0, 0, np.int64(8)])
    assert {row: picture.shape for row, picture in found.items()} == {0: (32, 64, 3), 3: (64, 64, 3), 8: (64, 64, 3)}
    assert np.abs(found[0].astype(int) - [254, 0, 0]).max() <= 2
    assert read.read(test_set, [0], side=16)[0].shape == (8, 16, 3)
    assert (read.missing, read.sentence()) == (0, "")


def test_a_photograph_that_changed_or_went_is_missing(food, tmp_path):
    test_set, read = prepared(food, "test"), Originals(checked(food))
    Image.new("RGB", (64, 32), "blue").save(tmp_path / "food-101" / "images" / "bars" / "4.jpg")
    (tmp_path / "food-101" / "images" / "ring" / "6.jpg").unlink()
    assert set(read.read(test_set, range(9))) == {1, 2, 3, 4, 5, 6, 7}
    assert read.sentence().startswith("2 of the photographs themselves are not shown: their files are gone or have")


def test_photographs_that_moved_are_named(food, tmp_path):
    test_set = prepared(food, "test")
    shutil.move(tmp_path / "food-101", tmp_path / "elsewhere")
    read = Originals(checked(food))
    assert read.read(test_set, [0]) == {}
    assert "are not shown: data.dir=" in read.sentence()
    assert "does not exist" in read.sentence()


def test_an_archive_is_read_unless_it_is_a_large_tar(food, tmp_path, monkeypatch):
    root = tmp_path / "food-101"
    tar = archive_of(root, tmp_path / "food.tar.gz")
    with zipfile.ZipFile(tmp_path / "food.zip", "w") as file:
        for path in sorted(root.rglob("*.*")):
            file.write(path, path.relative_to(tmp_path))
    monkeypatch.setattr(originals, "MAX_PACKED", tar.stat().st_size)
    for limit, path, shown in ((0, tar, True), (-1, tar, False), (-1, tmp_path / "food.zip", True)):
        monkeypatch.setattr(originals, "MAX_PACKED", tar.stat().st_size + limit)
        food.data.dir = str(path)
        read = Originals(checked(food))
        found = read.read(prepared(food, "test"), [0])
        assert (0 in found) == shown
        assert bool(read.sentence()) != shown
    assert found[0].shape == (32, 64, 3)


def test_drawn_shapes_are_drawn_again(tiny_config):
    read = Originals(checked(tiny_config))
    assert read.read(prepared(tiny_config, "test"), [7])[7].shape == (64, 64, 3)


def test_tfds_and_arrays_have_no_files(tiny_config):
    test_set = prepared(tiny_config, "test")
    tiny_config.data.source = "tfds"
    read = Originals(checked(tiny_config))
    assert read.read(test_set, [0]) == {}
    assert read.sentence() == ("The photographs themselves are not shown: TFDS has them as records, not as files.")
    tiny_config.data.source = "drawn"
    read = Originals(checked(tiny_config))
    assert read.read(dataclasses.replace(test_set, digests=()), [0]) == {}
    assert read.sentence().endswith("the pictures were given as arrays.")
