"""Operations that add up or compare entries: convolution, matrix product, pooling, sums."""

import math
from collections.abc import Callable, Sequence
from typing import Any

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


def _dot(walk: Any, eqn: Any, x: Value, y: Value) -> Value:
    """Batches of matrix products; each operand has one axis that is summed over, and at most one of its own."""
    (x_sum, y_sum), (x_batch, y_batch) = eqn.params["dimension_numbers"]
    if len(x_sum) != 1:
        raise Unsupported(f"{len(x_sum)} axes that are summed over")
    x, y = expanded(walk.graph, x, walk.batch, x_sum), expanded(walk.graph, y, walk.batch, y_sum)
    free = [
        [axis for axis in range(len(value.shape)) if axis not in (*summed, *batch)]
        for value, summed, batch in ((x, x_sum, x_batch), (y, y_sum, y_batch))
    ]
    count = len(x_batch)
    # For each operand: the value, the axis that is summed over, and which axis of the result each other axis becomes.
    sides = []
    for value, summed, batch, own, first in (
        (x, x_sum, x_batch, free[0], count),
        (y, y_sum, y_batch, free[1], count + len(free[0])),
    ):
        becomes = {axis: i for i, axis in enumerate(batch)} | {axis: first + i for i, axis in enumerate(own)}
        sides.append((value, summed[0], becomes))
    if not count and (x.is_constant or y.is_constant):
        return _weigh(walk, eqn, *(sides if y.is_constant else sides[::-1]))
    return _multiply(
        walk,
        eqn,
        sides,
        [[axis for axis in own if axis in value.held] for value, own in zip((x, y), free, strict=True)],
        count,
    )


def _weigh(walk: Any, eqn: Any, data: Any, weights: Any) -> Value:
    """A product with constant weights, whatever axes the data has."""
    (x, x_sum, x_becomes), (y, y_sum, y_becomes) = data, weights
    rest = [axis for axis in x.held if axis != x_sum]
    own = [axis for axis in y.held if axis != y_sum]
    if len(own) > 1:
        raise Unsupported("weights of several output axes")
    name = walk.graph.add(
        "MatMul", place(walk.graph, x, (*rest, x_sum)), place(walk.graph, y, (y_sum, own[0] if own else None))
    )
    axes: list[int | None] = [x_becomes[axis] for axis in rest]
    return Value(eqn.outvars[0].aval.shape, (*axes, y_becomes[own[0]] if own else None), name)


def _multiply(walk: Any, eqn: Any, sides: Any, free: list[list[int]], count: int) -> Value:
    """A batch of products, in the order of the factors that moves fewer axes."""
    if any(len(own) > 1 for own in free):
        raise Unsupported("several axes beside the batch and the sum")
    own: list[int | None] = [axes[0] if axes else None for axes in free]
    backs = [{i: axis for axis, i in becomes.items()} for _, _, becomes in sides]
    x, _, x_becomes = sides[0]
    batch = [x_becomes[axis] for axis in x.held if x_becomes.get(axis, count) < count]
    batch += [i for i in range(count) if i not in batch]

    def orders(first: int) -> tuple[Axes, Axes]:
        second = 1 - first
        left = tuple(backs[first][i] for i in batch)
        right = tuple(backs[second][i] for i in batch)
        return (*left, own[first], sides[first][1]), (*right, sides[second][1], own[second])

    def moves(first: int) -> int:
        left, right = orders(first)
        return needs_transpose(sides[first][0], left) + needs_transpose(sides[1 - first][0], right)

    first = min((0, 1), key=moves)
    left, right = orders(first)
    name = walk.graph.add(
        "MatMul", place(walk.graph, sides[first][0], left), place(walk.graph, sides[1 - first][0], right)
    )
    held = [value.held for value, _, _ in sides]
    axes: list[int | None] = [i if any(backs[k][i] in held[k] for k in (0, 1)) else None for i in batch]
    for k in (first, 1 - first):
        axis = own[k]
        axes.append(None if axis is None else sides[k][2][axis])
    return Value(eqn.outvars[0].aval.shape, tuple(axes), name)


FORMS: dict[str, Callable[..., Value]] = {
    "conv_general_dilated": _conv, "dot_general": _dot, "reduce_window_max": _pool, "reduce_window_sum": _pool,
    "reduce_sum": _reduce("ReduceSum"), "reduce_max": _reduce("ReduceMax"), "reduce_min": _reduce("ReduceMin"),
}  # fmt: skip
