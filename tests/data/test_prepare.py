import io
import json
import tarfile

import numpy as np
import pytest
from helpers import SHARED, make_food_root
from PIL import Image

from foodjax.config.check import checked
from foodjax.data import batches, host_batches, prepare
from foodjax.data.augment.apply import apply_params, projective_rows
from foodjax.data.augment.sample import sample_params
from foodjax.data.decode import decode
from foodjax.data.sources import find
from foodjax.system.errors import UserError


def untracked(title, total, items):
    return items


def prepared(config, part="train", **kwargs):
    config = checked(config)
    return prepare.prepare(find.create_source(config), part, config, untracked, **kwargs)


@pytest.fixture
def food_config(tiny_config, food_root):
    tiny_config.data.dir = str(food_root)
    tiny_config.data.num_classes = 0
    return tiny_config


def archive_of(root, path):
    with tarfile.open(path, "w:gz") as tar:
        tar.add(root, arcname="food-101")
    return path


def class_folders_of(root, target):
    for part in ("train", "test"):
        for name, ids in json.loads((root / "meta" / f"{part}.json").read_text()).items():
            folder = target / part / name
            folder.mkdir(parents=True)
            for i in ids:
                (folder / f"{i.split('/')[1]}.jpg").write_bytes((root / "images" / f"{i}.jpg").read_bytes())
    return target


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


def test_the_second_time_nothing_is_decoded(food_config, monkeypatch):
    first = prepared(food_config)
    monkeypatch.setattr(prepare, "decode", None)
    np.testing.assert_array_equal(prepared(food_config).images, first.images)


def test_a_changed_photograph_is_noticed(food_config, food_root):
    first = np.array(prepared(food_config).images)
    Image.new("RGB", (40, 30), "red").save(food_root / "images" / "bars" / "0.jpg")
    assert not np.array_equal(prepared(food_config).images, first)


def test_a_picture_that_does_not_decode_is_named_or_left_out(food_config, food_root, capsys):
    path = food_root / "images" / "cross" / "3.jpg"
    path.write_bytes(path.read_bytes()[:300])
    (food_root / "images" / "ring" / "1.jpg").unlink()
    with pytest.raises(UserError, match=r"2 of 18 train images do not decode, first cross/3"):
        prepared(food_config)
    food_config.data.on_error = "skip"
    data = prepared(food_config)
    assert len(data.ids) == 16
    assert "cross/3" not in data.ids
    assert "left out 2 images" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["train.json", "test.json"])
def test_a_missing_or_broken_meta_file_is_named(food_config, food_root, name):
    (food_root / "meta" / name).write_text('{"bars": 3}')
    with pytest.raises(UserError, match=name):
        prepared(food_config)
    (food_root / "meta" / name).unlink()
    with pytest.raises(UserError, match=f"has no meta/{name}"):
        prepared(food_config)


def test_a_truncated_archive_is_one_clear_error(food_config, food_root, tmp_path):
    path = archive_of(food_root, tmp_path / "food-101.tar.gz")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    food_config.data.dir = str(path)
    with pytest.raises(UserError, match="not a whole tar archive"):
        prepared(food_config)
    left = [p for p in (tmp_path / "cache").glob("*") if p.suffix != ".lock"]
    assert not left, "a failed preparation leaves nothing"


def test_an_empty_class_is_named(food_config, food_root, tmp_path):
    own = class_folders_of(food_root, tmp_path / "own")
    (own / "train" / "waffles").mkdir()
    food_config.data.dir = str(own)
    with pytest.raises(UserError, match="waffles has no images"):
        prepared(food_config)


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


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_mode_becomes_rgb(mode):
    buffer = io.BytesIO()
    image = Image.new("I;16", (20, 10)) if mode == "I;16" else Image.new("RGB", (20, 10), "white").convert(mode)
    image.save(buffer, "TIFF" if mode == "CMYK" else "PNG")
    assert decode(buffer.getvalue(), 8, "nearest").shape == (8, 8, 3)


def test_nearest_takes_the_pixel_under_the_centre():
    ramp = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "PNG")
    np.testing.assert_array_equal(decode(buffer.getvalue(), 2, "nearest"), ramp[1::2, 1::2])


def test_a_batch_is_a_function_of_seed_and_step(tiny_config):
    data = prepared(tiny_config)
    rows = np.arange(0, len(data.ids), 2)  # 60 rows, batch 16: 3 steps an epoch
    config = checked(tiny_config)
    whole = list(host_batches.train_batches(data, rows, config, 0, 8))
    late = list(host_batches.train_batches(data, rows, config, 5, 8))
    for ours, theirs in zip(late, whole[5:], strict=True):
        np.testing.assert_array_equal(ours["image"], theirs["image"])
        np.testing.assert_array_equal(ours["label"], theirs["label"])
    assert not np.array_equal(whole[0]["image"], whole[3]["image"])


def test_an_epoch_sees_every_example_at_most_once_and_epochs_differ():
    orders = [np.concatenate([batches.batch_rows(50, 8, 7, epoch * 6 + i) for i in range(6)]) for epoch in (0, 1)]
    for order in orders:
        assert len(set(order)) == 48
        assert order.max() < 50
    assert not np.array_equal(*orders)


def test_labels_follow_their_pictures(tiny_config):
    tiny_config.augment.update(
        rotation=0.0,
        shift_rows=0.0,
        shift_columns=0.0,
        brightness=(1.0, 1.0),
        flip_horizontal=False,
        flip_vertical=False,
    )
    data = prepared(tiny_config)
    rows = np.arange(len(data.ids))
    known = {image.tobytes(): label for image, label in zip(data.images, data.labels, strict=True)}
    for batch in host_batches.train_batches(data, rows, checked(tiny_config), 0, 7):
        for image, label in zip(batch["image"], batch["label"], strict=True):
            assert known[image.tobytes()] == label


def test_evaluation_pads_and_masks(tiny_config):
    data = prepared(tiny_config, "test")
    rows = np.arange(len(data.ids))[:47]
    padded = list(batches.eval_batches(data, rows, 20))
    assert [int(b["mask"].sum()) for b in padded] == [20, 20, 7]
    assert {b["image"].shape for b in padded} == {(20, 16, 16, 3)}
    seen = np.concatenate([b["row"] for b in padded])
    np.testing.assert_array_equal(seen[seen >= 0], rows)


def test_draws_stay_in_range_and_fill_it():
    from experiments import food10

    augment = checked(food10.get_config()).augment
    sampled = sample_params(augment, 0, 3, 20_000, 128)
    assert np.abs(sampled.angle).max() <= np.pi / 2
    assert np.abs(sampled.angle).max() > 0.99 * np.pi / 2
    assert np.abs(sampled.shift_rows).max() <= 64
    assert np.abs(sampled.shift_rows).max() > 63
    assert not sampled.shift_columns.any()
    assert 0.1 <= sampled.brightness.min() < 0.11
    assert 0.69 < sampled.brightness.max() <= 0.7
    assert sampled.flip_horizontal.mean() == pytest.approx(0.5, abs=0.02)
    assert sampled.flip_vertical.mean() == pytest.approx(0.5, abs=0.02)
    assert np.corrcoef(sampled.flip_horizontal, sampled.flip_vertical)[0, 1] == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize(
    "change,expected",
    [
        ({"flip_horizontal": 1.0}, lambda x: x[:, ::-1]),
        ({"flip_vertical": 1.0}, lambda x: x[::-1]),
        ({"brightness": 0.5}, lambda x: x // 2),
        ({"angle": np.pi / 2}, lambda x: np.rot90(x, 1)),
        ({"shift_rows": 2.0}, lambda x: x[np.minimum(np.arange(9) + 2, 8)]),
        ({"shift_columns": 3.0}, lambda x: x[:, np.minimum(np.arange(9) + 3, 8)]),
    ],
)
def test_each_augmentation_alone(change, expected):
    from foodjax.data.augment.sample import AugmentParams

    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    neutral = dict.fromkeys(AugmentParams._fields[:6], 0.0) | {"brightness": 1.0} | change
    sampled = AugmentParams(*(np.array([neutral[name]], np.float32) for name in neutral))
    result = apply_params(image[None], sampled)[0]
    np.testing.assert_allclose(result.astype(int), expected(image).astype(int), atol=1)
    assert projective_rows(sampled, 9).shape == (1, 8)


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


def test_drawn_pictures_are_a_pure_function():
    from foodjax.data.sources import shapes

    pictures = [shapes.draw_png(name, 3, 0) for name in shapes.CLASS_NAMES]
    assert pictures == [shapes.draw_png(name, 3, 0) for name in shapes.CLASS_NAMES]
    assert len(set(pictures)) == 10


def test_food_root_fixture_is_the_official_layout(tmp_path):
    root = make_food_root(tmp_path / "x", num_train=2, num_test=1)
    assert len(list((root / "images").rglob("*.jpg"))) == 9


@pytest.mark.parametrize("size,channels", [(9, 3), (64, 3), (33, 1)])
def test_pictures_move_as_tensorflow_moves_them(tiny_config, size, channels):
    import tensorflow as tf

    images = np.random.default_rng(1).integers(0, 256, (100, size, size, channels), dtype=np.uint8)
    tiny_config.augment.update(
        rotation=90.0,
        shift_rows=0.5,
        shift_columns=0.3,
        brightness=(0.1, 1.5),
        flip_horizontal=True,
        flip_vertical=True,
    )
    sampled = sample_params(checked(tiny_config).augment, 0, 0, 100, size)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images.astype(np.float32),
        transforms=projective_rows(sampled, size),
        output_shape=[size, size],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    ).numpy()
    expected = np.minimum(np.floor(moved) * sampled.brightness[:, None, None, None], 255).astype(np.uint8)
    difference = np.abs(apply_params(images, sampled).astype(int) - expected)
    assert difference.max() <= 2  # a rounding before the truncation is a level, times the brightness
    assert (difference > 0).mean() < 1e-3
    still = apply_params(images, sampled._replace(angle=sampled.angle + np.float32(0.01)))
    assert (np.abs(still.astype(int) - expected) > 2).mean() > 0.1
