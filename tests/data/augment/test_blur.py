"""The blur against scipy's, alone and inside an augmented batch, on the host and on the device."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import one_device_mesh
from scipy.ndimage import gaussian_filter

from experiments import food10
from foodjax.config.check import checked
from foodjax.config.photo_keys import Augment
from foodjax.data.augment.apply import apply_params
from foodjax.data.augment.blur import blur
from foodjax.data.augment.sample import sample_params
from foodjax.data.device_batches import make_batch, put_images, sample_recipe
from foodjax.data.prepare import prepare
from foodjax.data.sources.find import create_source
from foodjax.data.tf_batches import train_batches


def pictures(side, number=6):
    return np.random.default_rng(0).integers(0, 256, (number, side, side, 3), dtype=np.uint8)


def scipy_blur(images, deviation):
    pairs = zip(images.astype(float), deviation * images.shape[1], strict=True)
    return np.stack([gaussian_filter(x, (s, s, 0), mode="nearest", truncate=4) for x, s in pairs])


@pytest.mark.slow
@pytest.mark.parametrize("side", [1, 2, 7, 48])
def test_it_is_scipys_gaussian_filter(side):
    images, deviation = pictures(side), np.array([0, 1e-4, 0.013, 0.05, 0.0999, 0.1], np.float32)
    ours = np.asarray(blur(jnp.asarray(images, jnp.float32), jnp.asarray(deviation)))
    np.testing.assert_allclose(ours, scipy_blur(images, deviation), atol=0.01)
    np.testing.assert_array_equal(ours[0], images[0])


def test_it_stands_between_the_affine_map_and_brightness():
    augment = Augment(blur=0.1, brightness=(0.5, 1.5), flip_horizontal=True)
    images, sampled = pictures(32, 50), sample_params(augment, 0, 0, 50, 32)
    turned = np.where(sampled.flip_horizontal[:, None, None, None] == 1, images[:, :, ::-1], images)
    expected = np.floor(scipy_blur(turned, sampled.blur)) * sampled.brightness[:, None, None, None]
    expected = np.minimum(expected, 255).astype(np.uint8)
    assert np.abs(apply_params(images, sampled).astype(int) - expected).max() <= 2
    unblurred = apply_params(images, sampled._replace(blur=None)).astype(int)
    assert np.abs(unblurred - expected).max() > 50


def test_the_deviation_is_uniform_and_a_fraction_of_the_side():
    deviation = sample_params(Augment(blur=0.08), 0, 0, 4000, 16).blur
    assert deviation.min() >= 0
    assert deviation.max() <= 0.08
    np.testing.assert_allclose(np.quantile(deviation, [0.25, 0.5, 0.75]), [0.02, 0.04, 0.06], atol=0.003)
    ours, theirs = (sample_params(Augment(blur=0.08), 0, 0, 5, side).blur for side in (16, 160))
    np.testing.assert_array_equal(ours, theirs)


def test_the_other_parameters_keep_their_numbers():
    augment = checked(food10.get_config("augment.crop_area=(0.5,1.0),augment.hue=9.0,augment.mixup=0.5")).augment
    without, blurred = (
        sample_params(dataclasses.replace(augment, blur=largest), 3, 4, 50, 128) for largest in (0.0, 0.05)
    )
    assert without.blur is None
    assert blurred.blur is not None
    jax.tree.map(np.testing.assert_array_equal, without, blurred._replace(blur=None))


def test_both_backends_blur(tiny_config):
    tiny_config.augment.update(blur=0.1, rotation=90.0)
    config = checked(tiny_config)
    data = prepare(create_source(config), "train", config, lambda title, total, items: items)
    rows = np.arange(len(data.ids))
    images, recipe = put_images(data, one_device_mesh()), sample_recipe(data, rows, config, 0, 2)
    make = jax.jit(make_batch, static_argnums=2)
    for i, expected in enumerate(train_batches(data, rows, config, 0, 2)):
        batch = make(images, jax.tree.map(lambda x: x[i], recipe), 16)  # noqa: B023
        difference = np.abs(np.asarray(batch["image"], int) - expected["image"])
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3
