import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from foodjax.models.ops import add_bias, drop_path, dropout, max_pool, threefry


def test_the_gradient_of_a_bias_is_the_sum_over_pixels():
    x, b = jnp.arange(24.0).reshape(2, 3, 2, 2), jnp.array([1.0, -2.0])
    y, vjp = jax.vjp(add_bias, x, b)
    np.testing.assert_array_equal(y, x + b)
    dx, db = vjp(y)
    np.testing.assert_array_equal(dx, y)
    np.testing.assert_allclose(db, y.sum(axis=(0, 1, 2)), rtol=1e-6)


def test_equal_maxima_send_the_gradient_to_the_first_in_row_order():
    x = jnp.array([[5.0, 5.0, 0.0, 1.0], [5.0, 5.0, 2.0, 2.0]])[None, :, :, None]
    (dx,) = jax.vjp(lambda x: max_pool(x, 2), x)[1](jnp.full((1, 1, 2, 1), 3.0))
    np.testing.assert_array_equal(dx[0, :, :, 0], [[3, 0, 0, 0], [0, 0, 3, 0]])


def test_threefry_is_the_published_one_and_dropout_drops_its_share():
    full = jnp.uint32(0xFFFFFFFF)
    for word, expected in ((jnp.uint32(0), (0x6B200159, 0x99BA4EFE)), (full, (0x1CB996FC, 0xBB002BE7))):
        assert tuple(map(int, threefry(jnp.stack([word, word]), word, word))) == expected
    x = jnp.full((400, 500), 3.0)
    y = jax.jit(dropout, static_argnums=1)(x, 0.2, jax.random.PRNGKey(7))
    kept = np.asarray(y > 0)
    assert abs(kept.mean() - 0.8) < 0.004  # 4.5 standard deviations
    np.testing.assert_allclose(np.asarray(y)[kept], 3 / 0.8, rtol=1e-6)
    assert abs(np.corrcoef(kept[:, 1:].ravel(), kept[:, :-1].ravel())[0, 1]) < 0.012
    assert (np.asarray(dropout(x, 0.2, jax.random.PRNGKey(8)) > 0) != kept).mean() == pytest.approx(0.32, abs=0.006)


def test_drop_path_drops_whole_examples():
    x = jax.random.uniform(jax.random.PRNGKey(0), (2000, 3, 2, 5), minval=1.0)
    y = np.asarray(jax.jit(drop_path, static_argnums=1)(x, 0.3, jax.random.PRNGKey(1)))
    kept = (y != 0).any(axis=(1, 2, 3))
    assert abs(kept.mean() - 0.7) < 0.046  # 4.5 standard deviations
    np.testing.assert_array_equal(y[~kept], 0)
    np.testing.assert_allclose(y[kept], np.asarray(x)[kept] / 0.7, rtol=1e-6)
    again = np.asarray(drop_path(x, 0.3, jax.random.PRNGKey(2)))
    assert ((again != 0).any(axis=(1, 2, 3)) != kept).mean() == pytest.approx(2 * 0.3 * 0.7, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("size,window,expected", [(126, 2, 63), (61, 2, 30), (10, 4, 2), (5, 1, 5), (40, 20, 2)])
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
