"""Whatever a file or a command line holds, only the project's own errors come out. More examples: -m slow."""

import copy
import io
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from experiments import food10
from foodjax import config as config_lib
from foodjax import workdir as workdir_lib
from foodjax.data.archive import Archive
from foodjax.data.prepare import decode
from foodjax.data.source import Food101Folder, parse_meta
from foodjax.errors import UserError
from foodjax.logs import read_metrics
from foodjax.variants import apply

FEW = settings(
    max_examples=60, deadline=5000, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MANY = settings(FEW, max_examples=5000, derandomize=False)


def fuzz(*arguments):
    """Gives each test a fast and a slow form over the same strategies."""

    def wrap(function):
        @pytest.mark.parametrize("limits", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"])
        def test(limits, tmp_path):
            limits(given(st.tuples(*arguments))(lambda drawn: function(tmp_path, *drawn)))()

        return test

    return wrap


def pictures():
    rng, found = np.random.default_rng(0), []
    for kind, mode in (("JPEG", "RGB"), ("PNG", "P"), ("PNG", "I;16"), ("GIF", "P"), ("WEBP", "RGB"), ("TIFF", "CMYK")):
        image = Image.fromarray(rng.integers(0, 256, (24, 31, 3), dtype=np.uint8))
        image = Image.new("I;16", (31, 24), 300) if mode == "I;16" else image.convert(mode)
        buffer = io.BytesIO()
        image.save(buffer, kind)
        found.append(buffer.getvalue())
    return found


PICTURES = pictures()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
CONFIG = json.loads(config_lib.to_json(food10.get_config()))
KEYS = sorted(config_lib.SCHEMA)


@st.composite
def broken(draw, originals):
    """Bytes of a good file in which some were replaced, cut off or added."""
    content = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 6))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.integers(0, len(content)))]) + draw(st.binary(max_size=16))


@fuzz(st.one_of(st.binary(max_size=200), broken(PICTURES)), st.booleans())
def test_the_decoder(_, encoded, as_seen):
    try:
        picture = decode(encoded, 8, "bilinear", as_seen=as_seen)
    except ValueError as error:
        assert str(error)
    else:
        assert picture.shape == (8, 8, 3) and picture.dtype == np.uint8


@fuzz(
    st.dictionaries(
        st.sampled_from(["meta/train.json", "meta/test.json", "meta/classes.txt"]), st.text() | JSON.map(json.dumps)
    )
)
def test_the_meta_files(tmp_path, texts):
    try:
        listing = parse_meta(texts, "here")
    except UserError:
        return
    source = Food101Folder(tmp_path)
    assert all(not encoded for _, encoded in source.read(listing.train + listing.test))


@fuzz(st.binary(max_size=2000))
def test_an_archive(tmp_path, content):
    path = tmp_path / "food-101.tar.gz"
    path.write_bytes(content)
    with pytest.raises(UserError):
        Archive(path).listing()


@fuzz(st.text() | JSON.map(json.dumps) | st.tuples(st.sampled_from(KEYS), JSON))
def test_a_stored_config(_, found):
    if isinstance(found, tuple):
        config, (key, value) = copy.deepcopy(CONFIG), found
        *outer, last = key.split(".")
        part = config
        for name in outer:
            part = part[name]
        part[last] = value
        found = json.dumps(config)
    try:
        config = config_lib.from_json(found)
    except UserError:
        return
    assert config_lib.difference(config, config_lib.from_json(config_lib.to_json(config)), ignore=()) is None


@fuzz(st.text(max_size=30) | st.tuples(st.sampled_from(KEYS), st.text(max_size=8)).map("=".join))
def test_what_stands_behind_a_config_file(_, argument):
    try:
        config_lib.validate(apply(food10.get_config(), argument))
    except UserError as error:
        assert str(error)


@fuzz(st.binary(max_size=300) | st.lists(JSON.map(json.dumps)).map("\n".join).map(str.encode))
def test_the_metrics(tmp_path, content):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(content)
    assert all(type(row["epoch"]) is int for row in read_metrics(path))


@fuzz(
    st.sampled_from(["config.json", "dataset.json", "finished.json"]),
    st.binary(max_size=99) | JSON.map(json.dumps).map(str.encode),
)
def test_a_workdir(tmp_path, name, content):
    texts = {"config.json": json.dumps(CONFIG), "dataset.json": '{"class_names": ["a", "b"]}', "finished.json": "{}"}
    for other, text in texts.items():
        (tmp_path / other).write_text(text)
    (tmp_path / name).write_bytes(content)
    assert isinstance(workdir_lib.read_finished(tmp_path, 3), str | None)
    try:
        _, names = workdir_lib.read_description(tmp_path)
    except UserError:
        return
    assert names and all(isinstance(class_name, str) for class_name in names)
