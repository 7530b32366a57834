"""Photographs that files describe in special ways, seen alike by training, evaluate, predict, serve and inspect.

A run is trained on them, and each verb's pixels are taken where it has them: from the cache that training prepared,
the set that evaluate prepared anew, Predictor.decode, what a POST to the served page was answered for, and the arrays
of the inspect page. Their SHA-256 must be equal.
"""

import base64
import hashlib
import io
import json
import re
import shutil

import numpy as np
import pytest
from helpers import SHARED, inspect_page
from PIL import ExifTags, Image
from starlette.testclient import TestClient

from experiments import demo
from foodjax.config.check import checked, replace
from foodjax.data.decode import decode
from foodjax.data.prepare import open_prepared
from foodjax.data.sets import load_data
from foodjax.report import inspect as report_inspect
from foodjax.run import loop
from foodjax.run.evaluate import evaluate_workdir
from foodjax.run.predict import Predictor, predict_workdir
from foodjax.serve import app as serve_app
from foodjax.workdir.description import read_description

COUNTS = {"train": 5, "test": 2}
SIDE = 16
CLASSES = ("clear", "cmyk", "deep", "palette", "turned")


def upright(seed):
    """A picture of 40 x 24 random blocks, as a viewer should show it."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 10, 3), np.uint8)
    return Image.fromarray(blocks.repeat(4, 0).repeat(4, 1))


def paint(folder, name, k, seed):
    """Writes picture k of a class in the class's own way; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    image, options = upright(seed), {}
    path = folder / f"{k}.png"
    if name == "turned":
        path, tags = folder / f"{k}.jpg", Image.Exif()
        tags[ExifTags.Base.Orientation] = (6, 3, 8)[k % 3]
        turns = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
        image, options = image.transpose(turns[k % 3]), {"exif": tags, "quality": 95, "subsampling": 0}
    elif name == "clear":
        image = image.convert("RGBA")
        image.putalpha(Image.fromarray(np.arange(24 * 40, dtype=np.uint16).reshape(24, 40).astype(np.uint8)))
    elif name == "deep":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    elif name == "palette":
        image, options = image.quantize(16), {"transparency": 3}
    else:
        path, image = folder / f"{k}.jpg", image.convert("CMYK")
    image.save(path, **options)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """part -> id -> path; COUNTS of each class."""
    root, found = tmp_path_factory.mktemp("special") / "photos", {}
    for part, count in COUNTS.items():
        for c, name in enumerate(CLASSES):
            for k in range(count):
                path = paint(root / part / name, name, k, 1000 * c + 10 * k + len(part))
                found.setdefault(part, {})[f"{name}/{path.name}"] = path
    return found


def train(root, photos, **data):
    """Trains a tiny run of one epoch on a folder; returns its workdir."""
    config = demo.get_config()
    config.data.update(dir=str(photos), cache_dir=str(root / "cache"), num_classes=0, image_size=SIDE, batch_size=8)
    config.data.update(validation_fraction=0.21, **data)
    config.model.blocks = config.model.blocks[:1]
    config.model.blocks[0].update(features=4, padding=("SAME",))
    config.train.epochs = 1
    loop.train(config, root / "run")
    return root / "run"


@pytest.fixture(scope="module", params=["stretch", "crop", "pad"])
def special(request, files, tmp_path_factory):
    """A run on the special photographs, with each geometry."""
    photos = next(iter(files["train"].values())).parents[2]
    return train(tmp_path_factory.mktemp(request.param), photos, geometry=request.param)


def sha(pixels):
    assert pixels.shape == (SIDE, SIDE, 3)
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def of_set(prepared):
    return {name: sha(image) for name, image in zip(prepared.ids, prepared.images, strict=True)}


def in_cache(workdir, part):
    """id -> SHA-256 in the only prepared set of a part."""
    (folder,) = (workdir.parent / "cache").glob(f"photos-{part}-*")
    return of_set(open_prepared(folder))


def evaluated(workdir, cache):
    """id -> SHA-256 of the test set, prepared by an evaluation in a cache of its own."""
    return of_set(evaluate_workdir(replace(read_description(workdir)[0], {"data.cache_dir": str(cache)}), workdir).data)


def predicted(workdir, paths):
    predictor = Predictor(workdir)
    return {name: sha(predictor.decode(path)) for name, path in paths.items()}


def served(workdir, paths):
    """id -> SHA-256 of the pixels that a POST of the file is answered for."""
    guesser, seen, found = serve_app.Guesser(workdir), [], {}
    answer = guesser.answer
    guesser.answer = lambda pixels: [seen.append(sha(pixels)), answer(pixels)][1]
    with TestClient(serve_app.create_app(guesser, "title", ["localhost"]), base_url="http://localhost") as client:
        for name, path in paths.items():
            reply = client.post(
                "/predict", content=path.read_bytes(), headers={"Content-Type": "application/octet-stream"}
            )
            assert reply.status_code == 200, reply.text
            found[name] = seen.pop()
    return found


def shown(config):
    """SHA-256 of the photographs on the inspect page; those pictures themselves are compared as JPEG."""
    data = load_data(config)
    samples = [image for images in report_inspect.samples(data, config.seed).values() for image in images]
    page = inspect_page(config, data)
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)" alt="training photograph of ', page)
    on_page = [np.asarray(Image.open(io.BytesIO(base64.b64decode(uri)))) for uri in found]
    assert len(samples) == len(CLASSES) * 4
    for jpeg, image in zip(on_page[: len(samples)], samples, strict=True):  # the first of them is shown again below
        assert np.abs(jpeg[6::12, 6::12].astype(int) - image).mean() < 8
    return {sha(image) for image in samples}


@pytest.mark.slow
def test_every_verb_sees_the_same_pixels(special, files, tmp_path):
    train_set, test_set = in_cache(special, "train"), in_cache(special, "test")
    assert train_set.keys() == files["train"].keys()
    assert len({*train_set.values(), *test_set.values()}) == 35  # no two are alike
    assert evaluated(special, tmp_path / "cache") == test_set
    assert predicted(special, files["test"]) == test_set
    assert served(special, files["test"]) == test_set
    assert predicted(special, files["train"]) == train_set
    assert served(special, files["train"]) == train_set
    config = replace(read_description(special)[0], {"data.cache_dir": str(tmp_path / "other")})
    on_page = shown(config)
    assert len(on_page) == 20  # the rest validates
    assert on_page < set(train_set.values())


def test_they_are_seen_as_a_viewer_shows_them(special, files):
    geometry = read_description(special)[0].data.geometry
    (folder,) = (special.parent / "cache").glob("photos-train-*")
    prepared = open_prepared(folder)
    for name, k in (("turned", 0), ("turned", 1), ("turned", 2), ("deep", 1), ("clear", 1)):
        suffix = "jpg" if name == "turned" else "png"
        image = upright(1000 * CLASSES.index(name) + 10 * k + len("train"))
        expected = np.asarray(image.convert("L").convert("RGB") if name == "deep" else image).astype(float)
        if name == "clear":
            alpha = (np.arange(24 * 40) % 256).reshape(24, 40, 1) / 255
            expected = expected * alpha + 255 * (1 - alpha)
        buffer = io.BytesIO()
        Image.fromarray(expected.round().astype(np.uint8)).save(buffer, "PNG")
        plain = decode(buffer.getvalue(), SIDE, "bilinear", geometry=geometry, decoding="plain").astype(int)
        found = prepared.images[prepared.ids.index(f"{name}/{k}.{suffix}")]
        assert np.abs(found - plain).mean() < (6 if name == "turned" else 1), (name, k)  # JPEG loses some


def as_older(run, target):
    """Copies a run and its config as format 9 stored it, before geometry and decoding were there."""
    shutil.copytree(run, target)
    config = json.loads((target / "config.json").read_text())
    for name in ("geometry", "decoding", "labels", "class_level", "test_fraction"):
        del config["data"][name]
    (target / "config.json").write_text(json.dumps(config | {"format": 9}))
    return target


@pytest.fixture(scope="module")
def older(files, tmp_path_factory):
    """A run as an older version trained and stored it."""
    root = tmp_path_factory.mktemp("older")
    photos = next(iter(files["train"].values())).parents[2]
    workdir = train(root, photos, decoding="plain")
    as_older(workdir, root / "stored")
    shutil.rmtree(workdir)
    return (root / "stored").rename(workdir)


LINE = "some photographs look otherwise here than in training: this run has data.decoding=plain"


@pytest.mark.slow
def test_an_older_run_evaluates_as_it_trained_and_predicts_as_it_did(older, files, tmp_path, capsys):
    plain = {
        name: sha(decode(path.read_bytes(), SIDE, "bilinear", decoding="plain")) for name, path in files["test"].items()
    }
    seen = {name: sha(decode(path.read_bytes(), SIDE, "bilinear")) for name, path in files["test"].items()}
    assert {name.split("/")[0] for name in seen if seen[name] != plain[name]} == {"clear", "deep", "palette", "turned"}
    assert in_cache(older, "test") == evaluated(older, tmp_path / "cache") == plain
    assert LINE not in capsys.readouterr().out
    assert predicted(older, files["test"]) == seen
    assert capsys.readouterr().out.count(LINE) == 1
    assert served(older, files["test"]) == seen
    assert capsys.readouterr().out.count(LINE) == 1
    predict_workdir(older, [path for name, path in files["test"].items() if name.startswith("cmyk")])
    assert LINE not in capsys.readouterr().out  # they look alike
    predict_workdir(older, list(files["test"].values()))
    assert capsys.readouterr().out.count(LINE) == 1


def test_a_new_run_has_no_such_line(special, files, capsys):
    predict_workdir(special, list(files["test"].values()))
    assert "otherwise" not in capsys.readouterr().out


def test_an_older_run_continues_as_it_trained(older, tmp_path, capsys):
    run = shutil.copytree(older, tmp_path / "run")
    config = replace(read_description(run)[0], {"data.decoding": "viewer", "train.epochs": 2})
    trained = loop.train(config, run)
    assert trained.epochs == 2
    out = capsys.readouterr().out
    assert f"{run} continues with data.decoding=plain, as it began" in out
    assert "after epoch 1" in out
    assert read_description(run)[0].data.decoding == "plain"
    assert len(list((older.parent / "cache").glob("photos-train-*"))) == 1  # nothing was decoded in another way
    assert "nothing to do" in (loop.train(config, run), capsys.readouterr().out)[1]


def test_prepared_caches_differ_where_the_pixels_may(files, tmp_path):
    config = checked(demo.get_config())
    photos = next(iter(files["train"].values())).parents[2]
    config = replace(config, {"data.dir": str(photos), "data.num_classes": 0, "data.cache_dir": str(tmp_path)})
    config = replace(config, {"data.image_size": SIDE, "data.batch_size": 2, "data.validation_fraction": 0.21})
    kinds = [{}, {"data.decoding": "plain"}, {"data.geometry": "crop"}, {"data.geometry": "pad"}]
    sets = [of_set(load_data(replace(config, kind)).train) for kind in kinds]
    assert len({tuple(found.values()) for found in sets}) == 4
    assert len(list(tmp_path.glob("photos-train-*"))) == 4


@pytest.mark.parametrize("folder,step", [("food-101-originals", 1), ("food-101", 40)])
def test_the_photographs_of_food_101_look_as_before(folder, step):
    paths = sorted((SHARED / folder).glob("images/*/*.jpg"))[::step]
    if not paths:
        pytest.skip(f"no real photographs at {SHARED / folder}")
    assert len(paths) >= 100
    for path in paths:
        with Image.open(path) as image:
            before = np.asarray(image.convert("RGB").resize((56, 56), Image.Resampling.BOX))
        np.testing.assert_array_equal(decode(path.read_bytes(), 56, "box"), before, err_msg=str(path))
