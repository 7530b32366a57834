import jax.numpy as jnp
import numpy as np
import pytest
from helpers import random_pictures

from foodjax.data.augment import colour


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
    image = random_pictures(2).astype(np.float32)
    first, second = colour.contrast(np.array([0.7, 1.2])), colour.saturation(np.array([1.4, 0.2]))
    np.testing.assert_allclose(
        coloured(image, colour.compose(second, first)), coloured(coloured(image, first), second), atol=1e-2
    )
