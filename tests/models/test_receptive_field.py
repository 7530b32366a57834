import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from foodjax.config.check import checked
from foodjax.models import summary
from foodjax.models.convnet import create_model
from foodjax.models.receptive_field import trace


def shapes(size, channels=1):
    return jax.ShapeDtypeStruct((1, size, size, channels), np.float32)


class Odd(nn.Module):
    """Strides, dilation, a pool of flax, a residual sum with a longer way, patches, normalisation."""

    @nn.compact
    def __call__(self, x):
        b, h, w, c = x.shape
        x = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(b, h // 2, w // 2, 4 * c)
        x = nn.Conv(3, (3, 3), strides=2, padding=((1, 1), (1, 1)))(x)
        y = nn.relu(nn.GroupNorm(1, use_fast_variance=False)(x) * 0 + nn.Conv(3, (3, 3), kernel_dilation=2)(x))
        return nn.max_pool(x + y, (3, 3), (2, 2), "SAME")


class Plain(nn.Module):
    """What `Odd` is without the normalisation, which sees everything."""

    @nn.compact
    def __call__(self, x):
        b, h, w, c = x.shape
        x = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(b, h // 2, w // 2, 4 * c)
        x = nn.Conv(3, (3, 3), strides=2, padding=((1, 1), (1, 1)))(x)
        y = nn.silu(nn.Conv(3, (3, 3), kernel_dilation=2)(x))
        return nn.max_pool(x + y, (3, 3), (2, 2), "SAME")


def test_it_is_what_gradients_say():
    """The rows of a derivative that are not zero, in the middle of a large picture."""
    model, size = Plain(), 96
    images = np.random.default_rng(0).uniform(size=(1, size, size, 1)).astype(np.float32)
    variables = jax.jit(model.init)(jax.random.PRNGKey(0), images)
    (reach,) = trace(lambda v, x: [model.apply(v, x)], variables, shapes(size))
    middle = 6

    def one(x):
        return model.apply(variables, x)[0, middle].sum()

    gradient, rows = jax.jit(jax.grad(one)), set()
    for seed in range(40):  # the maximum falls on every entry of the window sooner or later
        noise = np.random.default_rng(seed).uniform(size=images.shape).astype(np.float32)
        rows |= set(np.flatnonzero(np.abs(gradient(noise)).sum(axis=(0, 2, 3))).tolist())
    shift = reach.strides[1] * middle
    assert (min(rows), max(rows)) == (reach.low + shift, reach.high + shift)
    assert reach.strides == (0, 8, 0, 0)
    assert reach.size == 30


def test_a_normalisation_over_the_picture_sees_everything():
    model = Odd()
    variables = jax.eval_shape(lambda: model.init(jax.random.PRNGKey(0), jnp.zeros((1, 32, 32, 1))))
    (reach,) = trace(lambda v, x: [model.apply(v, x)], variables, shapes(32))
    assert reach.size >= 32


def test_a_normalisation_over_channels_sees_what_its_input_does():
    model = nn.Sequential([nn.Conv(3, (5, 5), 2), nn.LayerNorm(), nn.Conv(3, (3, 3)), nn.LayerNorm()])
    variables = jax.eval_shape(lambda: model.init(jax.random.PRNGKey(0), jnp.zeros((1, 32, 32, 1))))
    (reach,) = trace(lambda v, x: [model.apply(v, x)], variables, shapes(32))
    assert reach.size == 5 + 2 * 2
    assert reach.strides == (0, 2, 0, 0)


def test_one_row_that_is_added_to_every_row_is_seen_by_all():
    def add_row(_, x):
        return [x[:, :4] + x[:, 9:10]]

    (reach,) = trace(add_row, (), shapes(16))
    assert (reach.low, reach.high, reach.strides) == (0, 9, (0, 0, 0, 0))
    (reach,) = trace(lambda _, x: [x / x[0, 3, 4, 0]], (), shapes(16))
    assert (reach.low, reach.high, reach.strides) == (0, 15, (0, 0, 0, 0))


# layer, receptive field, multiply-adds: by hand, r += (k - 1) j with the jump j doubled by each pool
TUTORIAL = [
    ("block1/conv1", 3, 128 * 128 * 9 * 3 * 32),
    ("block1/conv2", 5, 126 * 126 * 9 * 32 * 32),
    ("block2/conv1", 10, 63 * 63 * 9 * 32 * 64),
    ("block2/conv2", 14, 61 * 61 * 9 * 64 * 64),
    ("block3/conv1", 24, 30 * 30 * 9 * 64 * 128),
    ("block3/conv2", 32, 28 * 28 * 9 * 128 * 128),
    ("block4/conv1", 68, 14 * 14 * 25 * 128 * 512),
    ("block4/conv2", 100, 10 * 10 * 25 * 512 * 512),
    ("dense1", None, 2048 * 1024),
    ("logits", None, 1024 * 10),
]


def test_the_tutorials_layers_by_hand():
    from experiments import food10

    model = create_model(checked(food10.get_config()), 10)
    rows = [row for row in summary.layers(model, 128) if row.num_params]
    assert [(row.name, row.receptive_field, row.multiply_adds) for row in rows] == TUTORIAL


def test_what_cannot_be_told_is_everything():
    (reach,) = trace(lambda _, x: [jnp.sort(x, axis=1)], {}, shapes(8))
    assert reach.size == float("inf")
    (reach,) = trace(lambda _, x: [jnp.einsum("bhwc,bkwc->bhk", x, x)], {}, shapes(8))
    assert reach.size == float("inf")


def test_slices_pads_and_sums():
    def function(_, x):
        x = jnp.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)))
        return [x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:], jnp.ones(3)]

    reach, none = trace(function, {}, shapes(8))
    assert reach == (-1, 1, (0, 1, 0, 0))
    assert none is None


def test_ten_blocks_keep_their_order():
    from experiments import demo

    config = demo.get_config()
    config.model.blocks = tuple(
        dict(kind="conv", features=4, kernel=3, padding=("SAME",), pool=1, dropout=0.0) for _ in range(10)
    )
    rows = [row for row in summary.layers(create_model(checked(config), 3), 16) if row.name.endswith("conv1")]
    assert [row.name for row in rows] == [f"block{i}/conv1" for i in range(1, 11)]
    assert [row.receptive_field for row in rows] == list(range(3, 22, 2))
