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
