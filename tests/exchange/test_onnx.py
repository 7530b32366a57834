"""Networks as ONNX: ONNX Runtime computes what foodjax computes."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from functions import FUNCTIONS
from networks import BACKBONES, BLOCKS, by_foodjax, create, pictures

from foodjax.exchange.to_onnx import layout
from foodjax.exchange.to_onnx.file import to_onnx
from foodjax.system.errors import UserError

onnx = pytest.importorskip("onnx", reason="needs the package onnx: pip install 'foodjax[export]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'foodjax[export]'")


def session_of(content):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def export(served):
    size, facts = served.config.data.image_size, {"foodjax": json.dumps(served.facts())}
    return to_onnx(served.function(plain=True), size, len(served.class_names), facts)


def operations(content):
    return [node.op_type for node in onnx.load_from_string(content).graph.node]


NETWORKS = [
    *BLOCKS.items(),
    *(pytest.param(name, value, marks=pytest.mark.slow) for name, value in BACKBONES.items()),
]


@pytest.mark.parametrize("name,network", NETWORKS)
def test_a_network_computes_the_same(name, network):
    served = create(*network)
    images = pictures(served)
    ours = by_foodjax(served, images)
    assert np.ptp(ours, axis=0).max() > 0.02, "opinions must differ for the comparison to mean something"
    session = session_of(export(served))
    (found,) = session.run(None, {"images": images})
    np.testing.assert_allclose(found, ours, atol=1e-4)
    for batch in (1, 2):  # the batch is free
        np.testing.assert_allclose(session.run(None, {"images": images[:batch]})[0], ours[:batch], atol=1e-4)


@pytest.mark.parametrize(
    "name,most",
    [
        ("conv", ["Cast", "Conv", "Conv", "Conv", "Conv", "MatMul", "MatMul", "MaxPool", "Relu", "Softmax"]),
        ("resnet", ["Cast", "GlobalAveragePool", "MaxPool", "Softmax", *["Conv"] * 6]),
    ],
)
def test_nodes_are_few(name, most):
    found = operations(export(create(*BLOCKS[name])))
    for op in set(most) - {"Relu"}:
        assert found.count(op) == most.count(op)
    # Of the picture, and before flatten; batch normalisation is part of the convolutions.
    assert found.count("Transpose") <= 2
    assert not {"Sub", "Sqrt", "Exp", "Expand", "ReduceMax"} & set(found)


def test_the_file_says_what_it_needs():
    served = create(*BLOCKS["mirror images"])
    session = session_of(export(served))
    facts = json.loads(session.get_modelmeta().custom_metadata_map["foodjax"])
    assert facts["class_names"] == list(served.class_names)
    assert facts["image_size"] == 12
    assert facts["temperature"] == 1.3
    assert facts["config"]["model"]["input_mean"] == [0.5, 0.4, 0.3]
    assert {facts["geometry"], facts["resize"]} == {served.config.data.geometry, served.config.data.resize}
    (given,), (found,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("images", "tensor(uint8)", ["batch", 12, 12, 3])
    assert (found.name, found.type, found.shape) == ("probabilities", "tensor(float)", ["batch", 7])


def test_bfloat16_is_computed_in_float32():
    wide = create(16, BLOCKS["conv"][1], {})
    served = wide._replace(model=wide.model.clone(dtype="bfloat16"))
    images = pictures(served)
    (found,) = session_of(export(served)).run(None, {"images": images})
    np.testing.assert_allclose(found, by_foodjax(wide, images), atol=1e-4)


def test_an_unknown_primitive_is_named():
    with pytest.raises(UserError, match="JAX's primitive 'sort', for which the ONNX export has no form") as caught:
        to_onnx(lambda x: jnp.sort(x.astype(jnp.float32).mean((1, 2)), axis=1), 8, 3, {})
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="'conv_general_dilated' with a dilated input or a grouped batch"):
        kernel = np.ones((3, 3, 3, 2), np.float32)
        to_onnx(lambda x: jax.lax.conv_transpose(x.astype(jnp.float32), kernel, (2, 2), "SAME"), 8, 2, {})


def both(function, size=6, number=3):
    """Returns (B, K) of a function of pictures by ONNX Runtime and by JAX."""
    images = np.random.default_rng(0).integers(0, 256, (number, size, size, 3), np.uint8)
    expected = np.asarray(function(jnp.asarray(images)))
    (found,) = session_of(to_onnx(function, size, expected.shape[1], {})).run(None, {"images": images})
    return found, expected


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_computes_the_same(name):
    found, expected = both(lambda images: FUNCTIONS[name](images.astype(jnp.float32)))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    "before,after,expected",
    [
        ((2, 3, 8), (2, 3, 1, 4, 2), [([0], [0]), ([1], [1]), ([2], [3, 4])]),
        ((6, 4), (24,), [([0, 1], [0])]),
        ((1, 6, 4), (4, 6, 1), [([1, 2], [0, 1])]),
    ],
)
def test_a_reshape_splits_into_groups(before, after, expected):
    assert layout.groups(before, after) == expected
