"""data.exclude leaves photographs out of training and validation, by any of their names, and says so."""

import re

import numpy as np
import pytest
from helpers import make_food_root

from experiments import demo
from foodjax.data import exclude, photographs, sets
from foodjax.data.prepared import Prepared
from foodjax.data.split import Indices
from foodjax.system.cells import to_csv
from foodjax.system.errors import UserError
from foodjax.workdir import data_changes, data_record


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three classes x (6 train, 4 test) in Food-101's layout; of each class, train's 0 and 1 validate."""
    folder = tmp_path_factory.mktemp("exclude")
    make_food_root(folder / "food-101")
    return folder


@pytest.fixture
def load(root, tmp_path):
    """Returns a function that loads the data with a list of the given content."""

    def load(content: str | bytes, **changes) -> sets.Data:
        place = tmp_path / "list"
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        config = demo.get_config()
        config.data.update(dir=str(root / "food-101"), num_classes=0, cache_dir=str(root / "cache"), image_size=16)
        config.data.update(validation_fraction=0.4, batch_size=2, exclude=str(place), duplicates="drop")
        config.data.update(changes)
        return sets.load_data(config)

    return load


def names(data: sets.Data, part: str) -> set[str]:
    of = {"train": data.train, "validation": data.validation, "test": data.test}[part]
    return {of.ids[row] for row in getattr(data.parts, part)}


NAMED = {  # what a list may call ring/0 and bars/3
    "ids": "ring/0\nbars/3\n",
    "paths": "images/ring/0.jpg\r\n./images/bars/3.jpg\r\n\r\n",
    "ends of paths": "/elsewhere/ring/0.jpg\nD:\\photos\\bars\\3.jpg\n",
    "a table": to_csv(("rank", "given", "file"), [(1, "a, b", "images/ring/0.jpg"), (2, "bars", "images/bars/3.jpg")]),
    "predictions.csv": to_csv(("id", "true", "predicted"), [("ring/0", "ring", "bars"), ("bars/3", "bars", "ring")]),
    "semicolons": "class;File\nx;ring/0\ny;bars/3\n",
    "a spreadsheet's text": "file\tclass\nring/0\tx\nbars/3\tx\n".encode("utf-16"),
    "with a mark of UTF-8": b"\xef\xbb\xbffile\nring/0\nbars/3\n",
}


@pytest.mark.parametrize("content", NAMED.values(), ids=NAMED)
def test_a_list_names_photographs_as_tables_and_people_do(load, content):
    data = load(content)
    assert names(data, "train") == {f"{c}/{k}" for c in ("bars", "cross", "ring") for k in range(2, 6)} - {"bars/3"}
    assert names(data, "validation") == {f"{c}/{k}" for c in ("bars", "cross", "ring") for k in range(2)} - {"ring/0"}
    assert len(names(data, "test")) == 12


def test_what_is_left_out_is_counted_and_named(load, capsys):
    data = load("ring/0\nbars/3\nbars/4\ncross/8\nring/77\nring/78\nring/79\nring/80\n")
    told = [line for line in capsys.readouterr().out.splitlines() if "left out" in line or line.startswith("  ")]
    assert re.fullmatch(r"data.exclude=.*/list: 2 train and 1 validation images are left out", told[0])
    assert told[1] == "  1 in it are of the test part, which stays whole: 'cross/8'"
    assert told[2] == "  4 in it are not in the data: 'ring/77', 'ring/78', 'ring/79' and 1 more"
    listed = {p.file: p for p in photographs.of_data(data)}
    out = sorted(file for file, p in listed.items() if p.reason == "named in data.exclude")
    assert out == ["images/bars/3.jpg", "images/bars/4.jpg", "images/ring/0.jpg"]
    assert listed["images/cross/8.jpg"].reason == ""
    assert len(listed) == 30


def test_the_split_of_the_others_stays(load):
    data, whole = load("bars/0\n"), load("x\n")
    assert names(whole, "validation") - names(data, "validation") == {"bars/0"}
    assert names(data, "train") == names(whole, "train")


def test_others_take_their_places_under_train_per_class(load):
    assert names(load("bars/2\n", train_per_class=2), "train") == {
        "bars/3", "bars/4", "cross/2", "cross/3", "ring/2", "ring/3",
    }  # fmt: skip


def test_the_tutorials_validation_is_of_test_and_stays(load):
    data, whole = (load(text, protocol="tutorial", batch_size=1) for text in ("bars/6\nbars/2\n", "x\n"))
    assert names(data, "validation") == names(whole, "validation")
    assert names(whole, "train") - names(data, "train") == {"bars/2"}


REFUSED = {
    "": r"data.exclude=.*/list names no photograph: needs a name in each line, or CSV with a column file$",
    "file,class\n": "names no photograph",
    "".join(f"ring/{k}\n" for k in range(6)): r"names all 4 train images of class 'ring': needs to leave at least one$",
    "".join(f"{c}/{k}\n" for c in ("bars", "cross", "ring") for k in range(2)): "names all 6 validation images: needs",
    b"\xff\xfea": r"data.exclude=.*/list cannot be read \(.*\): needs a list of photographs, text or CSV$",
}


@pytest.mark.parametrize("content", REFUSED)
def test_a_list_that_cannot_be_used_is_refused(load, content):
    with pytest.raises(UserError, match=REFUSED[content]):
        load(content)


def test_a_list_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"data.exclude=.*gone.csv cannot be read \(No such file or directory\): needs"):
        exclude.read(str(tmp_path / "gone.csv"))
    with pytest.raises(UserError, match="not a regular file"):
        exclude.read(str(tmp_path))


def of_arrays(ids, num_classes=2) -> Prepared:
    labels = np.arange(len(ids)) % num_classes
    return Prepared(("a", "b"), np.zeros((len(ids), 4, 4, 3), np.uint8), labels, ids)


def test_a_list_that_is_not_there_is_told_before_photographs_are_prepared(load, tmp_path):
    with pytest.raises(UserError, match=r"gone.csv cannot be read"):
        load("bars/0", exclude=str(tmp_path / "gone.csv"), cache_dir=str(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


def test_a_name_that_fits_two_photographs_is_refused():
    found = {"train": of_arrays(["one/a/1.jpg", "two/a/1.jpg"]), "test": of_arrays(["three/a/1.jpg"])}
    assert exclude.find("x", ["two/a/1.jpg"], found).rows["train"].tolist() == [1]
    with pytest.raises(UserError, match="'a/1', which may be 'one/a/1.jpg' or 'two/a/1.jpg': needs its path"):
        exclude.find("x", ["a/1"], found)


def test_of_two_photographs_of_one_name_the_one_that_trains_is_meant():
    found = exclude.find("x", ["a/1.jpg", "a/2.jpg"], {k: of_arrays(["a/1.jpg"]) for k in ("train", "test")})
    assert (found.rows["train"].tolist(), found.tested, found.unknown) == ([0], (), ("a/2.jpg",))


def test_an_own_validation_part_is_searched_too():
    own = {"train": of_arrays(["a/1", "b/1", "a/2"]), "validation": of_arrays(["a/7", "b/7"]), "test": of_arrays([])}
    found = exclude.find("x", ["b/7", "a/2"], own)
    parts = Indices(np.arange(3), np.arange(2), np.arange(0), False, True)
    left = exclude.apply(found, parts, own["train"])
    assert (left.train.tolist(), left.validation.tolist()) == ([0, 1], [0])


def test_a_run_knows_what_its_list_named_whatever_the_list_is_called(load, tmp_path):
    data = load("ring/0\nbars/3\n")
    data_record.write(tmp_path, data)
    recorded = data_record.read(tmp_path)
    assert recorded is not None
    assert [one.id for one in recorded.excluded] == ["bars/3", "ring/0"]
    assert recorded.is_whole
    same = data_record.as_recorded(recorded, load("images/bars/3.jpg\nimages/ring/0.jpg\n"))
    assert same is not None
    assert len(same.parts.train) == 11
    for content, words in {
        "ring/0\n": "data.exclude leaves out 1 photographs and left out 2",
        "ring/0\nbars/4\n": "data.exclude leaves out 2 other photographs",
        "unknown\n": "data.exclude leaves out 0 photographs and left out 2",
    }.items():
        other = load(content)
        assert data_record.as_recorded(recorded, other) is None
        assert data_changes.describe(recorded, other) == words


def test_a_run_without_a_list_is_recorded_as_before(load, tmp_path, root):
    config = demo.get_config()
    config.data.update(dir=str(root / "food-101"), num_classes=0, cache_dir=str(root / "cache"), image_size=16)
    config.data.update(validation_fraction=0.4, batch_size=2)
    data_record.write(tmp_path, sets.load_data(config))
    assert '"excluded"' not in (tmp_path / "data.json").read_text()
    recorded = data_record.read(tmp_path)
    assert recorded is not None
    assert data_record.as_recorded(recorded, load("ring/0\n")) is None
