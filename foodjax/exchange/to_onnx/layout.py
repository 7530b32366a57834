"""Operations that move entries: reshape, broadcast, transpose, slice, concatenate, pad."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from foodjax.exchange.to_onnx.graph import Unsupported
from foodjax.exchange.to_onnx.values import Value, expanded, place, target
from foodjax.models.reshapes import groups

_END = np.iinfo(np.int64).max


def _reshape(walk: Any, eqn: Any, x: Value) -> Value:
    shape = eqn.outvars[0].aval.shape
    if eqn.params.get("dimensions") is not None:
        raise Unsupported("another order of axes")
    try:
        listed = groups(x.shape, shape)
    except ValueError:
        raise Unsupported(f"the shapes {x.shape} and {shape}") from None
    same = {old[0]: new[0] for old, new in listed if len(old) == len(new) == 1}
    changed = [(old, new) for old, new in listed if not len(old) == len(new) == 1]
    if not changed:
        return x.renamed(shape, [None if axis is None else same[axis] for axis in x.axes])
    x = expanded(walk.graph, x, walk.batch, [axis for old, _ in changed for axis in old])
    order = x.held
    if not all(_follows(order, old) for old, _ in changed):
        order = tuple(sorted(order))
    starts, inner = {old[0]: new for old, new in changed}, {axis for old, _ in changed for axis in old}
    axes: list[int] = []
    for axis in order:
        axes += starts.get(axis, [] if axis in inner else [same.get(axis, -1)])
    name = place(walk.graph, x, order)
    name = walk.graph.add("Reshape", name, walk.graph.integers(*target([shape[axis] for axis in axes])))
    return Value(shape, tuple(axes), name)


def _follows(order: Sequence[int], axes: Sequence[int]) -> bool:
    """Returns whether the axes stand side by side in an order."""
    start = order.index(axes[0])
    return list(order[start : start + len(axes)]) == list(axes)


def _broadcast(walk: Any, eqn: Any, x: Value) -> Value:
    places = eqn.params["broadcast_dimensions"]
    return x.renamed(eqn.outvars[0].aval.shape, [None if axis is None else int(places[axis]) for axis in x.axes])


def _transpose(walk: Any, eqn: Any, x: Value) -> Value:
    moved = [int(axis) for axis in eqn.params["permutation"]]
    return x.renamed(eqn.outvars[0].aval.shape, [None if axis is None else moved.index(axis) for axis in x.axes])


def _squeeze(walk: Any, eqn: Any, x: Value) -> Value:
    kept = [axis for axis in range(len(x.shape)) if axis not in eqn.params["dimensions"]]
    return x.renamed(eqn.outvars[0].aval.shape, [None if axis is None else kept.index(axis) for axis in x.axes])


def _slice(walk: Any, eqn: Any, x: Value) -> Value:
    starts, limits = eqn.params["start_indices"], eqn.params["limit_indices"]
    steps = eqn.params["strides"] or (1,) * len(starts)
    cuts = {
        axis: (starts[axis], limits[axis], steps[axis])
        for axis in x.held
        if not (starts[axis] == 0 and limits[axis] == x.shape[axis] and steps[axis] == 1)
    }
    return _cut(walk, eqn, x, cuts)


def _reverse(walk: Any, eqn: Any, x: Value) -> Value:
    return _cut(walk, eqn, x, {axis: (-1, -_END, -1) for axis in x.held if axis in eqn.params["dimensions"]})


def _cut(walk: Any, eqn: Any, x: Value, cuts: dict[int, tuple[int, int, int]]) -> Value:
    """Takes (start, limit, step) of some axes that the tensor holds."""
    shape = eqn.outvars[0].aval.shape
    if not cuts:
        return x.renamed(shape, x.axes)
    graph, places = walk.graph, [x.axes.index(axis) for axis in cuts]
    starts, limits, steps = zip(*cuts.values(), strict=True)
    inputs = [graph.integers(*values) for values in (starts, limits, places, steps)]
    return Value(shape, x.axes, graph.add("Slice", place(graph, x, x.axes), *inputs))


def _concatenate(walk: Any, eqn: Any, *parts: Value) -> Value:
    shape, axis = eqn.outvars[0].aval.shape, eqn.params["dimension"]
    parts = tuple(expanded(walk.graph, part, walk.batch) for part in parts)
    main = max(parts, key=lambda part: (len(part.held), not part.is_constant))
    order = main.held if axis in main.held else (*main.held, axis)
    names = [place(walk.graph, part, order) for part in parts]
    return Value(shape, order, walk.graph.add("Concat", *names, axis=order.index(axis)))


def _pad(walk: Any, eqn: Any, x: Value, filling: Value) -> Value:
    config = eqn.params["padding_config"]
    if any(interior or low < 0 or high < 0 for low, high, interior in config):
        raise Unsupported("negative or inner padding")
    padded = {axis for axis, (low, high, _) in enumerate(config) if low or high}
    x = expanded(walk.graph, x, walk.batch, padded)
    order = x.axes if padded <= set(x.held) else tuple(range(len(x.shape)))
    pads = [0 if axis is None else config[axis][end] for end in (0, 1) for axis in order]
    inputs = walk.graph.integers(*pads), place(walk.graph, filling, ())
    name = walk.graph.add("Pad", place(walk.graph, x, order), *inputs, mode="constant")
    return Value(eqn.outvars[0].aval.shape, tuple(axis if axis in {*x.held, *padded} else None for axis in order), name)


FORMS: dict[str, Callable[..., Value]] = {
    "reshape": _reshape, "broadcast_in_dim": _broadcast, "transpose": _transpose, "squeeze": _squeeze, "slice": _slice,
    "rev": _reverse, "concatenate": _concatenate, "pad": _pad,
}  # fmt: skip
