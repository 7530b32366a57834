"""Backbones without timm: sizes worked out by hand, taps, positions, weights by PyTorch's names."""

import fnmatch

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from foodjax.config.backbones import BACKBONES
from foodjax.config.check import checked, default_config
from foodjax.models import summary
from foodjax.models.backbones.convert import to_variables
from foodjax.models.backbones.efficientnet_lite import stages
from foodjax.models.backbones.layers import tf_padding
from foodjax.models.backbones.registry import create_backbone, groups
from foodjax.models.backbones.vit import resample_positions
from foodjax.models.convnet import create_model, init_variables
from foodjax.models.layers import DropPath, Style
from foodjax.system.errors import UserError

# Of the networks' papers and timm's tables, with 1,000 classes.
NUM_PARAMS = {
    "resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032, "efficientnet_lite0": 4_652_008,
    "efficientnet_lite1": 5_416_680, "efficientnet_lite2": 6_092_072, "vit_small_patch16_224": 22_050_664,
    "convnext_tiny": 28_589_128,
}  # fmt: skip
# The same tables, at 224 pixels, 1e9.
MULTIPLY_ADDS = {"resnet50": 4.1, "efficientnet_lite0": 0.4, "convnext_tiny": 4.5}


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


@pytest.mark.slow
@pytest.mark.parametrize("name", NUM_PARAMS)
def test_number_of_parameters(name):
    model = create_model(checked(config_of(name, 224)), 1000)
    variables = jax.eval_shape(lambda: init_variables(model, jax.random.PRNGKey(0), 224))
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == NUM_PARAMS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_number_of_multiply_adds(name):
    rows = summary.layers(create_model(checked(config_of(name, 224)), 1000), 224)
    assert round(sum(row.multiply_adds for row in rows) / 1e9, 1) == MULTIPLY_ADDS[name]


def test_multiply_adds_of_a_transformer_count_every_token():
    model = create_model(checked(config_of("vit_small_patch16_224", 224)), 1000)
    rows = {row.name: row.multiply_adds for row in summary.layers(model, 224)}
    assert rows["backbone/patch_embed/proj"] == 14 * 14 * 16 * 16 * 3 * 384
    assert rows["backbone/blocks_11/mlp/fc1"] == (14 * 14 + 1) * 384 * 1536
    assert rows["logits"] == 384 * 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "convnext_tiny", "vit_small_patch14_dinov2"])
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


@pytest.mark.slow
def test_receptive_fields_of_convnext_worked_out_by_hand():
    rows = {row.name: row for row in summary.layers(create_model(checked(config_of("convnext_tiny")), 5), 64)}
    # Patches of 4; each block adds 6 pixels of its map, 4, 8, 16 and 32 apart, and each patch of 2 one.
    assert rows["backbone/stem_0"].receptive_field == 4
    assert rows["backbone/stages_0/blocks_2/mlp/fc2"].receptive_field == 4 + 3 * 24
    assert rows["backbone/stages_1/downsample_1"].receptive_field == 80
    assert rows["backbone/stages_3/blocks_2/norm"].receptive_field == 80 + (3 * 48 + 8) + (9 * 96 + 16) + 3 * 192
    assert rows["backbone/head/norm"].output == (768,)


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


@pytest.mark.parametrize("side,left", [(64, 2), (75, 2), (32, 1), (63, 1)])
def test_convnext_leaves_out_what_fills_no_patch(side, left):
    model = create_model(checked(config_of("convnext_tiny", side, **{"head": {"pooling": "flatten"}})), 5)
    variables = jax.eval_shape(lambda: init_variables(model, jax.random.PRNGKey(0), side))
    assert variables["params"]["logits"]["kernel"].shape == (left * left * 768, 5)


def test_convnext_needs_a_patch_of_its_last_map():
    with pytest.raises(UserError, match="data.image_size is 31: model.backbone=convnext_tiny needs at least 32"):
        create_model(checked(config_of("convnext_tiny", 31)), 5)
    config = config_of("convnext_tiny", 64)
    config.eval.size = 24
    with pytest.raises(UserError, match="eval.size is 24: model.backbone=convnext_tiny needs at least 32"):
        create_model(checked(config), 5)


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


def convnext_arrays(config):
    """Returns random weights of the shapes that ConvNeXt-Tiny has at timm, and the variables of the network here."""
    rng, widths = np.random.default_rng(0), (96, 192, 384, 768)

    def layer(name, *shape):
        return {f"{name}.weight": rng.random(shape, np.float32), f"{name}.bias": rng.random(shape[0], np.float32)}

    arrays = layer("stem.0", 96, 3, 4, 4) | layer("stem.1", 96) | layer("head.norm", 768) | layer("head.fc", 9, 768)
    for i, (width, depth) in enumerate(zip(widths, (3, 3, 9, 3), strict=True)):
        if i:
            before = widths[i - 1]
            arrays |= layer(f"stages.{i}.downsample.0", before) | layer(f"stages.{i}.downsample.1", width, before, 2, 2)
        for j in range(depth):
            block = f"stages.{i}.blocks.{j}"
            arrays |= layer(f"{block}.conv_dw", width, 1, 7, 7) | layer(f"{block}.norm", width)
            arrays |= layer(f"{block}.mlp.fc1", 4 * width, width) | layer(f"{block}.mlp.fc2", width, 4 * width)
            arrays[f"{block}.gamma"] = rng.random(width, np.float32)
    model = create_model(checked(config), 3)
    return arrays, jax.eval_shape(lambda: init_variables(model, jax.random.PRNGKey(0), 64))


def test_weights_of_convnext_by_timms_names():
    arrays, like = convnext_arrays(config_of("convnext_tiny"))
    found = to_variables("convnext_tiny", arrays, like, "x.pth")["params"]["backbone"]
    block = found["stages_2"]["blocks_8"]
    np.testing.assert_array_equal(block["gamma"]["value"], arrays["stages.2.blocks.8.gamma"])
    kernel = arrays["stages.2.blocks.8.conv_dw.weight"]
    np.testing.assert_array_equal(block["conv_dw"]["kernel"][2, 5, 0], kernel[:, 0, 2, 5])
    np.testing.assert_array_equal(block["mlp"]["fc1"]["kernel"], arrays["stages.2.blocks.8.mlp.fc1.weight"].T)
    np.testing.assert_array_equal(found["stages_1"]["downsample_0"]["scale"], arrays["stages.1.downsample.0.weight"])
    np.testing.assert_array_equal(found["head"]["norm"]["scale"], arrays["head.norm.weight"])


def test_blocks_behind_convnext_have_its_maps_without_the_norm_after_pooling():
    block = {"kind": "conv", "features": 6, "kernel": 3, "padding": ("SAME",), "pool": 1, "dropout": 0.0}
    arrays, like = convnext_arrays(config_of("convnext_tiny", blocks=(block,)))
    assert "head" not in like["params"]["backbone"]
    assert "head" not in to_variables("convnext_tiny", arrays, like, "x.pth")["params"]["backbone"]


@pytest.mark.parametrize("pooling", ["average", "max", "flatten"])
def test_convnext_normalises_what_pooling_leaves(pooling, small_convnext):
    model = create_model(checked(config_of("convnext_tiny", 75, **{"head": {"pooling": pooling}})), 3)
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: init_variables(model, jax.random.PRNGKey(0), 75))
    variables = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), shapes)
    images = rng.uniform(size=(2, 75, 75, 3)).astype(np.float32)
    run = jax.jit(lambda v, x: model.apply(v, x, train=False, mutable=["maps", "features"])[1])
    state = run(variables, images)
    maps = np.asarray(dict(summary.walk(state["maps"]))["backbone/stages_3/blocks_0/activation"][0], np.float64)
    assert maps.shape == (2, 2, 2, 24)
    pooled = {"average": maps.mean((1, 2)), "max": maps.max((1, 2)), "flatten": maps}[pooling]
    norm = variables["params"]["backbone"]["head"]["norm"]
    pooled = (pooled - pooled.mean(-1, keepdims=True)) / np.sqrt(pooled.var(-1, keepdims=True) + 1e-6)
    pooled = (pooled * norm["scale"] + norm["bias"]).reshape(2, -1)
    np.testing.assert_allclose(state["features"]["last"][0], pooled, rtol=1e-4, atol=1e-4)


def test_convnext_drops_paths_more_often_from_block_to_block():
    module = create_backbone("convnext_tiny", 0.34)
    found = []

    def see(next_fun, args, kwargs, context):
        if isinstance(context.module, DropPath) and context.method_name == "__call__":
            found.append(("/".join(context.module.path), round(context.module.rate, 9)))
        return next_fun(*args, **kwargs)

    images, rng = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32), jax.random.PRNGKey(0)
    style = Style("relu", "none", 0.9, 8)
    with nn.intercept_methods(see):
        jax.eval_shape(lambda x: module.init({"params": rng, "dropout": rng}, x, style, train=True), images)
    names = [f"stages_{i}/blocks_{j}/drop_path" for i, depth in enumerate((3, 3, 9, 3)) for j in range(depth)]
    assert found == [(name, round(0.02 * i, 9)) for i, name in enumerate(names)][1:]


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
