"""TFDS sets of any splits with an image and a label, made by small builders of the test."""

import io
import time

import numpy as np
import pytest
from painted import CLASSES, colour, config_of, counts, seen
from PIL import Image

from foodjax.config.check import replace
from foodjax.data.sets import load_data
from foodjax.data.sources.find import create_source, select_classes
from foodjax.system.errors import UserError

tfds = pytest.importorskip("tensorflow_datasets")


def encode(rgb):
    file = io.BytesIO()
    Image.new("RGB", (6, 5), rgb).save(file, "PNG")
    file.seek(0)
    return file


def make(name, splits, ids=None, features=None):
    """Registers a builder whose splits hold so many pictures of each class; `ids` makes an id of (split, class, k)."""
    info = features or {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=CLASSES)}
    if ids:
        info["id"] = tfds.features.Text()

    def examples(split):
        def generate(self=None):
            for cls in CLASSES:
                for k in range(splits[split]):
                    example = {"image": encode(colour(PART.get(split, "train"), cls, k)), "label": cls}
                    yield f"{cls}{k}", example | ({"id": ids(split, cls, k)} if ids else {})

        return generate

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(info))

    def _split_generators(self, manager):
        return {split: examples(split)() for split in splits}

    members = {"_info": _info, "_split_generators": _split_generators, "_generate_examples": lambda self: ()}
    members |= {
        "VERSION": tfds.core.Version("1.0.0"),
        "__module__": "tensorflow_datasets.testing.test_utils",
        "name": name,
    }
    return type(name.title().replace("_", ""), (tfds.core.GeneratorBasedBuilder,), members)


PART = {"train": "train", "test": "test", "validation": "validation", "full": "all"}
SETS = {
    "wild_train_test": ({"train": 6, "test": 4}, None),  # cifar10
    "wild_train_validation": ({"train": 6, "validation": 4}, None),  # food101
    "wild_three": ({"train": 6, "validation": 5, "test": 4}, None),  # beans, oxford_flowers102
    "wild_train_only": ({"train": 20}, None),
    "wild_other_name": ({"full": 20}, None),
    "wild_extra": ({"train": 6, "test": 4, "extra": 3}, None),
    "wild_one_id_in_two": ({"train": 6, "test": 4}, lambda split, cls, k: f"{cls}/{k}"),
    "wild_one_id_twice": ({"train": 6, "test": 4}, lambda split, cls, k: "same"),
    "wild_odd": ({"first": 6, "second": 4}, None),
}
BUILDERS = {name: make(name, splits, ids) for name, (splits, ids) in SETS.items()}


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory):
    """Where TFDS keeps the sets of all tests."""
    HOME.append(str(tmp_path_factory.mktemp("tfds")))


HOME: list[str] = []


def config(name, tmp_path):
    changes = {"data.tfds_name": name, "data.tfds_dir": HOME[-1], "data.source": "tfds"}
    return replace(config_of("", tmp_path / "cache"), changes)


def colours(part, number):
    return {(cls, colour(part, cls, k)) for cls in CLASSES for k in range(number)}


def listing(name, tmp_path):
    return select_classes(create_source(config(name, tmp_path)).listing(), 0, ())


@pytest.mark.parametrize("name", ["wild_train_test", "wild_one_id_in_two", "wild_one_id_twice", "wild_extra"])
def test_each_split_is_read_from_its_own_place(tmp_path, name):
    data = load_data(config(name, tmp_path))
    assert seen(data.train) == colours("train", 6)
    assert seen(data.test) == colours("test", 4)
    assert len(set(data.train.ids)) == 18


def test_ids_are_made_where_there_are_none_and_taken_where_they_are(tmp_path):
    made = listing("wild_train_test", tmp_path)
    assert made.test[0].id.startswith(f"{made.test[0].class_name}/test-0000")
    taken = listing("wild_one_id_in_two", tmp_path)
    assert {e.id for e in taken.train} == {f"{cls}/{k}" for cls in CLASSES for k in range(6)}


def test_test_is_the_validation_split_where_there_is_no_other(tmp_path, capsys):
    data = load_data(config("wild_train_validation", tmp_path))
    assert seen(data.test) == colours("validation", 4)
    assert data.own_validation is None
    assert "test is validation" in capsys.readouterr().out


def test_three_splits_are_used_as_they_are_named(tmp_path):
    data = load_data(config("wild_three", tmp_path))
    assert seen(data.train, data.parts.train) == colours("train", 6)
    assert seen(data.validation, data.parts.validation) == colours("validation", 5)
    assert seen(data.test) == colours("test", 4)


@pytest.mark.parametrize("name,part", [("wild_train_only", "train"), ("wild_other_name", "all")])
def test_test_is_held_out_of_the_only_split(tmp_path, capsys, name, part):
    data = load_data(config(name, tmp_path))
    assert seen(data.train) | seen(data.test) == colours(part, 20)
    assert not seen(data.train) & seen(data.test)
    assert "held out to test on" in capsys.readouterr().out
    everything = create_source(config(name, tmp_path), everything=True).listing()
    assert counts(everything) == {"test": dict.fromkeys(CLASSES, 20)}


def test_splits_that_are_not_used_are_named(tmp_path):
    assert "not used are the splits extra" in listing("wild_extra", tmp_path).notes[0]
    with pytest.raises(UserError, match="has the splits first, second: needs train, validation or test"):
        listing("wild_odd", tmp_path)


def test_a_selection_of_classes(tmp_path):
    data = load_data(replace(config("wild_three", tmp_path), {"data.class_names": ("ring", "bars")}))
    assert seen(data.test) == {(cls, rgb) for cls, rgb in colours("test", 4) if cls != "cross"}
    np.testing.assert_array_equal(np.bincount(data.test.labels), [4, 4])


@pytest.mark.parametrize("features,message", [
    ({"image": tfds.features.Image(), "other": tfds.features.ClassLabel(num_classes=2)}, "without 'label': needs"),
    ({"image": tfds.features.Image(), "label": tfds.features.Text()}, "label is a Text: needs one Image and one"),
])  # fmt: skip
def test_a_set_without_image_and_label_is_refused(tmp_path, features, message):
    name = f"wild_bad_{len(message)}"
    BUILDERS[name] = make(name, {"train": 1}, features=features)
    with pytest.raises(UserError, match=message):
        create_source(config(name, tmp_path))


@pytest.mark.parametrize("name", ["cifar10", "beans", "oxford_flowers102"])
def test_the_network_is_asked_before_any_set_is_downloaded(tmp_path, monkeypatch, name):
    from foodjax.data.sources import tfds as source

    asked = []

    def refuse(request, timeout):
        asked.append(request.full_url)
        raise OSError("no route to host")

    monkeypatch.setattr(source.urllib.request, "urlopen", refuse)
    start = time.monotonic()
    with pytest.raises(UserError, match=r"cannot download the data set from http.* \(no route to host\): needs"):
        listing(name, tmp_path)
    assert time.monotonic() - start < 15
    assert len(asked) == 1


def test_an_unknown_name_is_one_line(tmp_path):
    with pytest.raises(UserError, match="data.tfds_name is 'nosuchset', which TFDS cannot open: Dataset nosuchset not"):
        create_source(config("nosuchset", tmp_path))
