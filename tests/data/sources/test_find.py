import numpy as np
import pytest
from helpers import archive_of, class_folders_of, prepared

from foodjax.system.errors import UserError


def test_folder_archive_and_class_folders_give_the_same_pictures(food_config, food_root, tmp_path):
    expected = {part: prepared(food_config, part) for part in ("train", "test")}
    assert [len(expected[p].ids) for p in ("train", "test")] == [18, 12]
    assert expected["train"].class_names == ("bars", "cross", "ring")
    for path in (archive_of(food_root, tmp_path / "f.tar.gz"), class_folders_of(food_root, tmp_path / "own")):
        food_config.data.dir = str(path)
        for part, theirs in expected.items():
            ours = prepared(food_config, part)
            assert [i.removesuffix(".jpg") for i in ours.ids] == theirs.ids
            np.testing.assert_array_equal(ours.images, theirs.images)
            np.testing.assert_array_equal(ours.labels, theirs.labels)


def test_classes_are_selected_by_count_or_name(food_config):
    food_config.data.num_classes = 2
    assert prepared(food_config).class_names == ("bars", "cross")
    food_config.data.class_names = ("ring", "bars")
    data = prepared(food_config)
    assert data.class_names == ("ring", "bars")
    assert {i.split("/")[0]: label for i, label in zip(data.ids, data.labels, strict=True)} == {
        "ring": 0,
        "bars": 1,
    }
    food_config.data.class_names = ("ring", "bras")
    with pytest.raises(UserError, match="did you mean 'bars'"):
        prepared(food_config)


def test_a_path_that_is_nothing_is_refused(food_config, tmp_path):
    food_config.data.dir = str(tmp_path / "nowhere")
    with pytest.raises(UserError, match="does not exist: needs food-101.tar.gz"):
        prepared(food_config)
