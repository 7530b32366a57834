"""`--config photos`: own photographs of any number and kind, with one line."""

import json

import numpy as np
import pytest
from helpers import run_main
from painted import CLASSES, folders, paint
from PIL import Image

import foodjax
from foodjax.config.check import checked, replace
from foodjax.data.choose import KEYS, open_keys
from foodjax.run import chosen, loop
from foodjax.run.chosen import load_chosen, with_stored


def config_for(place, cache):
    return replace(checked(foodjax.load_config("photos")), {"data.dir": str(place), "data.cache_dir": str(cache)})


def three_of_ten(root):
    return folders(root, {"": "train"}, counts={"train": 10})


def grey_scans(root):
    rng = np.random.default_rng(0)
    for k, name in enumerate(CLASSES):
        for i in range(12):
            path = root / name / f"{i}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((rng.normal(200 - 40 * k, 9, (140, 99))).astype(np.uint8)).save(path)
    return root


def phone_pictures(root):
    exif = Image.Exif()
    exif[0x0112] = 6
    for k, name in enumerate(CLASSES):
        for i in range(6):
            path = root / name / f"IMG_{i:04}.JPG"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (1600, 1200), (40 * k, 90, i)).save(path, exif=exif)
    return root


def many_classes(root):
    for k in range(60):
        for i in range(10):
            paint(root / f"class {k}" / f"{i}.png", (k, i, 0))
    return root


@pytest.mark.parametrize("draw,classes,sizes,side,batch", [
    (three_of_ten, 3, 30, 32, 4),
    (grey_scans, 3, 36, 64, 4),
    (phone_pictures, 3, 18, 64, 4),
    (many_classes, 60, 600, 32, 16),
])  # fmt: skip
def test_folders_of_many_kinds_are_loaded_with_values_that_fit(
    tmp_path, capsys, monkeypatch, draw, classes, sizes, side, batch
):
    monkeypatch.setattr(chosen.jax, "device_count", lambda: 1)  # as users have; the tests' eight make it a multiple
    config, data = load_chosen(config_for(draw(tmp_path / "data"), tmp_path / "cache"))
    assert not open_keys(config)
    assert (config.data.image_size, config.data.batch_size) == (side, batch)
    assert len(data.train.class_names) == classes
    assert sum(map(len, data.parts[:3])) == sizes
    for part, of in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        assert len(set(of.labels[getattr(data.parts, part)])) == classes, part
    assert len(data.parts.train) // config.data.batch_size >= 2
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("chosen: ")]
    assert [line.split()[1].split("=")[0] for line in lines] == list(KEYS)


def test_shipped_experiments_choose_nothing():
    for name in ("food10", "food10_fast", "demo", "food101"):
        assert not open_keys(checked(foodjax.load_config(name)))


@pytest.mark.slow
def test_a_run_stores_what_it_chose_and_keeps_it_when_its_photographs_change(tmp_path, tiny_config, capsys):
    root = folders(tmp_path / "data", {"": "train"}, counts={"train": 10})
    tiny_config.data.update(dir=str(root), num_classes=0, image_size=0, batch_size=0, validation_fraction=0.0)
    tiny_config.data.batch_size = 8  # a multiple of the eight devices of the tests
    tiny_config.train.epochs = 1
    loop.train(tiny_config, tmp_path / "run")
    stored = json.loads((tmp_path / "run" / "config.json").read_text())["data"]
    assert (stored["image_size"], stored["batch_size"], stored["validation_fraction"]) == (32, 8, 0.15)
    assert capsys.readouterr().out.count("chosen: ") == 2
    for name in CLASSES:
        for k in range(200):
            Image.new("RGB", (80, 90)).save(root / name / f"more{k}.png")
    kept = with_stored(checked(tiny_config), tmp_path / "run").data
    assert (kept.image_size, kept.batch_size, kept.validation_fraction) == (32, 8, 0.15)
    assert loop.train(tiny_config, tmp_path / "run").epochs == 1  # the same experiment, and finished
    assert "chosen" not in capsys.readouterr().out
    assert load_chosen(checked(tiny_config))[0].data.image_size == 64  # of a new run


def test_prepared_pictures_keep_their_side(tmp_path, tiny_config):
    data = foodjax.load_data(tiny_config)
    config = replace(checked(tiny_config), {"data.image_size": 0, "data.validation_fraction": 0.0})
    found, same = load_chosen(config, data)
    assert same is data
    assert (found.data.image_size, found.data.batch_size, found.data.validation_fraction) == (16, 16, 0.15)


@pytest.mark.slow
def test_the_line_of_the_readme_trains_predicts_and_continues(tmp_path, own_cache):
    root = grey_scans(tmp_path / "data")
    more = ["--config", "photos", f"--config.data.dir={root}", "--workdir", tmp_path / "run"]
    first = run_main("train", *more, "--config.train.epochs=3", check=True)
    assert first.stdout.count("chosen: ") == 3
    again = run_main("train", *more, "--config.train.epochs=3", check=True)
    assert "nothing to do" in again.stdout
    done = run_main("predict", "--workdir", tmp_path / "run", "--images", root / "bars", check=True)
    assert "bars" in done.stdout
