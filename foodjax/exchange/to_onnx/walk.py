"""Walks the jaxpr of a function of pictures and makes an ONNX graph of it.

What does not depend on the pictures is computed here, and is a constant of the graph. A primitive that no table has is
a UserError that names it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend import core

from foodjax.exchange.to_onnx import elementwise, layout, products
from foodjax.exchange.to_onnx.graph import Graph, Unsupported
from foodjax.exchange.to_onnx.values import BATCH, Value, constant, dense, is_static, place
from foodjax.models.forms import plain
from foodjax.system.errors import UserError

IMAGES = "images"  # name of the graph's input
_FORMS = elementwise.FORMS | layout.FORMS | products.FORMS
_SAME = {"stop_gradient", "copy", "copy_p"}


def to_graph(function: Callable[[Any], jax.Array], size: int, format: str = "ONNX") -> Graph:
    """Returns the graph of a function, whose batch is free.

    Args:
        function: of pictures uint8 (B, size, size, 3); returns (B, K).
        size: side of the pictures, pixels.
        format: that the graph is for, in messages.

    Raises:
        UserError: the function needs a primitive, or a use of one, that is not known here.
    """
    pictures = jax.ShapeDtypeStruct((BATCH, size, size, 3), np.uint8)
    with plain():
        closed = jax.make_jaxpr(function)(pictures)
    graph = Graph()
    # Here it moves bytes; later it would move floats.
    first = Value(pictures.shape, (0, 3, 1, 2), graph.add("Transpose", IMAGES, perm=[0, 3, 1, 2]))
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        (result,) = _Walk(graph, format).follow(closed.jaxpr, [constant(x) for x in closed.consts], [first])
    graph.output = place(graph, result, tuple(range(len(result.shape))))
    return graph


class _Walk:
    """Follows the equations of a jaxpr.

    Attributes:
        graph: gets the nodes.
    """

    def __init__(self, graph: Graph, format: str):
        self.graph, self._format, self._batch = graph, format, ""

    @property
    def batch(self) -> str:
        """Tensor with the size of the batch, int64 (1,)."""
        self._batch = self._batch or self.graph.add("Shape", IMAGES, start=0, end=1)
        return self._batch

    def follow(self, jaxpr: Any, consts: Sequence[Value], inputs: Sequence[Value]) -> list[Value]:
        """Returns the results of a jaxpr for inputs."""
        seen: dict[Any, Value] = dict(zip(jaxpr.constvars, consts, strict=True))
        seen.update(zip(jaxpr.invars, inputs, strict=True))

        def look(atom: Any) -> Value:
            if not isinstance(atom, core.Literal):
                return seen[atom]
            aval: Any = atom.aval
            return constant(np.asarray(atom.val, aval.dtype))

        for eqn in jaxpr.eqns:
            seen.update(zip(eqn.outvars, self._results(eqn, [look(atom) for atom in eqn.invars]), strict=True))
        return [look(atom) for atom in jaxpr.outvars]

    def _results(self, eqn: Any, inputs: list[Value]) -> list[Value]:
        name = eqn.primitive.name
        if name in _SAME:
            return inputs
        inner = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
        if inner is not None and name not in ("scan", "while", "cond"):
            consts = [constant(x) for x in getattr(inner, "consts", ())]
            return self.follow(getattr(inner, "jaxpr", inner), consts, inputs)
        shapes = [out.aval.shape for out in eqn.outvars]
        if all(value.is_constant and is_static(value.shape) for value in inputs) and all(map(is_static, shapes)):
            found = eqn.primitive.bind(*map(dense, inputs), **eqn.params)
            return [constant(x) for x in (found if eqn.primitive.multiple_results else [found])]
        form = _FORMS.get(name)
        if form is None:
            raise UserError(
                f"the network uses JAX's primitive {name!r}, for which the {self._format} export has no form: needs a "
                f"network of other operations, or --format stablehlo"
            )
        try:
            return [form(self, eqn, *inputs)]
        except Unsupported as error:
            raise UserError(
                f"the network uses JAX's primitive {name!r} with {error}, for which the {self._format} export has no "
                f"form: needs a network of other operations, or --format stablehlo"
            ) from None
