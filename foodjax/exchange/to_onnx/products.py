"""Operations that add up or compare entries: convolution, matrix product, pooling, sums."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from foodjax.exchange.to_onnx.elementwise import apply
from foodjax.exchange.to_onnx.graph import Unsupported
from foodjax.exchange.to_onnx.values import Axes, Value, constant, expanded, is_static, needs_transpose, place


def _conv(walk: Any, eqn: Any, x: Value, kernel: Value) -> Value:
    params, padding = eqn.params, eqn.params["padding"]
    numbers = params["dimension_numbers"]
    if any(d != 1 for d in params["lhs_dilation"]) or params["batch_group_count"] != 1:
        raise Unsupported("a dilated input or a grouped batch")
    if any(size < 0 for pair in padding for size in pair):
        raise Unsupported("negative padding")
    x, kernel = (expanded(walk.graph, value, walk.batch) for value in (x, kernel))
    name = walk.graph.add(
        "Conv",
        place(walk.graph, x, tuple(numbers.lhs_spec)),
        place(walk.graph, kernel, tuple(numbers.rhs_spec)),
        kernel_shape=[int(kernel.shape[axis]) for axis in numbers.rhs_spec[2:]],
        strides=list(params["window_strides"]),
        pads=_ends(padding),
        dilations=list(params["rhs_dilation"]),
        group=params["feature_group_count"],
    )
    return Value(eqn.outvars[0].aval.shape, tuple(numbers.out_spec), name)


def _ends(padding: Sequence[Any]) -> list[int]:
    """Returns padding as ONNX lists it: what stands before every axis, then what stands after."""
    return [int(pair[end]) for end in (0, 1) for pair in padding]


def _pool(walk: Any, eqn: Any, x: Value) -> Value:
    """Maxima, or sums, over windows of rows and columns."""
    params, shape = eqn.params, eqn.outvars[0].aval.shape
    sides, steps, padding = (params[k] for k in ("window_dimensions", "window_strides", "padding"))
    still = [axis for axis in range(len(shape)) if sides[axis] == steps[axis] == 1 and not any(padding[axis])]
    moving = [axis for axis in range(len(shape)) if axis not in still]
    dilated = any(d != 1 for d in (*(params["base_dilation"] or ()), *(params["window_dilation"] or ())))
    if len(still) != 2 or dilated:
        raise Unsupported("windows that are not of rows and columns alone, or dilated")
    order = (*still, *moving)
    x = expanded(walk.graph, x, walk.batch)
    facts: dict[str, Any] = {
        "kernel_shape": [sides[axis] for axis in moving],
        "strides": [steps[axis] for axis in moving],
        "pads": _ends([padding[axis] for axis in moving]),
    }
    if eqn.primitive.name == "reduce_window_max":
        return Value(shape, order, walk.graph.add("MaxPool", place(walk.graph, x, order), **facts))
    mean = walk.graph.add("AveragePool", place(walk.graph, x, order), count_include_pad=1, **facts)
    count = constant(np.asarray(math.prod(sides), eqn.invars[0].aval.dtype))
    return apply(walk, "Mul", shape, Value(shape, order, mean), count)


def _reduce(op: str) -> Callable[..., Value]:
    def form(walk: Any, eqn: Any, x: Value) -> Value:
        reduced = [int(axis) for axis in eqn.params["axes"]]
        graph, shape = walk.graph, eqn.outvars[0].aval.shape
        x = expanded(graph, x, walk.batch, reduced)
        places = sorted(x.axes.index(axis) for axis in reduced if axis in x.held)
        kept = [axis for axis in range(len(x.shape)) if axis not in reduced]
        axes = [None if axis is None or axis in reduced else kept.index(axis) for axis in x.axes]
        if not places:
            return x.renamed(shape, axes)
        sizes = [x.shape[axis] for axis in reduced]
        notes = {"count": math.prod(sizes) if is_static(sizes) else 0, "axes": places, "rank": len(x.axes)}
        name = graph.add(op, place(graph, x, x.axes), graph.integers(*places), keepdims=1, notes=notes)
        return Value(shape, tuple(axes), name)

    return form


class _Factor(NamedTuple):
    """An operand of a product.

    Attributes:
        value: the operand.
        summed: its axis that is summed over.
        becomes: axis of the result for each of its other axes; those of the batch are the first.
        own: the axis that it alone has and that is longer than 1; None without one.
    """

    value: Value
    summed: int
    becomes: dict[int, int]
    own: int | None

    def back(self, axes: Sequence[int]) -> tuple[int, ...]:
        """Returns its own axes for axes of the result."""
        return tuple(axis for i in axes for axis, becomes in self.becomes.items() if becomes == i)


def _dot(walk: Any, eqn: Any, x: Value, y: Value) -> Value:
    """Batches of matrix products; each operand has one axis that is summed over, and at most one of its own."""
    summed, batches = eqn.params["dimension_numbers"]
    shape, count = eqn.outvars[0].aval.shape, len(batches[0])
    factors, first = [], count
    for value, axes, batch in zip((x, y), summed, batches, strict=True):
        if len(axes) != 1:
            raise Unsupported(f"{len(axes)} axes that are summed over")
        value = expanded(walk.graph, value, walk.batch, axes)
        others = [axis for axis in range(len(value.shape)) if axis not in (*axes, *batch)]
        becomes = {axis: i for i, axis in enumerate(batch)} | {axis: first + i for i, axis in enumerate(others)}
        own = [axis for axis in others if axis in value.held]
        factors.append(_Factor(value, axes[0], becomes, own[0] if len(own) == 1 else None))
        if len(own) > 1 and (count or value.is_constant or not (x.is_constant or y.is_constant)):
            raise Unsupported("several axes beside the batch and the sum")
        first += len(others)
    if not count and (x.is_constant or y.is_constant):
        return _weigh(walk, shape, *(factors if y.is_constant else factors[::-1]))
    return _multiply(walk, shape, factors, count)


def _weigh(walk: Any, shape: tuple[int, ...], data: _Factor, weights: _Factor) -> Value:
    """A product with constant weights, whatever axes the data has."""
    rest = [axis for axis in data.value.held if axis != data.summed]
    left = place(walk.graph, data.value, (*rest, data.summed))
    name = walk.graph.add("MatMul", left, place(walk.graph, weights.value, (weights.summed, weights.own)))
    last = None if weights.own is None else weights.becomes[weights.own]
    return Value(shape, (*(data.becomes[axis] for axis in rest), last), name)


def _multiply(walk: Any, shape: tuple[int, ...], factors: list[_Factor], count: int) -> Value:
    """A batch of products, in the order of the factors that moves fewer axes."""
    batch = [factors[0].becomes[axis] for axis in factors[0].value.held if factors[0].becomes.get(axis, count) < count]
    batch += [i for i in range(count) if i not in batch]

    def orders(left: _Factor, right: _Factor) -> tuple[Axes, Axes]:
        return (*left.back(batch), left.own, left.summed), (*right.back(batch), right.summed, right.own)

    def moves(pair: Sequence[_Factor]) -> int:
        return sum(needs_transpose(factor.value, order) for factor, order in zip(pair, orders(*pair), strict=True))

    pair = min((factors, factors[::-1]), key=moves)
    names = [place(walk.graph, factor.value, order) for factor, order in zip(pair, orders(*pair), strict=True)]
    held = {factor.becomes.get(axis) for factor in pair for axis in factor.value.held}
    axes = [i if i in held else None for i in batch]
    axes += [None if factor.own is None else factor.becomes[factor.own] for factor in pair]
    return Value(shape, tuple(axes), walk.graph.add("MatMul", *names))


FORMS: dict[str, Callable[..., Value]] = {
    "conv_general_dilated": _conv, "dot_general": _dot, "reduce_window_max": _pool, "reduce_window_sum": _pool,
    "reduce_sum": _reduce("ReduceSum"), "reduce_max": _reduce("ReduceMax"), "reduce_min": _reduce("ReduceMin"),
}  # fmt: skip
