import jax.numpy as jnp
import numpy as np
import pytest
from helpers import random_pictures

from foodjax.config.check import checked
from foodjax.config.photo_keys import Augment
from foodjax.data.augment.apply import apply_params, output_size, projective_rows, view
from foodjax.data.augment.sample import sample_params


def test_nothing_drawn_is_nothing_done():
    sampled = sample_params(Augment(), 0, 0, 5, 16)
    assert all(x is None for x in sampled[6:])
    np.testing.assert_array_equal(apply_params(random_pictures(5), sampled), random_pictures(5))


def test_a_crop_of_the_same_size_is_a_slice():
    area = (12 / 16) ** 2
    images, sampled = random_pictures(), sample_params(Augment(crop_area=(area, area)), 0, 0, 200, 16)
    whole = np.round(sampled.crop[:, :2]) + 2  # the crop's first row and column; rounded to whole pixels
    sampled = sampled._replace(crop=np.concatenate([whole - 2, sampled.crop[:, 2:]], axis=1).astype(np.float32))
    cropped = apply_params(images, sampled, 12)
    assert cropped.shape == (200, 12, 12, 3)
    assert set(whole[:, 0]) == set(whole[:, 1]) == {0, 1, 2, 3, 4}
    for image, crop, (row, column) in zip(images, cropped, whole.astype(int), strict=True):
        expected = image[row : row + 12, column : column + 12]
        assert np.abs(crop.astype(int) - expected).max() <= 1


def test_a_picture_can_be_made_smaller_and_larger():
    gradient = np.broadcast_to(np.arange(0, 160, 10, dtype=np.uint8)[None, :, None, None], (1, 16, 16, 3))
    sampled = sample_params(Augment(), 0, 0, 1, 16)
    np.testing.assert_allclose(apply_params(gradient, sampled, 8)[0, :, 3, 1], np.arange(5, 160, 20), atol=1)
    larger = apply_params(gradient, sampled, 32)[0, :, 3, 1].astype(int)
    assert larger[0] == 0
    assert larger[-1] == 150
    assert np.all(np.diff(larger) >= 0)


def test_a_shear_slants_columns():
    image = np.zeros((1, 9, 9, 3), np.uint8)
    image[:, :, 4] = 200
    sampled = sample_params(Augment(), 0, 0, 1, 9)._replace(shear=np.array([[1.0, 0.0]], np.float32))
    np.testing.assert_array_equal(apply_params(image, sampled)[0, :, :, 0], 200 * np.eye(9, dtype=np.uint8)[::-1])


def test_sizes_follow_the_epoch(tiny_config):
    tiny_config.train.progressive_resizing = ((0, 8), (2, 12))
    assert [output_size(checked(tiny_config), step, 5) for step in (0, 9, 10, 500)] == [8, 8, 12, 12]
    tiny_config.train.progressive_resizing = ()
    tiny_config.model.input_size = 11
    assert output_size(checked(tiny_config), 3, 5) == 11


@pytest.mark.slow
def test_evaluation_sees_the_middle():
    images = jnp.asarray(random_pictures(3, 18))
    assert view(images, 18, 1.0) is images
    np.testing.assert_allclose(view(images, 12, (12 / 18) ** 2), images[:, 3:15, 3:15], atol=1e-3)
    assert np.asarray(view(images, 9, 1.0)).mean() == pytest.approx(images.mean(), abs=0.5)


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
