"""Every refusal of data names a value that works: the value is taken from the line, and works."""

import re

import numpy as np
import pytest
from painted import CLASSES, config_of, folders, listing, load, paint

from experiments import demo, food10, food10_fast, photos
from foodjax.config.check import checked, replace
from foodjax.data.prepared import Prepared
from foodjax.data.sets import split_data
from foodjax.data.sources.find import create_source
from foodjax.models.convnet import create_model
from foodjax.run.chosen import load_chosen
from foodjax.steps.devices import create_mesh
from foodjax.system.errors import UserError


def line(function, *arguments, **options) -> str:
    with pytest.raises(UserError) as caught:
        function(*arguments, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


def value(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    assert found, text
    return found[1]


def test_more_classes_than_the_data_has(tmp_path):
    root = folders(tmp_path / "data")
    text = line(load, root, tmp_path / "cache", num_classes=10)
    assert "data.num_classes is 10, but the data has 3 classes: use --config photos, or " in text
    working = int(value(text, r"--config\.data\.num_classes=(\d+)"))
    assert load(root, tmp_path / "cache", num_classes=working).train.class_names == CLASSES


def test_fewer_classes_than_the_data_has_are_told_every_time(tmp_path, capsys):
    root = folders(tmp_path / "data", classes=[f"c{k:02}" for k in range(15)])
    for _ in range(2):
        assert len(load(root, tmp_path / "cache", num_classes=10).train.class_names) == 10
        assert capsys.readouterr().out.count("10 of 15 classes: the first by name") == 1
    load(root, tmp_path / "cache", num_classes=15)
    load(root, tmp_path / "cache", class_names=("c01", "c07"))
    assert "the first by name" not in capsys.readouterr().out


def test_one_class_alone(tmp_path):
    root = folders(tmp_path / "data")
    assert (
        line(load, root, tmp_path, num_classes=1) == "data.num_classes is 1: needs at least 2, or 0 for all 3 classes"
    )
    text = line(load, root, tmp_path, class_names=("ring",))
    names = tuple(value(text, r"such as (\S+)").split(","))
    assert set(load(root, tmp_path, class_names=names).train.class_names) == set(names) > {"ring"}


def test_a_class_that_is_not_there(tmp_path):
    root = folders(tmp_path / "data")
    text = line(load, root, tmp_path, class_names=("ring", "baars"))
    assert "did you mean 'bars'?" in text
    names = tuple(value(text, r"needs some of (\S+)").split(","))
    assert load(root, tmp_path, class_names=names).train.class_names == CLASSES


def test_a_class_without_training_pictures(tmp_path):
    root = folders(tmp_path / "data")
    for path in (root / "train" / "cross").iterdir():
        path.unlink()
    (root / "train" / "cross").rmdir()
    text = line(load, root, tmp_path, class_names=CLASSES)
    assert "class 'cross' has no train images" in text
    assert "data.class_names without it" in text
    assert load(root, tmp_path, class_names=("bars", "ring")).train.class_names == ("bars", "ring")


def test_a_class_whose_pictures_do_not_decode(tmp_path):
    root = folders(tmp_path / "data")
    for path in (root / "train" / "cross").iterdir():
        path.write_bytes(b"no picture")
    assert "data.on_error=skip" in line(load, root, tmp_path)
    text = line(load, root, tmp_path, on_error="skip")
    assert "class 'cross' has no train image that decodes" in text
    assert "data.class_names without it" in text
    assert load(root, tmp_path, class_names=("bars", "ring")).train.class_names == ("bars", "ring")


def test_one_photograph_of_each_class(tmp_path):
    root = tmp_path / "data"
    for k, name in enumerate(CLASSES):
        paint(root / name / "0.png", (k, 0, 0))
    text = line(load, root, tmp_path / "cache", batch_size=1)
    assert "the data has no test images" in text
    assert "at least two of each class" in text
    for k, name in enumerate(CLASSES):
        paint(root / name / "1.png", (k, 1, 0))
    text = line(load, root, tmp_path / "cache", batch_size=1)
    assert "needs at least 3 photographs of each class" in text
    for k, name in enumerate(CLASSES):
        paint(root / name / "2.png", (k, 2, 0))
    text = line(load, root, tmp_path / "cache", batch_size=1)
    share = float(value(text, r"and ([\d.]+) for an image of each class"))
    parts = load(root, tmp_path / "cache", batch_size=1, validation_fraction=share).parts
    assert [len(parts.train), len(parts.validation), len(parts.test)] == [3, 3, 3]


def test_a_share_too_small_for_any_class(tmp_path):
    root = folders(tmp_path / "data", counts={"train": 6, "test": 4})
    paint(root / "train" / "ring" / "more.png", (1, 2, 3))
    config = config_of(root, tmp_path)

    def fraction(share, protocol="holdout"):
        return load(root, tmp_path, validation_fraction=share, protocol=protocol)

    assert config.data.validation_fraction == 0.4
    text = line(fraction, 0.1)
    some, every = (float(value(text, p)) for p in (r"needs at least ([\d.]+),", r"and ([\d.]+) for an image of each"))
    assert len(fraction(some).parts.validation) == 1
    assert len(fraction(every).parts.validation) == 3
    text = line(fraction, 0.2, "tutorial")
    assert len(fraction(float(value(text, r"needs at least ([\d.]+),")), "tutorial").parts.validation) == 3


def test_a_batch_larger_than_the_train_part(tmp_path):
    root = folders(tmp_path / "data")
    working = int(value(line(load, root, tmp_path, batch_size=64), r"use at most (\d+)"))
    assert len(load(root, tmp_path, batch_size=working).parts.train) == working


def test_pictures_of_another_side():
    images = np.zeros((4, 32, 32, 3), np.uint8)
    data = Prepared(("a", "b"), images, np.array([0, 0, 1, 1]), ["a/1", "a/2", "b/1", "b/2"])
    config = demo.get_config()
    config.data.update(image_size=64, batch_size=2, validation_fraction=0.5)
    side = int(value(line(split_data, checked(config), data, data), r"needs data.image_size=(\d+)"))
    config.data.image_size = side
    assert len(split_data(checked(config), data, data).parts.train) == 2


@pytest.mark.parametrize("experiment", [food10, food10_fast, photos, demo])
def test_pictures_too_small_for_the_network(experiment):
    config = experiment.get_config("data.image_size=2,model.input_size=0,eval.size=0")
    text = line(create_model, checked(config), 10)
    assert "data.image_size is 2" in text
    side = int(value(text, r"needs at least (\d+)"))
    create_model(replace(checked(config), {"data.image_size": side}), 10)
    assert f"data.image_size is {side - 1}" in line(
        create_model, replace(checked(config), {"data.image_size": side - 1}), 10
    )


@pytest.mark.parametrize("changes,key", [
    ({"eval.size": 3}, "eval.size"),
    ({"model.input_size": 3, "eval.size": 0}, "model.input_size"),
    ({"train.progressive_resizing": ((0, 3), (5, 48))}, "train.progressive_resizing"),
])  # fmt: skip
def test_the_line_names_the_key_of_the_smallest_pictures(changes, key):
    text = line(create_model, replace(checked(food10_fast.get_config()), changes), 10)
    assert f"{key} is 3, needs at least 16" in text


def test_a_side_that_is_not_chosen_yet():
    text = line(create_model, checked(photos.get_config()), 10)
    side = int(value(text, r"--config\.data\.image_size=(\d+)"))
    create_model(replace(checked(photos.get_config()), {"data.image_size": side}), 10)


def test_a_batch_that_does_not_divide_among_the_devices():
    for size in (0, 3, 13):
        working = int(value(line(create_mesh, size), r"such as (\d+)"))
        assert create_mesh(working).size == 8


def test_no_place_at_all():
    text = line(create_source, checked(photos.get_config()))
    assert text.startswith("data.dir is empty: needs food-101.tar.gz, a folder of photographs sorted by class")


def test_values_are_chosen_only_for_data_that_can_be_used(tmp_path):
    (tmp_path / "data").mkdir()
    config = replace(checked(photos.get_config()), {"data.dir": str(tmp_path / "data")})
    assert "holds no pictures (it is empty)" in line(load_chosen, config)


def test_of_several_tables_the_likeliest_is_proposed(tmp_path):
    for k in range(4):
        paint(tmp_path / "train" / f"{k}.jpg", (k, 0, 0))
        paint(tmp_path / "test" / f"{k}.jpg", (k, 9, 0))
    for name in ("sample_submission.csv", "test.csv", "train.csv"):
        (tmp_path / name).write_text("id,label\n0,ring\n")
    with pytest.raises(UserError, match=r"or data\.labels='train\.csv'"):
        listing(tmp_path)
