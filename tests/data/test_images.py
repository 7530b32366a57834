import jax.numpy as jnp
import numpy as np
import pytest
from helpers import random_pictures

from foodjax.config.check import checked
from foodjax.data.augment.apply import apply_params
from foodjax.data.augment.sample import sample_params
from foodjax.data.images import check_images
from foodjax.data.prepared import Prepared
from foodjax.report import inspect, pictures
from foodjax.run.wiring import Engine
from foodjax.workdir.logs import MetricsLog

ONE = random_pictures(1, 8)[0]


@pytest.mark.parametrize("images", [ONE[None], [ONE, ONE], jnp.asarray(ONE)[None], np.zeros((0, 8, 8, 3), np.uint8)])
def test_pictures_pass_as_they_are(images):
    found = check_images(images, 8)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, images)


@pytest.mark.parametrize(
    "images,dtype",
    [
        (ONE[None] / 255, "float64"),
        (ONE[None].astype(np.float32), "float32"),
        (ONE[None].astype(int), "int64"),
        (ONE[None] > 99, "bool"),
        (jnp.asarray(ONE[None], jnp.bfloat16), "bfloat16"),
        (ONE[None].tolist(), "int64"),
    ],
)
def test_another_dtype_is_refused_with_what_to_write(images, dtype):
    says = rf"the pictures are {dtype}: needs uint8, 0..255: np.round\(255 \* images\).astype\(np.uint8\) converts"
    with pytest.raises(TypeError, match=says):
        check_images(images, 8)


def test_what_the_message_says_to_write_makes_the_pixels_of_before():
    images = ONE / 255
    np.testing.assert_array_equal(np.round(255 * images).astype(np.uint8), ONE)
    images = ONE.astype(np.float32)
    np.testing.assert_array_equal(np.round(images).astype(np.uint8), ONE)


@pytest.mark.parametrize(
    "images,side,ndims,says",
    [
        (ONE, 8, (4,), r"the shape \(8, 8, 3\): needs \(N, 8, 8, 3\)$"),
        (ONE, 16, (3, 4), r"the shape \(8, 8, 3\): needs \(N, 16, 16, 3\) or \(16, 16, 3\) for one"),
        (ONE[:, :4], None, (3,), r"the shape \(8, 4, 3\): needs \(H, H, 3\) for one"),
        (ONE[None, None], 8, (3, 4), r"the shape \(1, 1, 8, 8, 3\): needs"),
        (ONE[None, ..., :1], 8, (4,), r"the shape \(1, 8, 8, 1\): needs"),
        (ONE.transpose(2, 0, 1), 8, (3,), r"the shape \(3, 8, 8\): needs"),
        ([], 8, (4,), r"the shape \(0,\): needs"),
        ([ONE, ONE[:4]], 8, (4,), r"the pictures have more than one shape: needs \(N, 8, 8, 3\)"),
    ],
)
def test_another_shape_is_refused_with_the_one_that_is_needed(images, side, ndims, says):
    with pytest.raises(ValueError, match=says):
        check_images(images, side, ndims)


def test_a_set_that_a_notebook_makes_and_augmentation_check_their_pictures(tiny_config):
    floats = np.ones((2, 8, 8, 3), np.float32)
    with pytest.raises(TypeError, match="float32: needs uint8"):
        Prepared(("a", "b"), floats, np.arange(2), ["a/0", "b/0"])
    with pytest.raises(ValueError, match=r"needs \(N, H, H, 3\)"):
        Prepared(("a", "b"), floats[..., :1].astype(np.uint8), np.arange(2), ["a/0", "b/0"])
    with pytest.raises(TypeError, match="float32: needs uint8"):
        apply_params(floats, sample_params(checked(tiny_config).augment, 0, 0, 2, 8))


@pytest.mark.parametrize("name", "encode data_uri enlarge overlay strip write_image augmented step".split())
def test_whoever_takes_pixels_refuses_what_is_none(tiny_config, tmp_path, name):
    config, floats = checked(tiny_config), np.ones((16, 16, 3), np.float32)
    engine = Engine(config, tuple("abcdefghij"))
    batch = {"image": np.stack([floats] * 8), "label": np.zeros(8, np.int32), "mask": np.ones(8, np.float32)}
    calls = {
        "encode": lambda: pictures.encode(floats),
        "data_uri": lambda: pictures.data_uri(floats),
        "enlarge": lambda: pictures.enlarge(floats, 32),
        "overlay": lambda: pictures.overlay(floats, floats[..., 0]),
        "strip": lambda: pictures.strip([floats], [("a", "b")]),
        "write_image": lambda: MetricsLog(tmp_path, [], 0).write_image(0, "a", floats),
        "augmented": lambda: inspect.augmented(config, floats, floats[None]),
        "step": lambda: engine.eval_step(engine.create_state().variables, batch),
    }
    with pytest.raises(TypeError, match=r"the pictures are float32: needs uint8, 0\.\.255"):
        calls[name]()
