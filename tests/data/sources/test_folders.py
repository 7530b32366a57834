import pytest
from helpers import class_folders_of, prepared

from foodjax.system.errors import UserError


def test_an_empty_class_is_named(food_config, food_root, tmp_path):
    own = class_folders_of(food_root, tmp_path / "own")
    (own / "train" / "waffles").mkdir()
    food_config.data.dir = str(own)
    with pytest.raises(UserError, match="waffles has no images"):
        prepared(food_config)
