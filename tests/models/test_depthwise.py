import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from foodjax.models.depthwise import depthwise_conv, direct_depthwise_conv, shifted_conv
from foodjax.models.receptive_field import trace

# Rows and columns, k, stride, padding: symmetric as PyTorch pads, asymmetric as TensorFlow's SAME does for even sizes,
# none, more than the kernel reaches, and rows that no window reaches.
CASES = [
    (8, 6, 3, 1, ((1, 1), (1, 1))),
    (7, 9, 3, 2, ((1, 1), (1, 1))),
    (8, 6, 3, 2, ((0, 1), (0, 1))),
    (8, 6, 3, 2, ((1, 1), (1, 1))),
    (7, 9, 5, 1, ((2, 2), (2, 2))),
    (9, 7, 5, 2, ((2, 2), (2, 2))),
    (8, 10, 5, 2, ((1, 2), (1, 2))),
    (9, 8, 7, 1, ((3, 3), (3, 3))),
    (8, 9, 7, 2, ((2, 3), (3, 3))),
    (9, 8, 3, 1, ((0, 0), (0, 0))),
    (10, 8, 3, 2, ((0, 0), (0, 0))),
    (6, 5, 3, 1, ((3, 4), (0, 5))),
    (6, 5, 3, 2, ((4, 0), (1, 5))),
    (11, 10, 3, 3, ((1, 1), (0, 0))),
    (3, 2, 5, 1, ((2, 2), (2, 2))),
    (5, 6, 1, 1, ((0, 0), (0, 0))),
    (5, 6, 1, 2, ((0, 0), (0, 0))),
    (6, 6, 2, 2, ((0, 0), (0, 0))),
]


def values_and_gradients(function, x, kernel, along):
    @jax.jit
    def run(x, kernel, along):
        y, vjp = jax.vjp(function, x, kernel)
        return y, *vjp(along)

    return run(x, kernel, along)


@pytest.mark.slow
@pytest.mark.parametrize("height,width,taps,stride,padding", CASES)
def test_shifted_products_equal_laxs_convolution_in_values_and_gradients(height, width, taps, stride, padding):
    rng = np.random.default_rng(taps)
    x = rng.normal(size=(3, height, width, 4)).astype(np.float32)
    kernel = rng.normal(size=(taps, taps, 1, 4)).astype(np.float32)

    def reference(x, kernel):
        names = ("NHWC", "HWIO", "NHWC")
        strides = (stride, stride)
        return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=names, feature_group_count=4)

    along = rng.normal(size=jax.eval_shape(reference, x, kernel).shape).astype(np.float32)
    ours = values_and_gradients(lambda x, w: shifted_conv(x, w, stride, padding), x, kernel, along)
    theirs = values_and_gradients(reference, x, kernel, along)
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        assert np.linalg.norm(np.subtract(one, other)) <= 1e-6 * np.linalg.norm(other)


def test_it_is_shifted_products_on_cpu_and_laxs_convolution_elsewhere():
    x, kernel, padding = jnp.ones((2, 8, 8, 4)), jnp.ones((3, 3, 1, 4)), ((1, 1), (1, 1))
    lowered = jax.jit(lambda x, w: depthwise_conv(x, w, 2, padding))
    assert "stablehlo.convolution" not in lowered.lower(x, kernel).as_text()
    text = lowered.trace(x, kernel).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("stablehlo.convolution") == 1
    np.testing.assert_array_equal(lowered(x, kernel), direct_depthwise_conv(x, kernel, 2, padding))


def test_its_receptive_field_is_the_kernel():
    kernel = jax.ShapeDtypeStruct((5, 5, 1, 3), np.float32)
    images = jax.ShapeDtypeStruct((1, 20, 20, 3), np.float32)
    (reach,) = trace(lambda w, x: [depthwise_conv(x, w, 2, ((1, 2), (1, 2)))], kernel, images)
    assert (reach.low, reach.high, reach.strides) == (-1, 3, (0, 2, 0, 0))


@pytest.mark.parametrize("batch,height,width,channels,stride", [(1, 9, 11, 5, 1), (4, 3, 262, 2, 2), (5, 7, 7, 96, 1)])
def test_the_gradient_of_the_kernel_in_tiles_is_that_of_laxs_convolution(batch, height, width, channels, stride):
    """One picture; 131 columns, more than a tile has and no multiple of it; groups of channels."""
    rng = np.random.default_rng(batch)
    x = rng.normal(size=(batch, height, width, channels)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 1, channels)).astype(np.float32)
    padding = ((1, 1), (1, 1))
    along = rng.normal(size=jax.eval_shape(lambda x: shifted_conv(x, kernel, stride, padding), x).shape)
    along = along.astype(np.float32)
    ours = values_and_gradients(lambda x, w: shifted_conv(x, w, stride, padding), x, kernel, along)
    theirs = values_and_gradients(lambda x, w: direct_depthwise_conv(x, w, stride, padding), x, kernel, along)
    for one, other in zip(ours, theirs, strict=True):
        assert np.linalg.norm(np.subtract(one, other)) <= 1e-6 * np.linalg.norm(other)
