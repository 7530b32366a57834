import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from foodjax.models.convolution import conv, direct_conv, product_conv
from foodjax.models.winograd import cook_toom, winograd_conv

MAPS = [(1, 8, 6), (2, 7, 9), (3, 8, 6), (4, 7, 9), (5, 7, 9), (5, 8, 6)]
MORE_MAPS = [pytest.param(*shape, marks=pytest.mark.slow) for shape in ((1, 7, 9), (2, 8, 6), (3, 7, 9), (4, 8, 6))]
TINY = [(3, 2, 2), (3, 1, 3), (3, 1, 1), (5, 3, 4), (5, 2, 1)]


def values_and_gradients(function, *arguments, along=None):
    """The value y and the gradients of sum(y * along); along y itself by default. Compiled once: ops alone are slow."""

    @jax.jit
    def run(*arguments):
        y, vjp = jax.vjp(function, *arguments)
        return y, *vjp(y if along is None else along)

    return run(*arguments)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("kernel,height,width", MAPS + MORE_MAPS + TINY)
def test_conv_equals_laxs_in_values_and_gradients(padding, kernel, height, width):
    if padding == "VALID" and kernel > min(height, width):
        height, width = height + kernel - 1, width + kernel - 1  # so much is left
    keys = jax.random.split(jax.random.PRNGKey(kernel), 3)
    x = jax.random.normal(keys[0], (2, height, width, 3))
    w = jax.random.normal(keys[1], (kernel, kernel, 3, 4))

    def reference(x, w):
        return lax.conv_general_dilated(x, w, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    g = jax.random.normal(keys[2], jax.eval_shape(reference, x, w).shape)
    ours = values_and_gradients(lambda x, w: conv(x, w, padding), x, w, along=g)
    for one, other in zip(ours, values_and_gradients(reference, x, w, along=g), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4, strict=True)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("kernel,channels", [(3, 3), (4, 3), (5, 64)])
@pytest.mark.parametrize("size", [(2, 3), pytest.param((4, 5), marks=pytest.mark.slow), (6, 4)])
def test_a_part_of_a_convolution_is_the_first_rows_and_columns_of_the_whole(padding, kernel, channels, size):
    keys = jax.random.split(jax.random.PRNGKey(kernel), 3)
    x = jax.random.normal(keys[0], (2, 10, 9, channels), float)
    w = jax.random.normal(keys[1], (kernel, kernel, channels, 4)) / channels

    def reference(x, w):
        y = lax.conv_general_dilated(x, w, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return y[:, : size[0], : size[1]]

    g = jax.random.normal(keys[2], (2, *size, 4))
    ours = values_and_gradients(lambda x, w: conv(x, w, padding, size), x, w, along=g)
    for one, other in zip(ours, values_and_gradients(reference, x, w, along=g), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4, strict=True)


@pytest.mark.parametrize("form", [winograd_conv, product_conv])
def test_convolutions_hold_in_float64(form):
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 14, 13, 64)))
        w = jnp.asarray(np.random.default_rng(1).normal(size=(5, 5, 64, 8)))
        pads = ((2, 0), (0, 2))
        ours = values_and_gradients(lambda x, w: form(x, w, pads), x, w)
        theirs = values_and_gradients(lambda x, w: direct_conv(x, w, pads), x, w)
        for one, other in zip(ours, theirs, strict=True):
            assert one.dtype == np.float64
            assert one.shape == other.shape
            assert np.linalg.norm(np.subtract(one, other)) < 1e-12 * np.linalg.norm(other)


@pytest.mark.parametrize(
    "kernel,height,width,expected",
    [(3, 3, 3, False), (3, 2, 4, True), (3, 2, 2, True), (5, 4, 6, True), (1, 1, 1, False)],
)
def test_tiny_maps_are_products_on_cpu(kernel, height, width, expected):
    x, w = jnp.zeros((2, height, width, 3)), jnp.zeros((kernel, kernel, 3, 4))
    text = jax.jit(lambda x, w: conv(x, w, "SAME")).lower(x, w).as_text()
    assert ("dot_general" in text, "stablehlo.convolution" in text) == (expected, not expected)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    "tile,kernel", [pytest.param(tile, 3, marks=pytest.mark.slow) for tile in (2, 4)] + [(2, 5), (4, 5)]
)
def test_winograd_equals_the_direct_convolution_in_values_and_gradients(padding, tile, kernel):
    keys = jax.random.split(jax.random.PRNGKey(tile), 3)
    x = jax.nn.relu(jax.random.normal(keys[0], (2, 14, 9, 64)))
    w = jax.random.normal(keys[1], (kernel, kernel, 64, 8)) / 100
    pads = ((1, 2), (0, 3)) if padding == "SAME" else ((0, 0), (0, 0))
    g = jax.random.normal(keys[2], jax.eval_shape(lambda x, w: direct_conv(x, w, pads), x, w).shape)
    ours = values_and_gradients(lambda x, w: winograd_conv(x, w, pads, tile), x, w, along=g)
    theirs = values_and_gradients(lambda x, w: direct_conv(x, w, pads), x, w, along=g)
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        assert np.linalg.norm(np.subtract(one, other)) < 1e-5 * np.linalg.norm(other)


def test_winograd_serves_large_kernels_on_cpu_and_its_matrices_interpolate():
    x, w = jnp.ones((1, 14, 14, 64)), jnp.ones((5, 5, 64, 2))
    text = jax.jit(lambda x, w: conv(x, w, "SAME")).lower(x, w).as_text()
    assert "stablehlo.convolution" not in text
    a, g, bt = cook_toom(2, 3)
    taps, signal = np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 7.0, 11.0])
    np.testing.assert_allclose(a.T @ ((g @ taps) * (bt @ signal)), np.correlate(signal, taps), rtol=1e-12)
    with pytest.raises(ValueError, match="at most 8"):
        cook_toom(6, 5)
