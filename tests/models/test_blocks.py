import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments import food10_fast
from foodjax.config import blocks as specs
from foodjax.config.check import checked, replace
from foodjax.models.blocks import LAYERS, ConvBlock, ResidualBlock, StemBlock
from foodjax.models.convnet import create_model, init_variables
from foodjax.models.layers import DropPath, Style, drop_path_rates
from foodjax.models.ops import space_to_depth
from foodjax.models.summary import layers
from foodjax.system.errors import UserError

PLAIN = Style(activation="relu", norm="none", norm_momentum=0.9, norm_groups=2)


@pytest.fixture
def modern_config(tiny_config):
    """tiny_config with a block of each kind, batch normalisation and global pooling."""
    tiny_config.model.blocks = (
        ConfigDict(dict(kind="stem", features=8, patch=2, kernel=3)),
        ConfigDict(dict(kind="residual", features=12, pool=2, depth=2, dropout=0.0)),
        ConfigDict(dict(kind="conv", features=4, kernel=3, padding=("SAME",), pool=1, dropout=0.0)),
    )
    tiny_config.model.update(norm="batch", activation="gelu")
    tiny_config.model.head.update(pooling="average", hidden=())
    return tiny_config


def test_every_kind_has_a_module_with_its_fields_and_the_rates_of_its_branches():
    assert LAYERS.keys() == set(specs.KINDS.values())
    for kind, block in LAYERS.items():
        branches = {"drop_path"} if "num_branches" in vars(kind) else set()
        assert {f.name for f in dataclasses.fields(block)} - {"name", "parent"} == {"spec"} | branches


def test_an_unknown_kind_and_another_kinds_key_are_refused(modern_config):
    checked(modern_config)
    modern_config.model.blocks[1].kind = "residaul"
    with pytest.raises(
        UserError, match=r"model.blocks\[1\].kind is 'residaul': needs one of conv, stem, residual, resnet_stem, resnet"
    ):
        checked(modern_config)
    modern_config.model.blocks[1].kind = "stem"
    with pytest.raises(UserError, match=r"no key 'model.blocks\[1\].(pool|depth|dropout)'"):
        checked(modern_config)


def test_shapes_and_parameters_of_each_kind(modern_config):
    rows = {row.name: row for row in layers(create_model(checked(modern_config), 10), 17)}
    assert rows["block1/conv"].output == (8, 8, 8)
    assert rows["block1/conv"].num_params == 3 * 3 * 12 * 8
    assert rows["block2/conv1"].output == (8, 8, 12)
    assert rows["block2/conv1"].num_params == 3 * 3 * 8 * 12
    assert rows["block2/conv3"].output == (4, 4, 12)
    assert rows["block2/norm3"].num_params == 24
    assert rows["logits"].num_params == 4 * 10 + 10


def test_patches_are_cut_in_reading_order():
    x = np.arange(2 * 5 * 4 * 3, dtype=np.float32).reshape(2, 5, 4, 3)
    y = np.asarray(space_to_depth(jnp.asarray(x), 2))
    assert y.shape == (2, 2, 2, 12)
    np.testing.assert_array_equal(y[1, 0, 1], x[1, 0:2, 2:4].reshape(-1))


def test_a_stem_is_a_convolution_with_the_stride_of_its_patch():
    block = StemBlock(specs.Stem(5, patch=2, kernel=1))
    x = jax.random.normal(jax.random.PRNGKey(0), (3, 6, 6, 3))
    variables = block.init(jax.random.PRNGKey(1), x, PLAIN, train=False)
    kernel = variables["params"]["conv"]["kernel"].reshape(2, 2, 3, 5)
    expected = jax.lax.conv_general_dilated(x, kernel, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    np.testing.assert_allclose(
        block.apply(variables, x, PLAIN, train=False), np.maximum(expected, 0), rtol=1e-4, atol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "size, padding",
    [((14, 15), ("SAME", "VALID")), ((15, 17), ("SAME", "SAME", "SAME")), ((17, 18), ("VALID", "SAME"))],
)
def test_what_pooling_drops_is_computed_only_for_those_who_look(size, padding):
    block = ConvBlock(specs.Conv(4, kernel=5, padding=padding, pool=3, dropout=0.0))
    x = jax.random.normal(jax.random.PRNGKey(0), (2, *size, 3))
    params = block.init(jax.random.PRNGKey(1), x, PLAIN, train=False)["params"]
    watched, maps = block.apply({"params": params}, x, PLAIN, train=False, mutable="maps")
    whole = [maps["maps"][f"activation{i}"][0].shape[1:3] for i in range(1, len(padding) + 1)]
    lost = np.cumsum([4 if p == "VALID" else 0 for p in padding])
    assert whole == [(size[0] - n, size[1] - n) for n in lost]

    def total(params, x, watch):
        y = block.apply({"params": params}, x, PLAIN, train=False, mutable="maps" if watch else False)
        return jnp.sum((y[0] if watch else y) * weights)

    weights = jax.random.normal(jax.random.PRNGKey(2), watched.shape)
    np.testing.assert_allclose(block.apply({"params": params}, x, PLAIN, train=False), watched, rtol=1e-5, atol=1e-5)
    parts, wholes = (jax.grad(total, (0, 1))(params, x, watch) for watch in (False, True))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), parts, wholes)
    work = [
        jax.jit(total, static_argnums=2).lower(params, x, watch).cost_analysis()["flops"]  # pyright: ignore
        for watch in (False, True)
    ]
    assert (work[0] < work[1]) == any(n % 3 for n in whole[-1])
    assert work[0] <= work[1]


def test_a_residual_branch_of_zero_kernels_passes_its_input_on():
    x = jax.random.normal(jax.random.PRNGKey(0), (2, 8, 8, 3))
    deep, plain = (ResidualBlock(specs.Residual(4, pool=2, depth=depth, dropout=0.0)) for depth in (2, 0))
    params = deep.init(jax.random.PRNGKey(1), x, PLAIN, train=False)["params"]
    expected = plain.apply({"params": {"conv1": params["conv1"]}}, x, PLAIN, train=False)
    changed = deep.apply({"params": params}, x, PLAIN, train=False)
    assert np.abs(changed - expected).max() > 0.1
    assert np.all(changed - expected >= 0)  # the branch ends in a ReLU
    silent = params | {"conv3": jax.tree.map(jnp.zeros_like, params["conv3"])}
    np.testing.assert_array_equal(deep.apply({"params": silent}, x, PLAIN, train=False), expected)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [0, 2])
def test_squeeze_and_excitation_weighs_the_channels_of_the_branch_by_their_means(depth):
    x = jax.random.normal(jax.random.PRNGKey(0), (2, 8, 8, 3))
    plain, block = (ResidualBlock(specs.Residual(6, 2, depth, 0.0, squeeze=squeeze)) for squeeze in (0, 4))
    params = block.init(jax.random.PRNGKey(1), x, PLAIN, train=False)["params"]
    own = params["squeeze_excite"]
    assert own["squeeze"]["kernel"].shape == (6, 1)
    assert own["excite"]["kernel"].shape == (1, 6)
    without = plain.apply({"params": {k: v for k, v in params.items() if k != "squeeze_excite"}}, x, PLAIN, train=False)
    first = ResidualBlock(specs.Residual(6, 2, 0, 0.0))
    entry = first.apply({"params": {"conv1": params["conv1"]}}, x, PLAIN, train=False) if depth else 0
    branch = np.asarray(without - entry, np.float64)
    hidden = np.maximum(branch.mean((1, 2)) @ own["squeeze"]["kernel"] + own["squeeze"]["bias"], 0)
    weights = 1 / (1 + np.exp(-(hidden @ own["excite"]["kernel"] + own["excite"]["bias"])))
    expected = entry + branch * weights[:, None, None, :]
    found = block.apply({"params": params}, x, PLAIN, train=False)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(found - without).max() > 0.01


def test_a_block_without_squeeze_has_the_parameters_it_had():
    config = checked(food10_fast.get_config())
    names = {row.name for row in layers(create_model(config, 10), 48)}
    assert not any("squeeze" in name for name in names)
    squeezed = tuple(dataclasses.replace(b, squeeze=8) if b.kind == "residual" else b for b in config.model.blocks)
    rows = {r.name: r for r in layers(create_model(replace(config, {"model.blocks": squeezed}), 10), 48)}
    added = {name: rows[name].num_params for name in rows.keys() - names}
    assert added["block4/squeeze_excite/squeeze"] == 256 * 32 + 32
    assert added["block4/squeeze_excite/excite"] == 32 * 256 + 256
    assert {name.split("/")[0] for name in added} == {"block2", "block3", "block4"}


@pytest.fixture
def residual_config(tiny_config):
    """tiny_config with three residual branches, in blocks 2 and 4."""
    tiny_config.model.blocks = (
        ConfigDict(dict(kind="stem", features=4, patch=2, kernel=1)),
        ConfigDict(dict(kind="residual", features=4, pool=1, depth=1, dropout=0.0)),
        ConfigDict(dict(kind="residual", features=4, pool=1, depth=0, dropout=0.0)),
        ConfigDict(dict(kind="resnet", features=4, stride=1, depth=2)),
    )
    tiny_config.model.head.update(pooling="average", hidden=())
    return tiny_config


def test_the_rate_of_a_branch_grows_with_its_number():
    assert drop_path_rates(0.6, [0, 1, 0, 2]) == ((), (pytest.approx(0.2),), (), (pytest.approx(0.4), 0.6))
    assert drop_path_rates(0.3, [1]) == ((0.3,),)
    assert drop_path_rates(0.3, []) == ()


def test_stochastic_depth_drops_whole_branches_of_some_pictures(residual_config):
    residual_config.model.drop_path = 0.6
    model = create_model(checked(residual_config), 3)
    variables = init_variables(model, jax.random.PRNGKey(0), 16)
    images = jax.random.uniform(jax.random.PRNGKey(1), (600, 4, 4, 3))

    @functools.partial(jax.jit, static_argnames="train")
    def outputs(images, train):
        taken = dict(capture_intermediates=True, mutable=["intermediates"], rngs={"dropout": jax.random.PRNGKey(2)})
        return model.apply(variables, images, train=train, **taken)[1]["intermediates"]

    trained, evaluated = outputs(images, True), outputs(images, False)
    branches = (("block2", "drop_path", 0.2), ("block4", "drop_path1", 0.4), ("block4", "drop_path2", 0.6))
    for block, name, rate in branches:
        dropped = ~np.asarray(trained[block][name]["__call__"][0]).any(axis=(1, 2, 3))
        assert dropped.mean() == pytest.approx(rate, abs=0.09)  # 4.5 standard deviations
        assert np.asarray(evaluated[block][name]["__call__"][0]).any(axis=(1, 2, 3)).all()
    # Where the only branch of block 2 is dropped, the block is its first layer.
    dropped = ~np.asarray(trained["block2"]["drop_path"]["__call__"][0]).any(axis=(1, 2, 3))
    first = np.maximum(np.asarray(trained["block2"]["conv1"]["__call__"][0]), 0)
    np.testing.assert_allclose(np.asarray(trained["block2"]["__call__"][0])[dropped], first[dropped], rtol=1e-6)


def test_without_a_rate_nothing_is_computed(residual_config):
    model = create_model(checked(residual_config), 3)
    variables = init_variables(model, jax.random.PRNGKey(0), 16)
    images = jnp.ones((2, 16, 16, 3))
    run = functools.partial(model.apply, rngs={"dropout": jax.random.PRNGKey(2)})
    trained, evaluated = (
        str(jax.make_jaxpr(functools.partial(run, train=t))(variables, images)) for t in (True, False)
    )
    assert trained == evaluated
    assert not [row.name for row in layers(model, 16) if "drop_path" in row.name]
    assert not jax.make_jaxpr(lambda x: DropPath(0.0).apply({}, x, train=True))(images).eqns


def test_stochastic_depth_needs_a_branch(tiny_config):
    tiny_config.model.drop_path = 0.1
    with pytest.raises(UserError, match="model.drop_path is 0.1 and model.blocks has no residual branch: needs one"):
        create_model(checked(tiny_config), 10)


@pytest.mark.parametrize("activation,of_minus_one", [("relu", 0.0), ("gelu", -0.1588), ("silu", -0.2689)])
def test_activations(activation, of_minus_one):
    style = dataclasses.replace(PLAIN, activation=activation)
    assert float(style.activate(jnp.array(-1.0))) == pytest.approx(of_minus_one, abs=1e-4)


def test_batch_normalisation_uses_the_batch_in_training_and_running_means_after(modern_config):
    model = create_model(checked(modern_config), 10)
    variables = init_variables(model, jax.random.PRNGKey(0), 16)
    images = jax.random.uniform(jax.random.PRNGKey(1), (8, 16, 16, 3))

    @jax.jit
    def run(variables, images):
        mutable = ["batch_stats", "intermediates"]
        return model.apply(variables, images, train=True, mutable=mutable, capture_intermediates=True)

    _, state = run(variables, images)
    normed = state["intermediates"]["block1"]["norm"]["__call__"][0]
    np.testing.assert_allclose(normed.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(normed.std(axis=(0, 1, 2)), 1, atol=1e-2)
    conv = variables["params"]["block1"]["conv"]["kernel"]
    raw = jax.lax.conv_general_dilated(
        space_to_depth(images, 2), conv, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(
        state["batch_stats"]["block1"]["norm"]["mean"], 0.1 * raw.mean(axis=(0, 1, 2)), rtol=1e-3, atol=1e-5
    )


@pytest.mark.slow
def test_group_normalisation_does_not_see_the_other_pictures(modern_config):
    modern_config.model.update(norm="group", norm_groups=4)
    model = create_model(checked(modern_config), 10)
    variables = init_variables(model, jax.random.PRNGKey(0), 16)
    assert variables.keys() == {"params"}
    images = jax.random.uniform(jax.random.PRNGKey(1), (4, 16, 16, 3))
    run = jax.jit(functools.partial(model.apply, train=True))
    together, alone = (run(variables, x) for x in (images, images[:1]))
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)
    modern_config.model.norm_groups = 3
    with pytest.raises(UserError, match=r"model.blocks\[0\].features is 8: needs a multiple of model.norm_groups=3"):
        create_model(checked(modern_config), 10)


@pytest.mark.parametrize("pooling,reduce", [("average", np.mean), ("max", np.max)])
def test_global_pooling_takes_pictures_of_any_size(modern_config, pooling, reduce):
    modern_config.model.head.pooling = pooling
    model = create_model(checked(modern_config), 3)
    variables = init_variables(model, jax.random.PRNGKey(0), 16)
    images = jax.random.uniform(jax.random.PRNGKey(1), (2, 24, 24, 3))
    run = functools.partial(model.apply, train=False, mutable=["intermediates"], capture_intermediates=True)
    logits, state = jax.jit(run)(variables, images)
    features = reduce(np.asarray(state["intermediates"]["block3"]["__call__"][0]), axis=(1, 2))
    head = variables["params"]["logits"]
    np.testing.assert_allclose(logits, features @ head["kernel"] + head["bias"], rtol=1e-4, atol=1e-5)


def test_flattening_needs_one_size(tiny_config):
    tiny_config.eval.size = 24
    with pytest.raises(UserError, match=r"model.head.pooling is 'flatten' and the sizes are \[16, 24\]"):
        create_model(checked(tiny_config), 10)
