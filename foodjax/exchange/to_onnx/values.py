"""Arrays of a jaxpr as tensors of an ONNX graph, whose axes may stand in another order.

Networks here have channels last, ONNX has them first. A transpose therefore changes only which axis of the array an
axis of the tensor holds; a node is made where an operation needs its axes in an order. Likewise an axis of length 1
comes and goes without a node, and broadcasting waits for an operation that does not do it itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foodjax.exchange.to_onnx.graph import Graph, Unsupported

Axes = tuple[int | None, ...]
# The batch is traced with this many pictures and is free in the file: a length that is a multiple of this prime stands
# for the batch. JAX's symbolic sizes would do, but with them it makes a gather of every slice.
BATCH = 1_000_003


@dataclass(frozen=True, eq=False)
class Value:
    """An array of a jaxpr: a tensor of a graph, or a constant.

    Attributes:
        shape: of the array.
        axes: for each axis of the tensor the axis of the array that it holds; None for one of length 1. Along an axis
            of the array that is not listed, the tensor has length 1 and is repeated.
        name: of the tensor; "" for a constant.
        array: of a constant, with the axes of the tensor.
    """

    shape: tuple[int, ...]
    axes: Axes
    name: str = ""
    array: np.ndarray | None = None

    def __post_init__(self):
        axes = tuple(None if axis is None or self.shape[axis] == 1 else axis for axis in self.axes)
        object.__setattr__(self, "axes", axes)

    @property
    def is_constant(self) -> bool:
        """Whether it is a constant."""
        return self.array is not None

    @property
    def held(self) -> tuple[int, ...]:
        """The axes of the array that the tensor holds, in the tensor's order."""
        return tuple(axis for axis in self.axes if axis is not None)

    def renamed(self, shape: tuple[int, ...], axes: Iterable[int | None]) -> "Value":
        """Returns the same tensor as another array."""
        return Value(shape, tuple(axes), self.name, self.array)


def constant(array: Any) -> Value:
    """Returns a constant."""
    array = np.asarray(array)
    return Value(array.shape, tuple(range(array.ndim)), array=array)


def is_static(shape: Iterable[int]) -> bool:
    """Returns whether a shape does not depend on the size of the batch."""
    return all(size % BATCH or not size for size in shape)


def dense(value: Value) -> np.ndarray:
    """Returns a constant of a static shape as the jaxpr has it."""
    held = sorted(value.held)
    found = _array(value, tuple(held))
    places = [value.shape[axis] if axis in held else 1 for axis in range(len(value.shape))]
    return np.broadcast_to(found.reshape(places), value.shape)


def target(shape: Sequence[int]) -> list[int]:
    """Returns a shape as ONNX' Reshape takes it: -1 for the length that depends on the batch."""
    sizes = [int(size) if is_static([size]) else -1 for size in shape]
    if sizes.count(-1) > 1:
        raise Unsupported("the batch in two axes")
    return sizes


def place(graph: Graph, value: Value, order: Axes, *, broadcast: bool = False) -> str:
    """Returns the name of a tensor that holds a value's axes in an order.

    Args:
        graph: gets the nodes and constants that this takes.
        value: the value.
        order: lists every axis that the value holds; None, or an axis that it does not hold, is one of length 1.
        broadcast: the tensor may lack leading axes of length 1.
    """
    order = tuple(axis if axis in value.held else None for axis in order)

    def fits(axes: Axes) -> bool:
        return axes == order or (broadcast and len(axes) <= len(order) and _stripped(axes) == _stripped(order))

    if value.is_constant:
        return graph.constant(_array(value, _stripped(order) if broadcast else order))
    name, axes = value.name, value.axes
    if fits(axes):
        return name
    if tuple(axis for axis in order if axis is not None) != value.held:
        spare = [i for i, axis in enumerate(axes) if axis is None]
        # Axes of length 1 move to where the order has some; those that are left over go to the front.
        moved = [axes.index(axis) if axis is not None else spare.pop(0) if spare else None for axis in order]
        moved = spare + [i for i in moved if i is not None]
        name = graph.add("Transpose", name, perm=moved)
        axes = tuple(axes[i] for i in moved)
    if not fits(axes):
        sizes = target([1 if axis is None else value.shape[axis] for axis in order])
        name = graph.add("Reshape", name, graph.integers(*sizes))
    return name


def _stripped(axes: Axes) -> Axes:
    """Returns the axes without leading ones of length 1."""
    while axes[:1] == (None,):
        axes = axes[1:]
    return axes


def needs_transpose(value: Value, order: Axes) -> bool:
    """Returns whether `place` makes a Transpose for this order."""
    return not value.is_constant and tuple(axis for axis in order if axis in value.held) != value.held


def expanded(graph: Graph, value: Value, batch: str, only: Iterable[int] | None = None) -> Value:
    """Returns the value without repetition: every axis of the array that is longer than 1 is held.

    Args:
        graph: gets the nodes.
        value: the value.
        batch: tensor with the size of the batch, int64 (1,).
        only: axes that must not be repeated; None for all.
    """
    only = range(len(value.shape)) if only is None else only
    missing = {axis for axis in only if axis not in value.held and value.shape[axis] != 1}
    if not missing:
        return value
    order = tuple(axis for axis in range(len(value.shape)) if axis in value.held or axis in missing)
    sizes = [value.shape[axis] if axis in missing else 1 for axis in order]
    name = place(graph, value, order)
    if is_static(sizes):
        shape = graph.integers(*sizes)
    elif any(size > BATCH and not size % BATCH for size in sizes):
        raise Unsupported("values repeated for a multiple of the batch")
    else:
        parts = [graph.integers(size) if is_static([size]) else batch for size in sizes]
        shape = graph.add("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]
    return Value(value.shape, order, graph.add("Expand", name, shape))


def _array(value: Value, order: Axes) -> np.ndarray:
    """Returns a constant's array with its axes in an order; None is an axis of length 1."""
    assert value.array is not None
    kept = [i for i, axis in enumerate(value.axes) if axis is not None]
    array = value.array.reshape([value.array.shape[i] for i in kept])
    held = value.held
    array = array.transpose([held.index(axis) for axis in order if axis is not None])
    sizes = iter(array.shape)
    return array.reshape([1 if axis is None else next(sizes) for axis in order])
