import numpy as np
import pytest
from helpers import SHARED, prepared
from PIL import Image

from foodjax.data import shares
from foodjax.system.errors import UserError


def test_the_second_time_nothing_is_decoded(food_config, monkeypatch):
    first = prepared(food_config)
    monkeypatch.setattr(shares, "decode_as", None)
    np.testing.assert_array_equal(prepared(food_config).images, first.images)


def test_a_changed_photograph_is_noticed(food_config, food_root):
    first = np.array(prepared(food_config).images)
    Image.new("RGB", (40, 30), "red").save(food_root / "images" / "bars" / "0.jpg")
    assert not np.array_equal(prepared(food_config).images, first)


def test_a_picture_that_does_not_decode_is_named_or_left_out(food_config, food_root):
    path = food_root / "images" / "cross" / "3.jpg"
    path.write_bytes(path.read_bytes()[:300])
    (food_root / "images" / "ring" / "1.jpg").unlink()
    line = r"2 of 18 train images do not decode: images/cross/3.jpg \(.+\), images/ring/1.jpg \(missing or empty\):"
    with pytest.raises(UserError, match=line):
        prepared(food_config)
    food_config.data.on_error = "skip"
    for _ in range(2):
        data = prepared(food_config)
        assert len(data.ids) == 16
        assert "cross/3" not in data.ids
        assert [(row.class_name, row.file) for row in data.found.left_out] == [
            ("cross", "images/cross/3.jpg"),
            ("ring", "images/ring/1.jpg"),
        ]
        assert data.found.broken_sizes == {"images/cross/3.jpg": 300, "images/ring/1.jpg": 0}


def test_real_photographs_prepare_to_the_tutorials_counts(food_photos, tmp_path):
    from experiments import food10

    config = food10.get_config()
    config.data.update(dir=str(SHARED / "food-101-originals"), cache_dir=str(tmp_path), image_size=32)
    data = prepared(config)
    assert data.images.shape == (100, 32, 32, 3)
    assert len(prepared(config, "test").ids) == 40
    assert data.class_names[0] == "apple_pie"
    assert data.class_names[-1] == "breakfast_burrito"
    assert 40 < data.images.mean() < 200


def test_a_lack_of_memory_is_not_a_broken_picture(food_config, monkeypatch):
    def no_memory(*args):
        raise MemoryError

    food_config.data.on_error = "skip"
    monkeypatch.setattr("foodjax.data.viewer.to_rgb", no_memory)
    with pytest.raises(UserError, match=r"not enough memory to decode images/\S+: needs more free memory"):
        prepared(food_config)
