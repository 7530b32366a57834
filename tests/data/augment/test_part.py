"""Parts of a batch, as several processes make them, against the whole batch."""

import numpy as np
import pytest

from foodjax.config.check import checked
from foodjax.data import batches
from foodjax.data.augment.part import part_of
from foodjax.data.augment.sample import sample_params
from foodjax.data.prepared import Prepared


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 10
    return Prepared(tuple("abcdefghij"), rng.integers(0, 256, (40, 16, 16, 3), np.uint8), labels, [""] * 40)


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"blur": 0.05, "cutout": 0.3, "hue": 0.1}, {"cutmix": 0.5, "mixup": 0.4}])
def test_the_parts_of_a_batch_are_the_batch(tiny_config, data, change):
    tiny_config.augment.update(change)
    config = checked(tiny_config)
    parts, rows = [slice(0, 4), slice(4, 5), slice(5, 16)], np.arange(40)
    whole = batches.train_batch(data, rows, config, 3)
    made = [batches.train_batch(data, rows, config, 3, part) for part in parts]
    assert whole.keys() == made[0].keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in made]), values, err_msg=name)


def test_a_part_reads_its_own_pictures_and_those_it_is_mixed_with(tiny_config):
    tiny_config.augment.update(cutmix=0.5)
    sampled = sample_params(checked(tiny_config).augment, 0, 0, 16, 16)
    own = np.arange(4, 8)
    needed, of_part = part_of(sampled, own)
    mixed = [row for row in own if sampled.mix.keep[row] < 1]
    assert 0 < len(mixed) < 4
    assert set(needed) == set(own) | {sampled.mix.partner[row] for row in mixed}
    assert list(needed[:4]) == list(own)
    np.testing.assert_array_equal(needed[of_part.mix.partner[:4]][np.isin(own, mixed)], sampled.mix.partner[mixed])


@pytest.mark.slow
def test_the_parts_of_an_evaluation_are_its_batches(tiny_config, data):
    config, rows = checked(tiny_config), np.arange(3, 24)  # 21 of batches of 8: the last has 5
    whole = list(batches.eval_batches(data, rows, 8, config.augment, 1))
    parts = [list(batches.eval_batches(data, rows, 8, config.augment, 1, part)) for part in (slice(0, 6), slice(6, 8))]
    assert len(whole) == 3
    for batch, *made in zip(whole, *parts, strict=True):
        for name in ("image", "label", "mask"):
            np.testing.assert_array_equal(np.concatenate([part[name] for part in made]), batch[name], err_msg=name)
        np.testing.assert_array_equal(made[1]["row"], batch["row"])
