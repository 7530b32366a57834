"""Networks of every kind as Keras models, loaded by Keras in its safe mode: it computes what foodjax computes."""

import json
import re
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from functions import FUNCTIONS, flat
from networks import BACKBONES, BLOCKS, by_foodjax, config_of, create, pictures

from foodjax.exchange import keras_model
from foodjax.exchange.served import FACTS
from foodjax.exchange.to_keras.build import to_functional
from foodjax.exchange.to_keras.file import to_keras
from foodjax.system.errors import UserError

keras = pytest.importorskip("keras", reason="needs the package keras: pip install keras tensorflow")
pytestmark = pytest.mark.slow


def loaded(content, folder):
    path = folder / "model.keras"
    path.write_bytes(content)
    return keras.saving.load_model(path, safe_mode=True)


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


@pytest.mark.parametrize("name,network", [*BLOCKS.items(), *BACKBONES.items()])
def test_a_network_computes_the_same(name, network, tmp_path):
    served = create(*network)
    images = pictures(served)
    ours = by_foodjax(served, images)
    assert np.ptp(ours, axis=0).max() > 0.02, "opinions must differ for the comparison to mean something"
    content = to_keras(served)
    model = loaded(content, tmp_path)
    np.testing.assert_allclose(model.predict(images, verbose=0), ours, atol=1e-4)
    np.testing.assert_allclose(model.predict(images[:1], verbose=0), ours[:1], atol=1e-4)  # the batch is free
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config, facts = (json.loads(archive.read(file)) for file in ("config.json", FACTS))
    assert facts == json.loads(json.dumps(served.facts()))
    modules = set(re.findall(r'"module": "([^"]+)"', json.dumps(config)))
    assert {module.split(".")[0] for module in modules} == {"keras"}, "nothing but Keras' own"
    assert "Lambda" not in kinds(model)


def test_it_says_what_it_takes_and_returns():
    served = create(*BLOCKS["another view"])
    model = to_functional(served.function(plain=True), 20, "my run/1")
    (given,), (found,) = model.inputs, model.outputs
    assert (given.name, given.dtype, given.shape) == ("images", "uint8", (None, 20, 20, 3))
    assert found.shape == (None, 7)
    assert model.layers[-1].name == "probabilities"
    assert model.name == "my_run_1"


def longest_list(config):
    """Returns the length of the longest list of numbers in a config."""
    if isinstance(config, list) and config and all(isinstance(value, float) for value in config):
        return len(config)
    inner = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    return max(map(longest_list, inner), default=0)


@pytest.mark.parametrize(
    "name,expected",
    [
        ("resnet", {"Conv2D": 6, "MaxPooling2D": 1, "GlobalAveragePooling2D": 1, "Dense": 1, "Softmax": 1}),
        # The picture and its mirror image have the same layers.
        ("mirror images", {"Conv2D": 2, "Dense": 1, "Softmax": 3}),
        ("residual with group normalisation", {"GroupNormalization": 3, "Conv2D": 3, "BatchNormalization": 0}),
        ("efficientnet_lite0", {"DepthwiseConv2D": 16, "Conv2D": 33, "Dense": 1, "BatchNormalization": 0}),
        # A class token and places are weights too.
        ("vit_small_patch16_224", {"LayerNormalization": 25, "Dense": 49, "Embedding": 2, "Conv2D": 1}),
    ],
)
def test_layers_are_those_that_a_reader_expects(name, expected):
    served = create(*(BLOCKS | BACKBONES)[name])
    model = to_functional(served.function(plain=True), served.config.data.image_size, name)
    found = kinds(model)
    assert {kind: found.count(kind) for kind in expected} == expected
    sizes = [x.size for x in jax.tree.leaves(served.variables["params"])]
    # Normalisation is part of convolutions: there are fewer weights, and none of them in the model's config.
    assert sum(sizes) * 0.95 <= model.count_params() <= sum(sizes) * 1.01
    assert longest_list(json.loads(json.dumps(model.get_config()))) <= 16


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_computes_the_same(name, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 3), np.uint8)

    def function(x):
        return FUNCTIONS[name](x.astype(jnp.float32))

    expected = np.asarray(function(jnp.asarray(images)))
    to_functional(function, 6, name).save(tmp_path / "model.keras")
    found = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True).predict(images, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-5 * np.abs(expected).max())


def test_long_constants_are_weights():
    rng = np.random.default_rng(0)
    long, channels = rng.normal(size=(6, 6, 3)).astype(np.float32), rng.normal(size=24).astype(np.float32)

    def function(x):
        y = jnp.concatenate([x.astype(jnp.float32)] * 8, axis=-1) * channels + channels[::-1]
        return flat(y) + flat(jnp.maximum(jnp.tile(long, 8), jnp.tanh(y)))

    images = rng.integers(0, 256, (2, 6, 6, 3), np.uint8)
    model = to_functional(function, 6, "constants")
    np.testing.assert_allclose(model.predict(images, verbose=0), function(jnp.asarray(images)), rtol=2e-5, atol=1e-3)
    assert model.count_params() == 6 * 6 * 24 + 4 * 24  # the last has a mean of 0 and a variance of 1 too
    assert kinds(model).count("BatchNormalization") == 1


def test_an_unknown_primitive_is_named():
    with pytest.raises(UserError, match="JAX's primitive 'sort', for which the Keras export has no form") as caught:
        to_functional(lambda x: jnp.sort(x.astype(jnp.float32).mean((1, 2)), axis=1), 8, "x")
    assert "\n" not in str(caught.value)

    def convolve(x):
        x = x.astype(jnp.float32)
        kernel = x.mean(0)[:3, :3, :, None]  # made of the pictures
        return flat(jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")))

    with pytest.raises(UserError, match="the operation Conv with a kernel that is not constant"):
        to_functional(convolve, 8, "x")


def test_the_tutorials_family_stays_sequential():
    size, blocks, values = BLOCKS["conv"]
    assert keras_model.is_sequential(config_of(size, blocks, values))
    assert not keras_model.is_sequential(config_of(*BLOCKS["another view"]))
    assert not keras_model.is_sequential(config_of(*BLOCKS["resnet"]))
    for other in ({"eval.flip": True}, {"model.norm": "batch"}, {"model.input_mean": (0.5, 0.5, 0.5)}):
        assert not keras_model.is_sequential(config_of(size, blocks, values | other))


def test_convnext_computes_the_same(small_convnext, tmp_path):
    served = create(64, [], {"model.backbone": "convnext_tiny"})
    images = pictures(served, 2)
    model = loaded(to_keras(served), tmp_path)
    np.testing.assert_allclose(model.predict(images, verbose=0), by_foodjax(served, images), atol=1e-4)
    assert kinds(model).count("DepthwiseConv2D") == 4
    assert kinds(model).count("LayerNormalization") == 9  # of the stem, four blocks, three reductions, and the head
