import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from foodjax.ops import conv, max_pool


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("height,width", [(7, 9), (8, 6)])
def test_conv_equals_laxs_in_values_and_gradients(padding, kernel, height, width):
    keys = jax.random.split(jax.random.PRNGKey(kernel), 3)
    x = jax.random.normal(keys[0], (2, height, width, 3))
    w = jax.random.normal(keys[1], (kernel, kernel, 3, 4))

    def reference(x, w):
        return lax.conv_general_dilated(x, w, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    y, vjp = jax.vjp(lambda x, w: conv(x, w, padding), x, w)
    expected, expected_vjp = jax.vjp(reference, x, w)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    g = jax.random.normal(keys[2], y.shape)
    for ours, theirs in zip(vjp(g), expected_vjp(g), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size,window,expected", [(126, 2, 63), (61, 2, 30), (10, 4, 2), (5, 1, 5)])
def test_max_pool_equals_reduce_window(size, window, expected):
    x = jax.random.normal(jax.random.PRNGKey(0), (2, size, size, 3))

    def reference(x):
        shape = (1, window, window, 1)
        return lax.reduce_window(x, -jnp.inf, lax.max, shape, shape, "VALID")

    y, vjp = jax.vjp(lambda x: max_pool(x, window), x)
    z, expected_vjp = jax.vjp(reference, x)
    assert y.shape == (2, expected, expected, 3)
    np.testing.assert_array_equal(y, z)
    g = jnp.ones_like(y)
    np.testing.assert_array_equal(vjp(g)[0], expected_vjp(g)[0])
