import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import food10
from foodjax.config.check import checked
from foodjax.config.keys import Augment
from foodjax.data.augment import colour, mix
from foodjax.data.augment.apply import apply_params, mixed_labels, output_size, view
from foodjax.data.augment.sample import sample_params


def pictures(number=200, size=16):
    return np.random.default_rng(0).integers(0, 256, (number, size, size, 3), dtype=np.uint8)


def test_nothing_drawn_is_nothing_done():
    sampled = sample_params(Augment(), 0, 0, 5, 16)
    assert all(x is None for x in sampled[6:])
    np.testing.assert_array_equal(apply_params(pictures(5), sampled), pictures(5))


def test_what_is_added_leaves_the_tutorials_draws_alone():
    tutorial = sample_params(checked(food10.get_config()).augment, 3, 4, 50, 128)
    more = dict(crop_area=(0.5, 1.0), contrast=0.3, cutout=0.2, mixup=0.4, cutmix=0.4)
    everything = dataclasses.replace(checked(food10.get_config()).augment, **more)
    for ours, theirs in zip(sample_params(everything, 3, 4, 50, 128)[:6], tutorial[:6], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_crop_of_the_same_size_is_a_slice():
    area = (12 / 16) ** 2
    images, sampled = pictures(), sample_params(Augment(crop_area=(area, area)), 0, 0, 200, 16)
    whole = np.round(sampled.crop[:, :2]) + 2  # the crop's first row and column; rounded to whole pixels
    sampled = sampled._replace(crop=np.concatenate([whole - 2, sampled.crop[:, 2:]], axis=1).astype(np.float32))
    cropped = apply_params(images, sampled, 12)
    assert cropped.shape == (200, 12, 12, 3)
    assert set(whole[:, 0]) == set(whole[:, 1]) == {0, 1, 2, 3, 4}
    for image, crop, (row, column) in zip(images, cropped, whole.astype(int), strict=True):
        expected = image[row : row + 12, column : column + 12]
        assert np.abs(crop.astype(int) - expected).max() <= 1


def test_crops_have_the_area_and_aspect_asked_for_and_stay_inside():
    crop = sample_params(Augment(crop_area=(0.3, 0.8), crop_aspect=1.2), 0, 0, 20_000, 100).crop
    row, column, height, width = crop.T
    assert (height * width).min() == pytest.approx(0.3, abs=0.01)
    assert (height * width).max() <= 0.8
    assert (width / height).max() == pytest.approx(1.2, abs=0.01)
    assert (height / width).max() <= 1.2 + 1e-5
    for middle, side in ((row, height), (column, width)):
        assert (50 + middle - 50 * side).min() >= -1e-3
        assert (50 + middle + 50 * side).max() <= 100 + 1e-3
        assert np.abs(middle).max() > 15


def test_a_picture_can_be_made_smaller_and_larger():
    gradient = np.broadcast_to(np.arange(0, 160, 10, dtype=np.uint8)[None, :, None, None], (1, 16, 16, 3))
    sampled = sample_params(Augment(), 0, 0, 1, 16)
    np.testing.assert_allclose(apply_params(gradient, sampled, 8)[0, :, 3, 1], np.arange(5, 160, 20), atol=1)
    larger = apply_params(gradient, sampled, 32)[0, :, 3, 1].astype(int)
    assert larger[0] == 0
    assert larger[-1] == 150
    assert np.all(np.diff(larger) >= 0)


def coloured(images, maps):
    return colour.apply(jnp.asarray(images), jnp.asarray(maps))


@pytest.mark.parametrize(
    "change,expected",
    [
        (colour.brightness, [[100, 150, 50]]),
        (colour.contrast, [[36.25, 86.25, -13.75]]),
        (colour.saturation, [[76.425, 126.425, 26.425]]),
    ],
)
def test_colour_changes(change, expected):
    image = np.array([100, 150, 50], np.float32).reshape(1, 1, 1, 3)
    factor = {colour.brightness: 1.0, colour.contrast: 1.0, colour.saturation: 1.0}[change]
    np.testing.assert_allclose(coloured(image, change(np.array([factor]))), image, atol=1e-4)
    luma = 0.299 * 100 + 0.587 * 150 + 0.114 * 50
    by_half = {
        colour.brightness: image / 2,
        colour.contrast: (image + 127.5) / 2,
        colour.saturation: (image + luma) / 2,
    }[change]
    np.testing.assert_allclose(coloured(image, change(np.array([0.5]))), by_half, atol=1e-3)


def test_hue_turns_red_into_green():
    red, grey = np.array([[[[255.0, 0, 0]]]]), np.full((1, 1, 1, 3), 90.0)
    third = colour.hue(np.array([2 * np.pi / 3]))
    np.testing.assert_allclose(coloured(red, third)[0, 0, 0], [0, 255, 0], atol=1e-3)
    np.testing.assert_allclose(coloured(grey, third), grey, atol=1e-3)


def test_composed_colours_are_one_after_the_other():
    image = pictures(2).astype(np.float32)
    first, second = colour.contrast(np.array([0.7, 1.2])), colour.saturation(np.array([1.4, 0.2]))
    np.testing.assert_allclose(
        coloured(image, colour.compose(second, first)), coloured(coloured(image, first), second), atol=1e-2
    )


def test_cutout_greys_a_square_of_the_size_asked_for():
    images = np.full((500, 20, 20, 3), 7, np.uint8)
    cut = apply_params(images, sample_params(Augment(cutout=0.5), 0, 0, 500, 20))
    assert set(np.unique(cut)) == {7, 128}
    area = (cut[..., 0] == 128).sum(axis=(1, 2))
    assert area.max() in (100, 110, 121, 90, 81)
    assert area.min() < 60  # those at the edge are cut


def test_cutmix_pastes_the_partners_box_and_shares_the_label_by_area():
    size, number = 40, 300
    images = np.broadcast_to(np.arange(number, dtype=np.int32)[:, None, None, None] % 256, (number, size, size, 3))
    sampled = sample_params(Augment(cutmix=0.7), 0, 0, number, size)
    mixed = apply_params(images.astype(np.uint8), sampled)
    labels = mixed_labels(np.arange(number), sampled.mix)
    assert (sampled.mix.keep == 0).mean() == pytest.approx(0.7, abs=0.08)
    np.testing.assert_array_equal(labels["other"], sampled.mix.partner)
    for i in range(number):
        own, other = (mixed[i] == i % 256).mean(), (mixed[i] == labels["other"][i] % 256).mean()
        if labels["other"][i] % 256 != i % 256:
            assert own + other == pytest.approx(1)
            assert own == pytest.approx(labels["share"][i], abs=0.06)


def test_mixup_blends_whole_pictures_and_keeps_the_larger_part():
    images, sampled = pictures(100), sample_params(Augment(mixup=1.0, mixup_alpha=1.0), 0, 0, 100, 16)
    share = sampled.mix.share[:, None, None, None]
    assert sampled.mix.share.min() >= 0.5
    assert sampled.mix.share.min() < 0.55
    expected = share * images + (1 - share) * images[sampled.mix.partner]
    np.testing.assert_allclose(apply_params(images, sampled), expected, atol=0.51)


def test_random_ops_move_and_colour_by_as_much_as_asked():
    weak, strong = (
        sample_params(Augment(randaugment_ops=2, randaugment_magnitude=s), 0, 0, 4000, 100) for s in (0.1, 1.0)
    )
    assert np.abs(strong.angle).max() == pytest.approx(np.deg2rad(60), rel=1e-4)  # both operations the rotation
    assert (strong.angle != 0).mean() == pytest.approx(1 - (8 / 9) ** 2, abs=0.03)
    assert np.abs(weak.shift_rows).max() == pytest.approx(9, rel=1e-4)
    assert np.abs(strong.shear).max() == pytest.approx(0.6, rel=1e-4)
    assert np.abs(strong.colour[:, :, :3].sum(axis=2)).max() == pytest.approx(1.9**2, rel=1e-4)
    assert not np.any(sample_params(Augment(randaugment_ops=2, randaugment_magnitude=0.0), 0, 0, 50, 100).angle)


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


def test_evaluation_sees_the_middle():
    images = jnp.asarray(pictures(3, 18))
    assert view(images, 18, 1.0) is images
    np.testing.assert_allclose(view(images, 12, (12 / 18) ** 2), images[:, 3:15, 3:15], atol=1e-3)
    assert np.asarray(view(images, 9, 1.0)).mean() == pytest.approx(images.mean(), abs=0.5)


def test_boxes_are_cut_at_the_edges():
    boxes = mix.sample_boxes(np.random.default_rng(0), np.full(5000, 0.4))
    assert boxes.min() == 0
    assert boxes.max() == 1
    assert np.all(boxes[:, 1] - boxes[:, 0] <= 0.4 + 1e-6)
    assert (boxes[:, 1] - boxes[:, 0]).min() < 0.21
