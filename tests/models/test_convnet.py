import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import food10
from foodjax.config.check import checked
from foodjax.models.convnet import create_model, init_params
from foodjax.models.summary import layers
from foodjax.system.errors import UserError

# Layer, output (H, W, C), parameters: tutorial.md's table. Pooling ends in the row of the block's dropout.
TABLE = [
    ("block1/conv1", (128, 128, 32), 896),
    ("block1/conv2", (126, 126, 32), 9_248),
    ("block1/dropout", (63, 63, 32), 0),
    ("block2/conv1", (63, 63, 64), 18_496),
    ("block2/conv2", (61, 61, 64), 36_928),
    ("block2/dropout", (30, 30, 64), 0),
    ("block3/conv1", (30, 30, 128), 73_856),
    ("block3/conv2", (28, 28, 128), 147_584),
    ("block3/dropout", (14, 14, 128), 0),
    ("block4/conv1", (14, 14, 512), 1_638_912),
    ("block4/conv2", (10, 10, 512), 6_554_112),
    ("block4/dropout", (2, 2, 512), 0),
    ("dense1", (1024,), 2_098_176),
    ("dropout1", (1024,), 0),
    ("logits", (10,), 10_250),
]


def test_every_layer_has_the_tutorials_shape_and_parameters():
    rows = layers(create_model(checked(food10.get_config()), 10), 128)
    assert [(row.name, row.output, row.num_params) for row in rows] == TABLE
    assert sum(row.num_params for row in rows) == 10_588_458


@pytest.mark.parametrize("drop", range(4))
def test_a_block_can_be_dropped(drop):
    config = food10.get_config()
    config.model.blocks = tuple(b for i, b in enumerate(config.model.blocks) if i != drop)
    rows = layers(create_model(checked(config), 10), 128)
    assert len({row.name.split("/")[0] for row in rows if "block" in row.name}) == 3
    assert rows[-1].output == (10,)


def test_average_pooling_replaces_flattening():
    config = food10.get_config()
    config.model.head.pooling = "average"
    rows = {row.name: row for row in layers(create_model(checked(config), 10), 128)}
    assert rows["dense1"].num_params == 512 * 1024 + 1024


def test_a_picture_that_no_block_can_take_is_refused():
    config = food10.get_config()
    config.data.image_size = 32
    with pytest.raises(UserError, match=r"model.blocks\[3\] gets 2 x 2 pixels and leaves none"):
        create_model(checked(config), 10)


def test_kernels_start_glorot_uniform_and_biases_at_zero():
    config = food10.get_config()
    params = init_params(create_model(checked(config), 10), jax.random.PRNGKey(3), 128)
    kernel = np.asarray(params["block3"]["conv2"]["kernel"])
    limit = np.sqrt(6 / (3 * 3 * 128 + 3 * 3 * 128))
    assert np.abs(kernel).max() <= limit
    assert np.abs(kernel).max() > 0.999 * limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.01)
    biases = [x for path, x in jax.tree_util.tree_leaves_with_path(params) if path[-1].key == "bias"]
    assert len(biases) == 10
    assert not any(np.any(x) for x in biases)


@pytest.mark.slow
def test_dropout_acts_in_training_alone(tiny_config):
    model = create_model(checked(tiny_config), 10)
    params = init_params(model, jax.random.PRNGKey(0), 16)
    images = jax.random.uniform(jax.random.PRNGKey(1), (4, 16, 16, 3))
    apply = lambda train, seed: model.apply(  # noqa: E731
        {"params": params}, images, train=train, rngs={"dropout": jax.random.PRNGKey(seed)}
    )
    assert jnp.array_equal(apply(False, 0), apply(False, 1))
    assert not jnp.array_equal(apply(True, 0), apply(True, 1))
