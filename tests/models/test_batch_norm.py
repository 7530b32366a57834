import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foodjax.models.batch_norm import batch_norm_train, plain_batch_norm, summed_batch_norm


def data(shape, mean=3.0):
    """x, scale, bias; and gradients of y, mean and variance."""
    rng = np.random.default_rng(sum(shape))
    channels = shape[-1:]
    x = rng.normal(size=shape) * rng.uniform(0.5, 2, channels) + mean * rng.normal(size=channels)
    parts = [x, rng.uniform(0.5, 3, channels), 2 * rng.normal(size=channels)]
    return parts, [rng.normal(size=shape), rng.normal(size=channels), rng.normal(size=channels)]


def reference(parts, gradients, epsilon, activation):
    """The plain form in float64, and its gradients."""
    with jax.enable_x64(True):
        parts, gradients = (jax.tree.map(jnp.float64, arrays) for arrays in (parts, gradients))
        y, vjp = jax.vjp(lambda *parts: plain_batch_norm(*parts, epsilon, activation), *parts)
        return jax.device_get([*y, *vjp(tuple(gradients))])


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["none", "relu", "relu6"])
@pytest.mark.parametrize("shape", [(2, 8, 4, 5), (3, 7, 5, 16), (1, 3, 3, 4), (1, 4, 4, 2), (2, 1, 1, 3)])
def test_values_and_gradients_equal_the_plain_form(shape, activation):
    parts, gradients = (jax.tree.map(np.float32, arrays) for arrays in data(shape))

    @jax.jit
    def run(parts, gradients):
        y, vjp = jax.vjp(lambda *parts: summed_batch_norm(*parts, 1e-3, activation), *parts)
        return [*y, *vjp(tuple(gradients))]

    for one, other in zip(run(parts, gradients), reference(parts, gradients, 1e-3, activation), strict=True):
        assert one.shape == other.shape
        assert np.linalg.norm(one - other) < 1e-5 * np.linalg.norm(other)


def test_the_plain_form_is_the_one_of_the_paper():
    (x, scale, bias), _ = data((2, 5, 4, 3))
    y, mean, var = plain_batch_norm(*(jnp.float32(part) for part in (x, scale, bias)), 1e-2, "relu6")
    np.testing.assert_allclose(mean, x.mean((0, 1, 2)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(var, x.var((0, 1, 2)), rtol=1e-5)
    expected = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-2) * scale + bias
    np.testing.assert_allclose(y, np.clip(expected, 0, 6), rtol=1e-4, atol=1e-5)
    assert expected.min() < 0  # both limits act
    assert expected.max() > 6


def test_the_variance_keeps_its_digits_when_the_mean_is_large():
    (x, scale, bias), _ = data((4, 9, 9, 8), mean=3000.0)
    x = np.float32(x)
    y, mean, var = jax.jit(summed_batch_norm, static_argnums=(3, 4))(
        x, np.float32(scale), np.float32(bias), 1e-3, "none"
    )
    exact = np.float64(x)
    np.testing.assert_allclose(mean, exact.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var((0, 1, 2)), rtol=1e-5)
    normalised = np.float64(scale) * (exact - exact.mean((0, 1, 2))) / np.sqrt(exact.var((0, 1, 2)) + 1e-3) + bias
    assert np.linalg.norm(y - normalised) < 1e-3 * np.linalg.norm(normalised)


def test_the_sums_are_products_on_cpu_and_xlas_own_elsewhere():
    shape = jax.ShapeDtypeStruct((2, 8, 8, 4), np.float32)
    channels = jax.ShapeDtypeStruct((4,), np.float32)
    traced = jax.jit(lambda x, s, b: batch_norm_train(x, s, b, 1e-3)).trace(shape, channels, channels)
    assert "dot_general" in traced.lower().as_text()
    assert "dot_general" not in traced.lower(lowering_platforms=("cuda",)).as_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "activation,expected", [("relu", [0, 0, 1, 1, 1, 1, 1, 1]), ("relu6", [0, 0, 1, 1, 0, 0, 0, 0])]
)
def test_the_slope_of_the_activation_is_0_at_its_limits_and_outside(activation, expected):
    bias = jnp.array([-1e30, 0, 1e-30, np.nextafter(np.float32(6), np.float32(0)), 6, 7, 1e30, 3e38], jnp.float32)
    x, scale = jnp.arange(48.0).reshape(1, 2, 3, 8), jnp.zeros(8)  # so that y is the bias
    y, vjp = jax.vjp(lambda bias: summed_batch_norm(x, scale, bias, 1e-3, activation)[0], bias)
    np.testing.assert_allclose(vjp(jnp.ones_like(y))[0], 6 * np.float32(expected))
