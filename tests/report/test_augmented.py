import numpy as np
import pytest
from helpers import inspect_page

from foodjax.config.check import checked
from foodjax.data.batches import train_batch
from foodjax.data.sets import load_data
from foodjax.report import augmented as lib


@pytest.fixture
def data_of(tiny_config):
    """Returns a function that changes augment and train, and returns config and data."""

    def change(train=(), **augment):
        tiny_config.augment.update(augment)
        tiny_config.train.update(dict(train))
        tiny_config.model.input_size = 12
        config = checked(tiny_config)
        return config, load_data(config)

    return change


def test_the_page_shows_the_batches_of_training(data_of):
    config, data = data_of(dict(epochs=5, progressive_resizing=((0, 8), (2, 8), (3, 14), (9, 10))), cutmix=0.7)
    found = lib.first_batches(config, data)
    assert [(batch.epoch, batch.size, batch.total) for batch in found] == [(1, 8, 16), (4, 14, 16)]
    for batch, step in zip(found, (0, 3 * (110 // 16)), strict=True):
        expected = train_batch(data.train, data.parts.train, config, step)
        np.testing.assert_array_equal(batch.images, expected["image"][:10])
        names = data.train.class_names
        for caption, label, other, share in zip(
            batch.captions, expected["label"], expected["other"], expected["share"], strict=False
        ):
            if share > 0.995:
                assert caption == names[label]
            elif label != other:
                assert caption == f"{share:.0%} {names[label]}, {1 - share:.0%} {names[other]}"
            else:
                assert caption == f"two of {names[label]}"
        assert any(", " in caption for caption in batch.captions)


def test_without_mixing_a_caption_is_the_label(data_of):
    config, data = data_of()
    (batch,) = lib.first_batches(config, data)
    assert batch.size == 12
    assert set(batch.captions) <= set(data.train.class_names)


def test_cutmix_puts_others_into_a_photograph(data_of):
    config, _ = data_of(cutmix=1.0, brightness=(1.0, 1.0))
    photo, others = np.full((16, 16, 3), 200, np.uint8), np.full((3, 16, 16, 3), 10, np.uint8)
    found = lib.augmented(config, photo, others)
    assert found.images.shape == (12, 12, 12, 3)
    assert set(np.unique(found.images)) == {10, 200}
    assert found.mixed
    for image, share in zip(found.images, found.shares, strict=True):
        kept = (image[..., 0] == 200).mean()
        said = float(share.split("%")[0]) / 100 if share else 1.0
        assert kept == pytest.approx(said, abs=0.1)  # a box ends between pixels
    assert any(found.shares)
    with pytest.raises(ValueError, match="16, 3"):
        lib.augmented(config, photo, others[:, :8, :8])


def test_a_photograph_alone_is_not_mixed(data_of):
    config, _ = data_of()
    found = lib.augmented(config, np.full((16, 16, 3), 200, np.uint8), np.zeros((1, 16, 16, 3), np.uint8))
    assert not found.mixed
    assert found.shares == [""] * 12


def test_a_probe_takes_no_steps(tiny_config):
    tiny_config.train.solver = "probe"
    tiny_config.model.update(backbone="resnet18", blocks=(), init_from="weights.safetensors")
    tiny_config.model.head.update(hidden=(), pooling="average")
    config = checked(tiny_config)
    data = load_data(config)
    assert lib.first_batches(config, data) == []
    page = inspect_page(config, data)
    assert "The features of a probe are computed of 16 x 16 pixels" in page
    assert "A training step gets" not in page
