"""Makes a graph smaller: fewer nodes with the same values.

Multiplying and adding constants moves into the convolution or the matrix product before it; so batch normalisation
costs nothing. Sums become means, and exponentials over their sum a softmax, which runtimes have as one operation.
"""

from collections import Counter

import numpy as np

from foodjax.exchange.to_onnx.graph import Graph, Node

_AFFINE = "Affine"  # x * scale + shift; no operation of ONNX, it lives in these passes alone


def simplify(graph: Graph) -> None:
    """Replaces nodes, and leaves out nodes and constants without a use."""
    _to_affine(graph)
    _merge(graph)
    _find_means(graph)
    _from_affine(graph)
    _find_softmax(graph)
    _find_limits(graph)
    _leave_out(graph)


def _producers(graph: Graph) -> dict[str, Node]:
    return {node.output: node for node in graph.nodes}


def _uses(graph: Graph) -> Counter[str]:
    found = Counter(name for node in graph.nodes for name in node.inputs)
    found[graph.output] += 1
    return found


def _to_affine(graph: Graph) -> None:
    """Replaces sums, differences, products and quotients with a constant of floats."""
    for node in graph.nodes:
        if node.op not in ("Add", "Sub", "Mul", "Div"):
            continue
        arrays = [graph.constants.get(name) for name in node.inputs]
        if sum(array is not None for array in arrays) != 1:
            continue
        first = arrays[0] is not None
        array = arrays[0] if first else arrays[1]
        assert array is not None
        if array.dtype != np.float32 or (node.op == "Div" and first):
            continue
        c = array.astype(np.float64)
        if node.op in ("Mul", "Div"):
            scale, shift = c if node.op == "Mul" else 1 / c, np.zeros(())
        else:  # c + x, x + c, c - x, x - c
            scale = np.array(-1.0 if node.op == "Sub" and first else 1.0)
            shift = -c if node.op == "Sub" and not first else c
        node.op, node.inputs = _AFFINE, [node.inputs[1 if first else 0]]
        node.notes = {"scale": scale, "shift": shift}


def _merge(graph: Graph) -> None:
    """Merges each affine node into the node before it, where nothing else reads that node's result."""
    producers, uses = _producers(graph), _uses(graph)
    kept = []
    for node in graph.nodes:
        kept.append(node)
        before = producers.get(node.inputs[0]) if node.op == _AFFINE else None
        if before is None or uses[before.output] > 1:
            continue
        scale, shift = node.notes["scale"], node.notes["shift"]
        if before.op == _AFFINE:
            before.notes = {"scale": before.notes["scale"] * scale, "shift": before.notes["shift"] * scale + shift}
        elif not (before.op == "Conv" and _into_conv(graph, before, scale, shift)):
            if not (before.op == "MatMul" and _into_product(graph, before, scale)):
                continue
            node.notes["scale"] = np.ones(())
            continue
        # The node before takes the name of this one, which others read.
        del producers[before.output]
        before.output = node.output
        producers[node.output] = before
        kept.pop()
    graph.nodes = kept


def _into_conv(graph: Graph, conv: Node, scale: np.ndarray, shift: np.ndarray) -> bool:
    kernel = graph.constants.get(conv.inputs[1])
    if kernel is None:
        return False
    features = len(kernel)
    both = []
    for array in (scale, shift):
        spatial = array.shape[-2:] == (1, 1) or array.ndim == 0
        if not spatial or array.size not in (1, features):
            return False
        both.append(np.broadcast_to(array.reshape(-1), (features,)))
    scale, shift = both
    bias = graph.constants[conv.inputs[2]].astype(np.float64) if len(conv.inputs) > 2 else np.zeros(features)
    kernel = kernel.astype(np.float64) * scale.reshape(-1, *[1] * (kernel.ndim - 1))
    bias = bias * scale + shift
    conv.inputs = [conv.inputs[0], graph.constant(kernel.astype(np.float32))]
    if bias.any():
        conv.inputs.append(graph.constant(bias.astype(np.float32)))
    return True


def _into_product(graph: Graph, product: Node, scale: np.ndarray) -> bool:
    weights = graph.constants.get(product.inputs[1])
    if weights is None or weights.ndim != 2 or scale.size not in (1, weights.shape[1]):
        return False
    if scale.size > 1 and scale.shape[-1] != scale.size:
        return False
    scaled = weights.astype(np.float64) * scale.reshape(1, -1)
    product.inputs[1] = graph.constant(scaled.astype(np.float32))
    return True


def _find_means(graph: Graph) -> None:
    producers, uses = _producers(graph), _uses(graph)
    for node in graph.nodes:
        total = producers.get(node.inputs[0]) if node.op == _AFFINE else None
        if total is None or total.op != "ReduceSum" or uses[total.output] > 1 or not total.notes["count"]:
            continue
        scale = node.notes["scale"]
        if scale.size == 1 and abs(scale.item() * total.notes["count"] - 1) < 1e-6:
            total.op, node.notes["scale"] = "ReduceMean", np.ones(())
            if total.notes["axes"] == [2, 3] and total.notes["rank"] == 4:
                total.op, total.inputs, total.attributes = "GlobalAveragePool", total.inputs[:1], {}


def _from_affine(graph: Graph) -> None:
    """Replaces each affine node by a product, a sum, both or none."""
    nodes: list[Node] = []
    renamed: dict[str, str] = {}
    for node in graph.nodes:
        node.inputs = [renamed.get(name, name) for name in node.inputs]
        if node.op != _AFFINE:
            nodes.append(node)
            continue
        (name,), last = node.inputs, node.output
        parts = [("Mul", node.notes["scale"], 1), ("Add", node.notes["shift"], 0)]
        parts = [(op, array) for op, array, neutral in parts if not (array == neutral).all()]
        if not parts:
            renamed[last] = name
        for i, (op, array) in enumerate(parts, start=1):
            output = last if i == len(parts) else f"{last}_{op.lower()}"
            nodes.append(Node(op, [name, graph.constant(array.astype(np.float32))], output))
            name = output
    graph.nodes, graph.output = nodes, renamed.get(graph.output, graph.output)


def _find_softmax(graph: Graph) -> None:
    """Finds exp(x - max(x)) / sum(exp(x - max(x)))."""
    producers = _producers(graph)

    def made_by(name: str, op: str) -> Node | None:
        found = producers.get(name)
        return found if found is not None and found.op == op else None

    for node in graph.nodes:
        if node.op != "Div":
            continue
        power, total = made_by(node.inputs[0], "Exp"), made_by(node.inputs[1], "ReduceSum")
        if power is None or total is None or total.inputs[0] != power.output or len(total.notes["axes"]) != 1:
            continue
        difference = made_by(power.inputs[0], "Sub")
        largest = difference and made_by(difference.inputs[1], "ReduceMax")
        if largest and difference and largest.inputs[0] == difference.inputs[0]:
            if largest.notes["axes"] == total.notes["axes"]:
                (axis,) = total.notes["axes"]
                node.op, node.inputs, node.attributes = "Softmax", [difference.inputs[0]], {"axis": axis}


def _find_limits(graph: Graph) -> None:
    """Merges a limit from below and one from above, such as those of ReLU6."""
    producers, uses = _producers(graph), _uses(graph)
    for node in graph.nodes:
        low = producers.get(node.inputs[0]) if node.op == "Clip" and node.inputs[1] == "" else None
        if low is None or uses[low.output] > 1:
            continue
        if low.op == "Relu":
            node.inputs = [low.inputs[0], graph.constant(np.zeros((), np.float32)), node.inputs[2]]
        elif low.op == "Clip" and len(low.inputs) == 2:
            node.inputs = [*low.inputs, node.inputs[2]]


def _leave_out(graph: Graph) -> None:
    """Leaves out what the result does not depend on."""
    needed, nodes = {graph.output}, []
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
            nodes.append(node)
    graph.nodes = nodes[::-1]
    graph.constants = {name: array for name, array in graph.constants.items() if name in needed}
