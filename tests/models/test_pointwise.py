import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foodjax.models.pointwise import direct_pointwise_conv, pixel_product, pointwise_conv
from foodjax.models.receptive_field import trace


@pytest.mark.parametrize("height,width,stride", [(6, 5, 1), (6, 4, 2), (7, 5, 2), (1, 1, 1), (8, 7, 3)])
def test_the_product_equals_laxs_convolution_in_values_and_gradients(height, width, stride):
    rng = np.random.default_rng(height)
    x = rng.normal(size=(3, height, width, 8)).astype(np.float32)
    kernel = rng.normal(size=(1, 1, 8, 5)).astype(np.float32)
    along = rng.normal(size=(3, -(-height // stride), -(-width // stride), 5)).astype(np.float32)

    def run(form):
        y, vjp = jax.vjp(lambda x, kernel: form(x, kernel, stride), x, kernel)
        return y, *vjp(along)

    for one, other in zip(jax.jit(run, static_argnums=0)(pixel_product), run(direct_pointwise_conv), strict=True):
        assert one.shape == other.shape
        assert np.linalg.norm(one - other) <= 1e-6 * np.linalg.norm(other)


def test_it_is_a_product_on_cpu_and_laxs_convolution_elsewhere():
    x, kernel = jax.ShapeDtypeStruct((2, 6, 6, 4), np.float32), jax.ShapeDtypeStruct((1, 1, 4, 3), np.float32)
    traced = jax.jit(lambda x, w: pointwise_conv(x, w, 2)).trace(x, kernel)
    assert "stablehlo.convolution" not in traced.lower().as_text()
    assert "stablehlo.convolution" in traced.lower(lowering_platforms=("cuda",)).as_text()


def test_its_receptive_field_is_a_pixel():
    kernel = jax.ShapeDtypeStruct((1, 1, 3, 5), np.float32)
    (reach,) = trace(lambda w, x: [pointwise_conv(x, w, 2)], kernel, jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32))
    assert (reach.low, reach.high, reach.strides) == (0, 0, (0, 2, 0, 0))
