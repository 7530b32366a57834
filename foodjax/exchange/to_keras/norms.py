"""Finds layer and group normalisation in a graph, which Keras has as layers.

Both are (x - mean) * (1 / sqrt(max(0, mean of squares - mean^2) + epsilon) * scale) + shift.
"""

from dataclasses import dataclass

import numpy as np

from foodjax.exchange.to_onnx.graph import Graph, Node

_MOVES = ("Reshape", "Transpose", "Expand")  # between the statistics and where they are used


@dataclass(frozen=True, eq=False)
class Norm:
    """A normalisation.

    Attributes:
        x: name of the tensor that is normalised.
        axis: of its channels.
        groups: of channels; 0 for layer normalisation.
        epsilon: added to the variance.
        scale, shift: of each channel, (C,).
    """

    x: str
    axis: int
    groups: int
    epsilon: float
    scale: np.ndarray
    shift: np.ndarray


class _Miss(Exception):
    """The nodes are no normalisation."""


def find_norms(graph: Graph) -> dict[str, Norm]:
    """Returns the normalisations of a simplified graph by the names of their results."""
    matcher, found = _Matcher(graph), {}
    for node in graph.nodes:
        if node.op == "Add":
            try:
                found[node.output] = matcher.match(node)
            except _Miss:
                continue
    return found


class _Matcher:
    def __init__(self, graph: Graph):
        self._constants = graph.constants
        self._producers = {node.output: node for node in graph.nodes}

    def match(self, node: Node) -> Norm:
        """Returns the normalisation whose last node this is."""
        product, shift = self._with_constant(node, "Add")
        product = self._made(product, "Mul")
        difference = self._made(product.inputs[0], "Sub")
        x, mean = difference.inputs
        root, scale = self._with_constant(self._behind(product.inputs[1]), "Mul")
        root = self._made(self._behind(root).output, "Reciprocal")
        variance, epsilon = self._with_constant(self._made(self._made(root.inputs[0], "Sqrt").inputs[0], "Add"), "Add")
        squares, square = self._made(self._made(self._behind(variance).output, "Relu").inputs[0], "Sub").inputs
        statistic, second = self._made(self._behind(mean).output, "ReduceMean"), self._made(squares, "ReduceMean")
        seen = statistic.inputs[0]
        if self._made(square, "Mul").inputs != [statistic.output] * 2:
            raise _Miss
        if self._made(second.inputs[0], "Mul").inputs != [seen] * 2 or second.notes != statistic.notes:
            raise _Miss
        return self._checked(x, seen, statistic.notes, scale, shift, epsilon)

    def _checked(
        self, x: str, seen: str, notes: dict, scale: np.ndarray, shift: np.ndarray, epsilon: np.ndarray
    ) -> Norm:
        axes, channels = notes["axes"], scale.size
        if epsilon.size != 1 or shift.size != channels:
            raise _Miss
        facts = float(epsilon.reshape(())), scale.reshape(-1), shift.reshape(-1)
        if seen == x:
            if len(axes) != 1 or notes["count"] != channels:
                raise _Miss
            return Norm(x, axes[0], 0, *facts)
        split = self._made(seen, "Reshape")
        sizes = self._constants[split.inputs[1]].tolist()
        # (B, C, ...) -> (B, G, C / G, ...), of which all but the first two are averaged.
        whole = split.inputs[0] == x and len(sizes) >= 3 and sizes[1] * sizes[2] == channels
        if not whole or axes != list(range(2, len(sizes))):
            raise _Miss
        return Norm(x, 1, sizes[1], *facts)

    def _made(self, name: str, op: str) -> Node:
        node = self._producers.get(name)
        if node is None or node.op != op:
            raise _Miss
        return node

    def _with_constant(self, node: Node, op: str) -> tuple[str, np.ndarray]:
        """Returns the input of a node and its constant, which is always the second."""
        if node.op != op or node.inputs[1] not in self._constants or node.inputs[0] in self._constants:
            raise _Miss
        return node.inputs[0], self._constants[node.inputs[1]]

    def _behind(self, name: str) -> Node:
        """Returns the node that makes a tensor, before its axes were moved."""
        node = self._producers.get(name)
        while node is not None and node.op in _MOVES:
            node = self._producers.get(node.inputs[0])
        if node is None:
            raise _Miss
        return node
