"""Writes a graph as an ONNX file."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from foodjax.exchange.to_onnx.graph import Graph, Node
from foodjax.exchange.to_onnx.simplify import simplify
from foodjax.exchange.to_onnx.walk import IMAGES, to_graph
from foodjax.system.version import version

PROBABILITIES = "probabilities"  # name of the output
# Operations as of ONNX 1.14; a file of that format is read by every runtime since then.
_OPSET, _IR = 18, 8


def to_onnx(function: Callable[[Any], jax.Array], size: int, num_classes: int, facts: Mapping[str, str]) -> bytes:
    """Returns the ONNX file of a function of pictures; its batch is free.

    Args:
        function: of pictures uint8 (B, size, size, 3); returns probabilities (B, num_classes).
        size: side of the pictures, pixels.
        num_classes: K.
        facts: metadata of the file.

    Raises:
        UserError: the function uses a primitive of JAX that the export does not know.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = to_graph(function, size)
    simplify(graph)
    _rename(graph)
    model = helper.make_model(
        helper.make_graph(
            [_node(node) for node in graph.nodes],
            "foodjax",
            [helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ["batch", size, size, 3])],
            [helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["batch", num_classes])],
            [numpy_helper.from_array(array, name) for name, array in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR,
        producer_name="foodjax",
        producer_version=version(),
    )
    helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _node(node: Node) -> Any:
    from onnx import helper

    return helper.make_node(node.op, node.inputs, [node.output], name=node.output, **node.attributes)


def _rename(graph: Graph) -> None:
    """Names tensors by the operation that makes them, and the result."""
    names = {node.output: f"{node.op.lower()}_{i}" for i, node in enumerate(graph.nodes, start=1)}
    names[graph.output] = PROBABILITIES
    for node in graph.nodes:
        node.inputs = [names.get(name, name) for name in node.inputs]
        node.output = names[node.output]
