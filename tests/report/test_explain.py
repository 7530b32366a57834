from types import SimpleNamespace
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import demo
from foodjax.config.check import checked
from foodjax.config.keys import Config
from foodjax.models import blocks
from foodjax.models.convnet import create_model, init_params
from foodjax.report import pictures
from foodjax.report.explain import Explainer, as_seen, explain, grad_cam
from foodjax.system.errors import UserError


def random_variables(model, seed):
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(lambda: init_params(model, jax.random.PRNGKey(0), 16))
    return {"params": jax.tree.map(lambda x: jnp.asarray(rng.normal(0, 0.2, x.shape), x.dtype), shapes)}


class Network(NamedTuple):
    """A network with weights, and the config that it was made of."""

    config: Config
    model: nn.Module
    variables: dict


@pytest.fixture(scope="module")
def network():
    """A plain and a residual block."""
    config = demo.get_config()
    config.data.image_size = 16
    config.model.blocks = (
        dict(kind="conv", features=6, kernel=3, padding=("SAME", "VALID"), pool=2, dropout=0.2),
        dict(kind="residual", features=8, pool=1, depth=1, dropout=0.2),
    )
    config = checked(config)
    model = create_model(config, 5)
    return Network(config, model, random_variables(model, 1))


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)


@pytest.mark.slow
def test_maps_come_in_order_and_are_what_the_network_made(network, images):
    found = Explainer(*network)(images, np.array([0, 1, 2]))
    assert list(found.maps) == [f"block{i}/activation{j}" for i in (1, 2) for j in (1, 2)]
    first = found.maps["block1/activation1"]
    kernel, bias = (network.variables["params"]["block1"]["conv1"][name] for name in ("kernel", "bias"))
    conv = jax.lax.conv_general_dilated(
        images / np.float32(255), kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(first, np.maximum(conv + bias, 0), atol=1e-5)
    logits = network.model.apply(network.variables, jnp.asarray(images / np.float32(255)), train=False)
    np.testing.assert_allclose(found.probabilities, jax.nn.softmax(logits), rtol=1e-4)
    assert found.maps["block2/activation2"].shape == (3, 7, 7, 8)


def test_grad_cam_of_average_pooling_is_the_class_activation_map(images):
    """With average pooling and one dense layer, Grad-CAM is relu(sum_k w_kc A_k), of Zhou et al. 2016."""
    config = demo.get_config()
    config.data.image_size = 16
    config.model.blocks = (dict(kind="conv", features=6, kernel=3, padding=("SAME",), pool=1, dropout=0.0),)
    config.model.head.update(pooling="average", hidden=())
    config = checked(config)
    model = create_model(config, 4)
    variables = random_variables(model, 2)
    labels = np.array([3, 0, 1])
    found = Explainer(config, model, variables)(images, labels)
    weights = np.asarray(variables["params"]["logits"]["kernel"])[:, labels]  # (C, B)
    expected = np.maximum(np.einsum("bhwc,cb->bhw", found.maps["block1/activation1"], weights), 0)
    expected /= np.maximum(expected.max(axis=(1, 2), keepdims=True), 1e-9)
    assert expected.min() == 0
    assert expected.max() == 1
    np.testing.assert_allclose(found.cams["block1/activation1"], expected, atol=1e-4)


@pytest.mark.slow
def test_grad_cam_before_a_normalisation_of_the_pooled_maps(small_convnext):
    """ConvNeXt: d logit / d A_k is the same for all pixels, through the average and layer normalisation."""
    config = demo.get_config()
    config.data.image_size, config.model.blocks, config.model.backbone = 96, (), "convnext_tiny"
    config.model.head.update(pooling="average", hidden=())
    config = checked(config)
    model = create_model(config, 4)
    rng = np.random.default_rng(3)
    shapes = jax.eval_shape(lambda: init_params(model, jax.random.PRNGKey(0), 96))
    variables = {"params": jax.tree.map(lambda x: rng.normal(0, 0.5, x.shape).astype(np.float32), shapes)}
    images, labels = rng.integers(0, 256, (3, 96, 96, 3), dtype=np.uint8), np.array([3, 0, 1])
    found = Explainer(config, model, variables)(images, labels)
    assert list(found.maps) == [f"backbone/stages_{i}/blocks_0/activation" for i in range(4)]
    maps = found.maps["backbone/stages_3/blocks_0/activation"].astype(np.float64)
    assert maps.shape == (3, 3, 3, 24)
    pooled = maps.mean((1, 2))
    deviation = np.sqrt(pooled.var(1, keepdims=True) + 1e-6)
    normed = (pooled - pooled.mean(1, keepdims=True)) / deviation
    slope = variables["params"]["backbone"]["head"]["norm"]["scale"] * variables["params"]["logits"]["kernel"].T[labels]
    slope = slope - slope.mean(1, keepdims=True) - normed * (slope * normed).mean(1, keepdims=True)
    expected = np.maximum(np.einsum("bhwc,bc->bhw", maps, slope / deviation), 0)
    expected /= np.maximum(expected.max(axis=(1, 2), keepdims=True), 1e-9)
    assert expected.max((1, 2)).min() == 1
    np.testing.assert_allclose(found.cams["backbone/stages_3/blocks_0/activation"], expected, atol=1e-4)


def test_grad_cam_follows_the_label_and_not_its_neighbours(network, images):
    explainer = Explainer(*network)
    labels = np.array([0, 1, 2, 3, 4])
    together = explainer(images[[0, 1, 1, 1, 2]], labels).cams["block2/activation1"]
    alone = explainer(np.stack([images[1]] * 5), labels).cams["block2/activation1"]
    np.testing.assert_allclose(together[1:4], alone[1:4], atol=1e-3)
    assert max(np.abs(alone[i] - alone[j]).max() for i in range(5) for j in range(i)) > 0.1


def test_nothing_that_speaks_for_a_class_is_a_map_of_zeros():
    maps = jnp.ones((1, 2, 2, 3))
    np.testing.assert_array_equal(grad_cam(maps, -maps), np.zeros((1, 2, 2)))


def test_taps_leave_the_step_as_it_was(network, images, monkeypatch):
    def forward(variables, images):
        return network.model.apply(variables, images, train=False)

    args = network.variables, jnp.asarray(images / np.float32(255))
    tapped = str(jax.make_jaxpr(forward)(*args))
    monkeypatch.setattr(blocks, "tap", lambda module, name, x: x)
    assert tapped == str(jax.make_jaxpr(lambda *args: forward(*args))(*args))
    monkeypatch.setattr(blocks, "tap", lambda module, name, x: x + 1)
    assert tapped != str(jax.make_jaxpr(lambda *args: forward(*args))(*args))


@pytest.mark.parametrize("size,area,expected", [(0, 1.0, slice(0, 16)), (8, 0.25, slice(4, 12))])
def test_the_network_s_view_is_what_it_gets(images, size, area, expected):
    config = demo.get_config()
    config.data.image_size = 16
    config.eval.update(size=size, crop_area=area)
    found = as_seen(checked(config), images)
    np.testing.assert_array_equal(found, images[:, expected, expected])  # pixels that no resizing mixes
    assert found.dtype == np.uint8
    with pytest.raises(TypeError, match="needs uint8"):
        as_seen(checked(config), images.astype(np.float32))


@pytest.fixture
def predictor(network):
    """What `explain` uses of a Predictor. Its second class is always the most probable one."""
    chosen = np.array([0.1, 0.6, 0.1, 0.1, 0.1])
    return SimpleNamespace(
        **network._asdict(),
        class_names=("a", "b", "c", "d", "e"),
        probabilities=lambda images: np.tile(chosen, (len(images), 1)),
    )


def test_explain_takes_names_of_classes_or_the_most_probable_ones(predictor, network, images):
    expected = Explainer(*network)(images, np.array([2, 1, 4])).cams["block2/activation1"]
    tap = "block2/activation1"
    np.testing.assert_allclose(explain(predictor, images, ["c", "b", "e"]).cams[tap], expected, atol=1e-5)
    alone = explain(predictor, images[1])
    np.testing.assert_allclose(alone.cams[tap], expected[1:2], atol=1e-3)
    np.testing.assert_array_equal(alone.overlay(tap), pictures.overlay(images[1], alone.cams[tap][0]))
    assert repr(alone).startswith("Explanation(1 photographs, taps: block1/activation1, ")


@pytest.mark.parametrize(
    "classes,line",
    [
        (["a", "f", "b"], "classes has 'f': needs names of a, b, c, d, e"),
        (["a"], "classes has 1 names for 3 photographs: needs one for each"),
    ],
)
def test_explain_refuses_other_classes(predictor, images, classes, line):
    with pytest.raises(UserError, match=line):
        explain(predictor, images, classes)
