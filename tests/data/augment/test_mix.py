import numpy as np
import pytest
from helpers import random_pictures

from foodjax.config.photo_keys import Augment
from foodjax.data.augment import mix
from foodjax.data.augment.apply import apply_params, mixed_labels
from foodjax.data.augment.sample import sample_params


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
    images, sampled = random_pictures(100), sample_params(Augment(mixup=1.0, mixup_alpha=1.0), 0, 0, 100, 16)
    share = sampled.mix.share[:, None, None, None]
    assert sampled.mix.share.min() >= 0.5
    assert sampled.mix.share.min() < 0.55
    expected = share * images + (1 - share) * images[sampled.mix.partner]
    np.testing.assert_allclose(apply_params(images, sampled), expected, atol=0.51)


def test_boxes_are_cut_at_the_edges():
    boxes = mix.sample_boxes(np.random.default_rng(0), np.full(5000, 0.4))
    assert boxes.min() == 0
    assert boxes.max() == 1
    assert np.all(boxes[:, 1] - boxes[:, 0] <= 0.4 + 1e-6)
    assert (boxes[:, 1] - boxes[:, 0]).min() < 0.21
