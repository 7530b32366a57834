"""The layers that benchmarks/layers.py times: each form computes the textbook's convolution and its gradients."""

import numpy as np
import pytest

from benchmarks.layer_forms import DIRECTIONS, FORMS, Layer

LAYERS = [Layer(9, 2, 3, 3, "SAME"), Layer(11, 3, 2, 5, "VALID"), Layer(1, 6, 4, 0, "VALID")]


def textbook(layer, x, kernel, gradient):
    """Returns the output and the gradients of the input and of the kernel, one tap of the kernel at a time."""
    if not layer.taps:
        return x @ kernel, gradient @ kernel.T, x.T @ gradient
    n, pad = layer.outputs, layer.pads[0][0]
    x = np.pad(x, ((0, 0), *layer.pads, (0, 0)))
    y, of_input, of_kernel = np.zeros(gradient.shape), np.zeros(x.shape), np.zeros(kernel.shape)
    for i in range(layer.taps):
        for j in range(layer.taps):
            seen = x[:, i : i + n, j : j + n]
            y += seen @ kernel[i, j]
            of_input[:, i : i + n, j : j + n] += gradient @ kernel[i, j].T
            of_kernel[i, j] = np.einsum("bhwc,bhwf->cf", seen, gradient)
    return y, of_input[:, pad : pad + layer.side, pad : pad + layer.side], of_kernel


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_a_form_computes_the_textbook_s_layer(form, layer):
    if form == "PyTorch":
        pytest.importorskip("torch", reason="needs pip install 'foodjax[bench]'")
    if not FORMS[form].fits(layer, "float32"):
        pytest.skip("this form has no such layer")
    rng = np.random.default_rng(0)
    arrays = tuple(rng.normal(size=shape).astype(np.float32) for shape in layer.shapes(4))
    runs = FORMS[form].runs(layer, arrays, "float32")
    for direction, expected in zip(DIRECTIONS, textbook(layer, *arrays), strict=True):
        np.testing.assert_allclose(np.asarray(runs[direction]()), expected, atol=2e-4, err_msg=direction)


def test_operations_are_counted_as_in_the_textbook():
    assert Layer(128, 32, 32, 3, "VALID").gflop(32) == pytest.approx(9.364, abs=1e-3)  # 2 x 32 x 126^2 x 9 x 32^2
    assert Layer(1, 2048, 1024, 0, "VALID").gflop(32) == pytest.approx(0.1342, abs=1e-4)  # 2 x 32 x 2048 x 1024
