import jax
import pytest

from experiments import food10
from foodjax.config.check import checked, replace
from foodjax.models.convnet import create_model, init_params
from foodjax.steps.depths import depth_of, first_match, order_of, path_of

STAGES = ("backbone/stem/*", "backbone/blocks1_*", "backbone/blocks2_*", "backbone/*", "*")


@pytest.fixture(scope="module")
def params():
    """Shapes of the tutorial's parameters."""
    config = checked(food10.get_config("data.image_size=128"))
    model = create_model(config, 10)
    return jax.eval_shape(lambda: init_params(model, jax.random.PRNGKey(0), 128))


def test_a_block_is_one_deeper_than_the_one_before_and_the_head_is_the_deepest(params):
    order = order_of(checked(food10.get_config()))
    assert order == ("block1/*", "block2/*", "block3/*", "block4/*", "*")
    by_layer = {}
    for keys, _ in jax.tree_util.tree_leaves_with_path(params):
        by_layer.setdefault(keys[0].key, set()).add(depth_of(path_of(keys), order))
    assert by_layer == {"block1": {0}, "block2": {1}, "block3": {2}, "block4": {3}, "dense1": {4}, "logits": {4}}


def test_ten_blocks_are_told_apart():
    config = checked(food10.get_config())
    order = order_of(replace(config, {"model.blocks": (config.model.blocks[0],) * 12}))
    assert depth_of("block1/conv1/kernel", order) == 0
    assert depth_of("block10/conv1/kernel", order) == 9
    assert depth_of("block12/conv1/kernel", order) == 11
    assert depth_of("logits/bias", order) == 12


@pytest.mark.parametrize(
    "path,depth",
    [
        ("backbone/stem/conv/kernel", 0),
        ("backbone/blocks1_0/expand/kernel", 1),
        ("backbone/blocks2_3/expand/norm/scale", 2),
        ("backbone/blocks12_3/expand/kernel", 3),
        ("backbone/norm/scale", 3),
        ("logits/kernel", 4),
    ],
)
def test_any_order_of_patterns_gives_depths(path, depth):
    assert depth_of(path, STAGES) == depth


def test_a_parameter_without_a_place_is_an_error():
    with pytest.raises(ValueError, match=r"parameter logits/bias has no place in the order \('block1/\*',\)"):
        depth_of("logits/bias", ("block1/*",))


@pytest.mark.parametrize(
    "path,patterns,index",
    [
        ("block1/conv1/kernel", ["block1/*"], 0),
        ("block10/conv1/kernel", ["block1/*", "block1*"], 1),
        ("block1/conv1/kernel", ["*/kernel", "block1/*"], 0),
        ("block1/conv1/bias", ["*/kernel", "block[12]/*"], 1),
        ("block3/conv1/bias", ["*/kernel", "block[12]/*"], None),
        ("Block1/bias", ["block1/*"], None),
        ("logits/bias", ["logits"], None),
    ],
)
def test_patterns_are_those_of_shells_with_a_star_that_matches_slashes(path, patterns, index):
    assert first_match(path, patterns) == index


def test_a_path_has_the_names_of_modules_and_parameter():
    ((keys, _),) = jax.tree_util.tree_leaves_with_path({"block1": {"conv1": {"kernel": 1.0}}})
    assert path_of(keys) == "block1/conv1/kernel"


def test_a_backbone_has_its_stem_its_stages_and_a_head():
    config = replace(checked(food10.get_config()), {"model.backbone": "efficientnet_lite0", "model.blocks": ()})
    paths = ("backbone/bn1/scale", "backbone/blocks_0_0/bn1/scale", "backbone/blocks_6_0/conv_dw/kernel",
             "backbone/conv_head/kernel", "logits/bias")  # fmt: skip
    assert [depth_of(path, order_of(config)) for path in paths] == [0, 1, 7, 7, 8]
