"""Shapes in signatures: while tests run, every module that gives some refuses arrays of another shape."""

import importlib
import tomllib

import jax
import jax.numpy as jnp
import pytest
from helpers import ROOT
from jaxtyping import TypeCheckError

from foodjax.config.check import checked as typed
from foodjax.models.layers import Style


def pictures(*shape):
    return jnp.zeros(shape, jnp.uint8)


def init(module, *more, **options):
    """Initialises with one picture, whose batch axis is missing."""
    return module.init(jax.random.PRNGKey(0), jnp.ones((8, 8, 3)), *more, **options)


def init_first_block(config):
    from foodjax.models.blocks import create_block
    from foodjax.models.convnet import create_model

    return init(create_block(config.model.blocks[0], "block1"), create_model(config, 3).style, train=False)


STYLE = Style("relu", "batch", 0.9, 8)

# By module, a call with an array of a wrong shape: a batch axis that is missing, or sizes that do not agree.
WRONG = {
    "data.augment.apply": lambda module, _: module.view(pictures(2, 8, 6, 3), 4, 1.0),
    "data.augment.blur": lambda module, _: module.blur(jnp.ones((2, 8, 8, 3)), jnp.ones(3)),
    "data.augment.colour": lambda module, _: module.apply(jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 4))),
    "data.augment.mix": lambda module, _: module.cut_out(pictures(2, 8, 8, 3), jnp.ones((3, 4))),
    "models.backbones.convnext": lambda module, _: init(module.ConvNeXt(0.0), STYLE, train=False),
    "models.backbones.efficientnet_lite": lambda module, _: init(
        module.EfficientNetLite(0, True, 0.0), STYLE, train=False
    ),
    "models.backbones.layers": lambda module, _: init(module.Conv(6, 3)),
    "models.backbones.resnet": lambda module, _: init(module.ResNet(18, 0.0), STYLE, train=False),
    "models.backbones.vit": lambda module, _: module.resample_positions(jnp.ones((17, 6)), (2, 2)),
    "models.batch_norm": lambda module, _: module.batch_norm_train(
        jnp.ones((2, 8, 8, 3)), jnp.ones(4), jnp.ones(3), 1e-3
    ),
    "models.blocks": lambda _, config: init_first_block(config),
    "models.convnet": lambda module, config: init(module.create_model(config, 3), train=False),
    "models.convolution": lambda module, _: module.conv(jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 4, 6)), "SAME"),
    "models.depthwise": lambda module, _: module.depthwise_conv(
        jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 1, 4)), 1, ((1, 1), (1, 1))
    ),
    "models.layers": lambda module, _: init(module.Conv(6, 3, "SAME")),
    "models.native.conv": lambda module, _: module.native_conv(
        jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 4, 32)), ((1, 1), (1, 1))
    ),
    "models.ops": lambda module, _: module.add_bias(jnp.ones((2, 8, 8, 3)), jnp.ones(4)),
    "models.pointwise": lambda module, _: module.pointwise_conv(jnp.ones((2, 8, 8, 3)), jnp.ones((1, 1, 4, 6))),
    "models.winograd": lambda module, _: module.winograd_conv(
        jnp.ones((2, 8, 8, 3)), jnp.ones((5, 5, 4, 6)), ((2, 2), (2, 2))
    ),
    "steps.losses": lambda module, _: module.cross_entropy(jnp.ones((2, 10)), jnp.zeros(3, int)),
    "steps.metrics": lambda module, _: module.Metrics.from_batch(jnp.ones((2, 10)), jnp.zeros(3, int), jnp.ones(3)),
    "steps.step": lambda module, _: module.rescale(pictures(8, 8, 3)),
}


def test_every_module_with_shapes_is_checked():
    package = ROOT / "foodjax"
    with_shapes = {
        ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        if "jaxtyping" in path.read_text()
    }
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]
    (hook,) = (option for option in options if option.startswith("--jaxtyping-packages="))
    *checked, _ = (name.strip() for name in hook.split("=")[1].split(","))
    assert {name.removeprefix("foodjax.") for name in checked} == with_shapes
    assert WRONG.keys() == with_shapes, "a call that must be refused is needed for each"


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_shape_is_refused(name, tiny_config):
    module = importlib.import_module(f"foodjax.{name}")
    with pytest.raises(TypeCheckError, match=rf"checking the parameters of foodjax\.{name}\."):
        WRONG[name](module, typed(tiny_config))
