import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foodjax.models.overlapping_pool import max_pool_3x3, plain_max_pool_3x3, remembered_max_pool_3x3
from foodjax.models.receptive_field import trace


@pytest.mark.parametrize("height,width", [(8, 6), (7, 8), (6, 5), (9, 7), (1, 1), (2, 1)])
@pytest.mark.parametrize("limited", [False, True])  # after a rectifier, most windows have maxima that are equal: 0
def test_it_equals_reduce_window_in_values_and_gradients(height, width, limited):
    rng = np.random.default_rng(10 * height + width)
    x = rng.normal(size=(3, height, width, 4)).astype(np.float32) - limited
    x = np.maximum(x, 0) if limited else x
    along = rng.integers(-8, 9, (3, -(-height // 2), -(-width // 2), 4)).astype(np.float32)  # sums are exact

    def run(form):
        y, vjp = jax.vjp(form, x)
        return y, *vjp(along)

    for one, other in zip(
        jax.jit(run, static_argnums=0)(remembered_max_pool_3x3), run(plain_max_pool_3x3), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_accelerators_have_xlas_own_form():
    traced = jax.jit(max_pool_3x3).trace(jax.ShapeDtypeStruct((2, 6, 6, 4), np.float32))
    assert "stablehlo.reduce_window" not in traced.lower().as_text()
    assert "stablehlo.reduce_window" in traced.lower(lowering_platforms=("cuda",)).as_text()


def test_its_receptive_field_is_a_window():
    (reach,) = trace(lambda _, x: [max_pool_3x3(x)], None, jax.ShapeDtypeStruct((1, 9, 9, 2), jnp.float32))
    assert (reach.low, reach.high, reach.strides) == (-1, 1, (0, 2, 0, 0))  # of rows
