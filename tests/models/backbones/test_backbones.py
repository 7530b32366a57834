"""Backbones without timm: sizes worked out by hand, taps, positions, weights by PyTorch's names."""

import fnmatch

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foodjax.config.backbones import BACKBONES
from foodjax.config.check import checked, default_config
from foodjax.models import summary
from foodjax.models.backbones.convert import to_variables
from foodjax.models.backbones.efficientnet_lite import stages
from foodjax.models.backbones.layers import tf_padding
from foodjax.models.backbones.registry import groups
from foodjax.models.backbones.vit import resample_positions
from foodjax.models.convnet import create_model, init_variables
from foodjax.system.errors import UserError

# Of the networks' papers and timm's tables, with 1,000 classes.
NUM_PARAMS = {
    "resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032, "efficientnet_lite0": 4_652_008,
    "efficientnet_lite1": 5_416_680, "efficientnet_lite2": 6_092_072, "vit_small_patch16_224": 22_050_664,
}  # fmt: skip


def config_of(name, side=64, **changes):
    config = default_config()
    config.model.backbone, config.data.image_size = name, side
    if BACKBONES[name].has_token:
        config.model.head.pooling = "token"
    config.model.update(changes)
    return config


@pytest.fixture(scope="module")
def resnet():
    """A ResNet-18 for pictures of 32 pixels, with its random weights by PyTorch's names."""
    model = create_model(checked(config_of("resnet18", 32)), 3)
    shapes = jax.eval_shape(lambda: init_variables(model, jax.random.PRNGKey(0), 32))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), shapes)
    return variables, to_torch(variables)


def to_torch(variables):
    """Returns the arrays of a ResNet by PyTorch's names, written out by hand."""
    arrays = {"fc.weight": np.zeros((1000, 512)), "fc.bias": np.zeros(1000)}
    leaves = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var", "kernel": "weight"}
    for part in ("params", "batch_stats"):
        for path, x in summary.walk(variables[part]["backbone"]):
            layer, leaf = path.rsplit("/", 1)
            layer = layer.replace("/", ".")
            for i in range(4):
                layer = layer.replace(f"_{i}", f".{i}")
            arrays[f"{layer}.{leaves[leaf]}"] = x.transpose(3, 2, 0, 1) if x.ndim == 4 else x
            arrays.setdefault(f"{layer}.num_batches_tracked", np.array(3))
    return arrays


@pytest.mark.parametrize("name", NUM_PARAMS)
def test_number_of_parameters(name):
    model = create_model(checked(config_of(name, 224)), 1000)
    variables = jax.eval_shape(lambda: init_variables(model, jax.random.PRNGKey(0), 224))
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == NUM_PARAMS[name]


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "vit_small_patch14_dinov2"])
def test_the_layer_table_counts_every_parameter(name):
    model = create_model(checked(config_of(name, 56)), 5)
    variables = jax.eval_shape(lambda: init_variables(model, jax.random.PRNGKey(0), 56))
    rows = summary.layers(model, 56)
    assert sum(row.num_params for row in rows) == sum(x.size for x in jax.tree.leaves(variables["params"]))


def test_receptive_fields_of_resnet18_worked_out_by_hand():
    rows = {row.name: row for row in summary.layers(create_model(checked(config_of("resnet18", 96)), 5), 96)}
    # 7 x 7 at stride 2, pooling of 3 at stride 2 (11 pixels, 4 apart), then two convolutions of 3 in each block.
    assert rows["backbone/conv1"].receptive_field == 7
    assert rows["backbone/layer1_0/conv1"].receptive_field == 19
    assert rows["backbone/layer4_1/conv2"].receptive_field == 435


def test_lite2_has_the_widths_and_depths_of_its_paper():
    assert [(features, depth) for *_, features, depth in stages(2)] == [
        (16, 1), (24, 3), (48, 3), (88, 4), (120, 4), (208, 5), (352, 1),
    ]  # fmt: skip


def test_tensorflows_padding_puts_the_odd_pixel_after():
    assert tf_padding(3, 2, 224, 225) == ((0, 1), (1, 1))
    assert tf_padding(5, 1, 7, 7) == ((2, 2), (2, 2))


@pytest.mark.parametrize("name", BACKBONES)
def test_every_layer_is_in_one_group(name):
    side = 56 if name.endswith("dinov2") else 64
    model = create_model(checked(config_of(name, side)), 5)
    params = jax.eval_shape(lambda: init_variables(model, jax.random.PRNGKey(0), side))["params"]
    for path, _ in summary.walk(params):
        found = [any(fnmatch.fnmatchcase(path, pattern) for pattern in group) for group in groups(name)]
        assert sum(found) == (not path.startswith("logits/")), path


def test_positions_stay_on_their_own_grid_and_keep_the_class_token():
    positions = jax.random.normal(jax.random.PRNGKey(0), (1, 1 + 16, 6))
    assert resample_positions(positions, (4, 4)) is positions
    larger = np.asarray(resample_positions(positions, (8, 8)))
    assert larger.shape == (1, 65, 6)
    np.testing.assert_array_equal(larger[:, 0], positions[:, 0])
    ramp = jnp.broadcast_to(jnp.arange(5.0), (5, 5)).reshape(1, 25, 1)
    wide = resample_positions(jnp.concatenate([jnp.zeros((1, 1, 1)), ramp], 1), (5, 10))[0, 1:, 0].reshape(5, 10)
    np.testing.assert_allclose(wide[2, 3:7], [1.25, 1.75, 2.25, 2.75], atol=1e-6)  # linear inside


def test_a_vision_transformer_takes_other_sizes_than_it_was_made_for():
    model = create_model(checked(config_of("vit_small_patch16_224", 32)), 5)
    variables = jax.eval_shape(lambda: init_variables(model, jax.random.PRNGKey(0), 32))
    assert variables["params"]["backbone"]["pos_embed"]["value"].shape == (1, 1 + 4, 384)
    images = jax.ShapeDtypeStruct((2, 48, 48, 3), np.float32)
    assert jax.eval_shape(lambda v, x: model.apply(v, x, train=False), variables, images).shape == (2, 5)


def test_a_size_that_patches_do_not_divide_is_refused():
    with pytest.raises(UserError, match="data.image_size is 50: model.backbone=vit_small_patch16_224 needs a m"):
        create_model(checked(config_of("vit_small_patch16_224", 50)), 5)


def test_a_token_needs_a_transformer():
    with pytest.raises(UserError, match="model.head.pooling is 'token': needs a vision transformer"):
        create_model(checked(config_of("resnet18", **{"head": {"pooling": "token"}})), 5)


def test_weights_by_pytorchs_names_are_our_own(resnet):
    variables, arrays = resnet
    found = to_variables("resnet18", arrays, variables, "x.pth")
    for part in ("params", "batch_stats"):
        jax.tree.map(np.testing.assert_array_equal, found[part]["backbone"], variables[part]["backbone"])
    assert "logits" not in found["params"]


@pytest.mark.parametrize(
    "change,says",
    [
        (lambda a: a.pop("layer2.0.downsample.0.weight"), "x.pth lacks layer2.0.downsample.0.weight: needs"),
        (lambda a: a.update({"layer5.0.conv1.weight": np.zeros(3), "extra": np.zeros(2)}),
         "x.pth has layer5.0.conv1.weight and 1 more, which resnet18 has not"),
        (lambda a: a.update({"conv1.weight": np.zeros((64, 3, 3, 3))}),
         r"x.pth does not fit resnet18: conv1.weight is \(3, 3, 3, 64\) as Flax has it, needs \(7, 7, 3, 64\)"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_get_one_line(resnet, change, says):
    variables, arrays = resnet
    arrays = dict(arrays)
    change(arrays)
    with pytest.raises(UserError, match=says):
        to_variables("resnet18", arrays, variables, "x.pth")


@pytest.mark.slow
def test_a_frozen_network_keeps_its_statistics_and_uses_them():
    config = config_of("resnet18", 32)
    config.train.freeze_batch_stats = True
    model = create_model(checked(config), 3)
    variables = init_variables(model, jax.random.PRNGKey(0), 32)
    images = jax.random.uniform(jax.random.PRNGKey(1), (4, 32, 32, 3))
    logits, state = model.apply(variables, images, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(logits, model.apply(variables, images, train=False), rtol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, dict(state)["batch_stats"], variables["batch_stats"])
