import json

import numpy as np
import pytest
from helpers import make_food_root, prepared

from foodjax.system.errors import UserError


@pytest.mark.parametrize("name", ["train.json", "test.json"])
def test_a_missing_or_broken_meta_file_is_named(food_config, food_root, name):
    (food_root / "meta" / name).write_text('{"bars": 3}')
    with pytest.raises(UserError, match=name):
        prepared(food_config)
    (food_root / "meta" / name).unlink()
    with pytest.raises(UserError, match=f"has no meta/{name}"):
        prepared(food_config)


def test_food_root_fixture_is_the_official_layout(tmp_path):
    root = make_food_root(tmp_path / "x", num_train=2, num_test=1)
    assert len(list((root / "images").rglob("*.jpg"))) == 9


def test_the_lists_in_text_are_those_in_json(food_config, food_root):
    """A copy may have train.txt and test.txt alone, as the tutorial reads them."""
    before = {part: prepared(food_config, part) for part in ("train", "test")}
    for part in before:
        path = food_root / "meta" / f"{part}.json"
        ids = [i for of_class in json.loads(path.read_text()).values() for i in of_class]
        path.with_suffix(".txt").write_text("\n".join(ids) + "\n")
        path.unlink()
        now = prepared(food_config, part)
        assert now.ids == before[part].ids
        np.testing.assert_array_equal(now.images, before[part].images)
    (food_root / "meta" / "test.txt").write_text("ring\n")
    with pytest.raises(UserError, match=r"meta/test\.txt is not a list of Food-101 .*: needs lines of class/name"):
        prepared(food_config)
