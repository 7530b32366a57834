import dataclasses

import numpy as np
import pytest

from experiments import food10
from foodjax.config.check import checked
from foodjax.config.photo_keys import Augment
from foodjax.data.augment.sample import sample_params


def test_draws_stay_in_range_and_fill_it():
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


def test_what_is_added_leaves_the_tutorials_draws_alone():
    tutorial = sample_params(checked(food10.get_config()).augment, 3, 4, 50, 128)
    more = dict(crop_area=(0.5, 1.0), contrast=0.3, cutout=0.2, mixup=0.4, cutmix=0.4)
    everything = dataclasses.replace(checked(food10.get_config()).augment, **more)
    for ours, theirs in zip(sample_params(everything, 3, 4, 50, 128)[:6], tutorial[:6], strict=True):
        np.testing.assert_array_equal(ours, theirs)


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
