"""Builds a Keras model from a function of pictures: standard layers and operations, channels last."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from foodjax.exchange.to_keras.forms import FORMS
from foodjax.exchange.to_keras.norms import Norm, find_norms
from foodjax.exchange.to_keras.tensors import MANY, Held, array_in_order, in_order, plain
from foodjax.exchange.to_onnx.graph import Graph, Node, Unsupported
from foodjax.exchange.to_onnx.simplify import simplify
from foodjax.exchange.to_onnx.walk import IMAGES, to_graph
from foodjax.system.errors import UserError


def to_functional(function: Callable[[Any], jax.Array], size: int, name: str) -> Any:
    """Returns the `keras.Model` of a function of pictures; its batch is free.

    It takes uint8 (B, size, size, 3) and has no layer but Keras' own, and none of Python code.

    Args:
        function: of pictures uint8 (B, size, size, 3); returns probabilities (B, K).
        size: side of the pictures, pixels.
        name: of the model.

    Raises:
        UserError: the function uses a primitive of JAX that the export does not know, or in a way it does not know.
    """
    import keras

    graph = to_graph(function, size, "Keras")
    simplify(graph)
    images = keras.Input((size, size, 3), dtype="uint8", name=IMAGES)
    result = _Build(graph, images).run()
    # Keras takes few characters.
    named = re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip("_-") or "foodjax"
    return keras.Model(images, result, name=named)


class _Build:
    """Makes the tensors of a graph, in its order.

    Attributes:
        graph: simplified.
    """

    def __init__(self, graph: Graph, images: Any):
        self.graph, self._images = graph, images
        self._held: dict[str, Held] = {IMAGES: plain(images)}
        self._norms = find_norms(graph)
        self._nodes = self._needed()
        self._uses: Counter[str] = Counter(name for node in self._nodes for name in self._inputs(node))
        self._uses[graph.output] += 1
        self._readers = {name: node for node in self._nodes for name in self._inputs(node)}
        self._sizes: dict[str, list[int | None]] = {}
        self._taken: dict[str, str] = {}  # result of a node -> that of the node that it is part of
        self._layers: dict[bytes, Any] = {}
        self._row: Any = None

    def run(self) -> Any:
        """Returns the tensor of the graph's result."""
        from keras import layers

        for node in self._nodes:
            if node.output in self._taken:
                self._held[node.output] = self._held[self._taken[node.output]]
            elif not self._is_of_shapes(node):
                self._held[node.output] = self._make(node)
        found = self._held[self.graph.output]
        found = in_order(found, range(found.rank))
        is_softmax = self._nodes[-1].op == "Softmax" and self._nodes[-1].output == self.graph.output
        return found if is_softmax else layers.Activation("linear", name="probabilities")(found)

    def _make(self, node: Node) -> Held:
        if norm := self._norms.get(node.output):
            return self._normalise(norm)
        form = FORMS.get(node.op)
        try:
            if form is None:
                raise Unsupported("any inputs")
            return form(self, node)
        except Unsupported as error:
            raise UserError(
                f"the network has the operation {node.op} with {error}, for which the Keras export has no form: needs "
                f"a network of other operations, or --format stablehlo"
            ) from None

    def _normalise(self, norm: Norm) -> Held:
        from keras import layers

        held = self._held[norm.x]
        axis = held.order.index(norm.axis)
        if norm.groups:
            layer = layers.GroupNormalization(norm.groups, axis, norm.epsilon)
        else:
            layer = layers.LayerNormalization(axis=axis, epsilon=norm.epsilon)
        return Held(self.weighted(layer, held.tensor, norm.scale, norm.shift), held.order)

    def _inputs(self, node: Node) -> list[str]:
        norm = self._norms.get(node.output)
        return [norm.x] if norm else [name for name in node.inputs if name not in self.graph.constants]

    def _needed(self) -> list[Node]:
        """Returns the nodes that the result depends on, where normalisations are one node."""
        needed, nodes = {self.graph.output}, []
        for node in reversed(self.graph.nodes):
            if node.output in needed:
                needed.update(self._inputs(node))
                nodes.append(node)
        return nodes[::-1]

    def _is_of_shapes(self, node: Node) -> bool:
        """Notes the size of the batch, and shapes with it, which are no tensors here."""
        if node.op == "Shape":
            self._sizes[node.output] = [None]
        elif node.op == "Concat" and any(name in self._sizes for name in node.inputs):
            self._sizes[node.output] = [size for name in node.inputs for size in self.sizes(name)]
        return node.output in self._sizes

    def sizes(self, name: str) -> list[int | None]:
        """Returns a shape; None is the batch."""
        return self._sizes[name] if name in self._sizes else [int(size) for size in self.integers(name)]

    def held(self, name: str) -> Held:
        """Returns a tensor; a constant too."""
        if name not in self._held:
            array = self.array(name)
            if array is None:
                raise Unsupported("the size of the batch")
            return plain(self.constant(array))
        return self._held[name]

    def held_or_none(self, name: str) -> Held | None:
        """Returns a tensor; None for a constant."""
        return self._held.get(name)

    def array(self, name: str) -> np.ndarray | None:
        """Returns a constant; None for a tensor."""
        return self.graph.constants.get(name)

    def integers(self, name: str) -> list[int]:
        """Returns a constant of integers."""
        array = self.array(name)
        if array is None:
            raise Unsupported("a shape that is not constant")
        return array.tolist()

    def take_bias(self, node: Node, order: tuple[int, ...], axis: int, count: int) -> list[np.ndarray]:
        """Returns the constant that the next node alone adds, [(count,)] or [], and makes that node part of this one.

        Args:
            node: whose result it is added to.
            order: of the axes of the result.
            axis: of the result, along which the constant lies.
            count: length of that axis.
        """
        reader = self._readers.get(node.output)
        if reader is None or self._uses[node.output] != 1 or reader.op != "Add" or reader.inputs[0] != node.output:
            return []
        array = self.array(reader.inputs[1])
        if array is None or array.dtype != np.float32 or array.ndim > len(order):
            return []
        array = array_in_order(array, order)
        if array.size != count or array.shape[axis] != count:
            return []
        self._taken[reader.output] = node.output
        return [array.reshape(-1)]

    def constant(self, array: np.ndarray, *, is_repeated: bool = True) -> Any:
        """Returns a constant: a long one as a weight of the model, a short one as numbers in its config.

        Args:
            array: with the axes in the order of the tensors that it meets.
            is_repeated: what takes it repeats it for the batch.
        """
        from keras import layers, ops

        whole = array.shape[0] == 1 and array.dtype == np.float32
        if is_repeated and (array.size <= MANY or not whole):
            return array
        if not whole:
            raise Unsupported("a constant along the batch")
        if self._row is None:  # 0 for each picture
            self._row = ops.multiply(ops.max(ops.cast(self._images, "int32"), axis=(1, 2, 3)), 0)
        found = self.weighted(layers.Embedding(1, array.size), self._row, array.reshape(1, -1))
        return ops.reshape(found, (-1, *array.shape[1:]))

    def weighted(self, layer: Any, x: Any, *weights: np.ndarray) -> Any:
        """Returns layer(x) with these weights; equal layers are one, as those of a picture and its mirror image."""
        config = {key: value for key, value in layer.get_config().items() if key != "name"}
        digest = hashlib.sha256(f"{type(layer).__name__} {config}".encode())
        for array in weights:
            digest.update(f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        known = self._layers.setdefault(digest.digest(), layer)
        found = known(x)
        if known is layer:
            layer.set_weights(list(weights))
        return found
