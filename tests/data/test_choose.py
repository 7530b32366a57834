"""Values that are chosen from the photographs."""

import io

import numpy as np
import pytest
from PIL import Image

from experiments import photos
from foodjax.config.check import checked, replace
from foodjax.data import choose
from foodjax.data.sources.base import Example, Listing, Source
from foodjax.data.split import keras_split


class Fake(Source):
    """A source of pictures of one size in classes of given sizes, which counts what it is asked."""

    name = "fake"

    def __init__(self, counts, size=(100, 80), validation=0):
        self.asked, self.size = [], size
        self._train = [Example(f"{k}/{i}", f"c{k:03}", i) for k, n in enumerate(counts) for i in range(n)]
        names = tuple(f"c{k:03}" for k in range(len(counts)))
        own = [Example(f"{name}/{i}", name, i) for name in names for i in range(validation)]
        self._listing = Listing(names, self._train, own, [Example(f"{n}/t", n, 0) for n in names])

    def listing(self):
        self.asked.append("listing")
        return self._listing

    def read(self, examples):
        self.asked.append("read")
        file = io.BytesIO()
        Image.new("L", self.size).save(file, "PNG")
        return ((example, file.getvalue() if example.location else b"") for example in examples)


def chosen(source, devices=1, **changes):
    changes = {f"data.{name}": value for name, value in changes.items()}
    data = choose.choose(replace(checked(photos.get_config()), changes), source, devices).data
    return data.validation_fraction, data.image_size, data.batch_size


@pytest.mark.parametrize("counts", [[8] * 3, [2, 2], [3, 4, 7], [1000] * 300, [7], [5, 6, 7], [2, 2, 1]])
def test_the_share_gives_each_class_of_two_or_more_an_image(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    train, validation = keras_split([f"{i:05}" for i in range(len(labels))], labels, choose.validation_share(counts))
    for k, count in enumerate(counts):
        assert (labels[validation] == k).sum() >= min(1, count - 1)
        assert (labels[train] == k).sum() >= 1


def test_a_tiny_class_does_not_cost_the_others_half_of_their_images():
    assert choose.validation_share([1000, 1000, 2]) == 0.334
    assert choose.validation_share([1000, 1000, 7]) == 0.15


@pytest.mark.parametrize("total", [1, 2, 3, 7, 8, 21, 159, 160, 161, 680, 2560, 3190, 10**6])
def test_a_batch_is_no_larger_than_the_train_part_and_an_epoch_has_many_steps(total):
    size = choose.batch_size(total)
    assert 1 <= size <= min(128, total)
    assert size == 128 or size * 2 > min(total, max(4, total / 20))
    assert total // size >= 20 or size <= 4


@pytest.mark.parametrize("devices", [1, 2, 3, 8])
def test_a_batch_divides_among_the_devices(devices):
    assert all(choose.batch_size(total, devices) % devices == 0 for total in (8, 30, 500, 10**5))


def test_a_side_enlarges_no_photographs_and_fits_the_time():
    assert choose.picture_side([28] * 5, 100) == 32
    assert choose.picture_side([50, 60, 4000], 100) == 48
    assert choose.picture_side([480], 100) == 64
    assert choose.picture_side([], 100) == 64
    assert choose.picture_side([480], 240_000 * 30) == 32
    sides = [choose.picture_side([480], 30 * n) for n in (10, 1000, 3000, 10_000, 100_000)]
    assert sides == sorted(sides, reverse=True)
    assert set(sides) <= set(choose.SIDES)


def test_all_three_are_told_in_a_line_each(capsys):
    source = Fake([8, 8, 8])
    assert chosen(source) == (0.15, 64, 4)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("=")[0] for line in lines] == [
        "chosen: data.validation_fraction", "chosen: data.image_size", "chosen: data.batch_size",
    ]  # fmt: skip
    assert "for 21 images to train on" in lines[1]
    assert "short side of 80" in lines[1]
    assert source.asked == ["listing", "read"]


def test_values_that_are_given_stay_and_nothing_is_asked_for_them(capsys):
    source = Fake([8, 8])
    assert chosen(source, validation_fraction=0.3, image_size=20, batch_size=3) == (0.3, 20, 3)
    assert not source.asked
    assert not capsys.readouterr().out
    assert chosen(source, image_size=20) == (0.15, 20, 4)
    assert source.asked == ["listing"]  # no photograph is read where the side is given
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_own_validation_images_and_few_of_each_class_count():
    assert chosen(Fake([200] * 4, validation=2), train_per_class=0)[2] == 32  # 800 to train on
    assert chosen(Fake([200] * 4), train_per_class=2)[2] == 4


def test_pictures_that_cannot_be_read_choose_nothing(capsys):
    assert chosen(Fake([1, 1]))[1] == 64  # the only two files are empty: preparing will name them
    assert "unknown" in capsys.readouterr().out


def test_a_run_keeps_its_values():
    config = checked(photos.get_config())
    stored = choose.choose(config, Fake([8, 8, 8]))
    assert choose.keep(config, stored) == stored
    assert choose.keep(replace(config, {"data.batch_size": 3}), stored).data.batch_size == 3
    assert choose.open_keys(config) == choose.KEYS
    assert not choose.open_keys(stored)
