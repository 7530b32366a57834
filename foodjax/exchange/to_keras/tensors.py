"""Tensors of a Keras model, whose axes may stand in another order than those of the graph's tensors.

The graph has channels first, as ONNX does; Keras has them last. So a transpose of the graph changes only which axis of
its tensor an axis of Keras' holds, and an operation is made where the next one needs its axes in an order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Order = tuple[int, ...]
CHANNELS_LAST = (0, 2, 3, 1)
MANY = 16  # a constant of more entries becomes a weight of the model; shorter ones stand in its config


@dataclass(frozen=True, eq=False)
class Held:
    """A tensor of a graph.

    Attributes:
        tensor: of Keras.
        order: for each axis of `tensor` the axis of the graph's tensor that it holds.
    """

    tensor: Any
    order: Order

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.order)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of the graph's tensor; None for a length that depends on the batch."""
        return tuple(self.tensor.shape[self.order.index(axis)] for axis in range(self.rank))


def plain(tensor: Any) -> Held:
    """Returns a tensor whose axes stand as in the graph."""
    return Held(tensor, tuple(range(len(tensor.shape))))


def in_order(held: Held, order: Sequence[int]) -> Any:
    """Returns the tensor with its axes in an order; a move of axes of length 1 alone is a reshape."""
    from keras import ops

    if held.order == tuple(order):
        return held.tensor
    moved = [held.order.index(axis) for axis in order]
    if _long(held, held.order) != _long(held, order):
        return ops.transpose(held.tensor, moved)
    sizes = [held.tensor.shape[i] for i in moved]
    return ops.reshape(held.tensor, target(sizes))


def reshaped(held: Held, sizes: Sequence[int]) -> Held:
    """Returns the tensor in another shape, of which one length may be -1."""
    from keras import ops

    keeps = _long(held, held.order) == _long(held, range(held.rank))
    return plain(ops.reshape(held.tensor if keeps else in_order(held, range(held.rank)), tuple(sizes)))


def target(sizes: Sequence[int | None]) -> tuple[int, ...]:
    """Returns a shape for a reshape: -1 for the length that depends on the batch."""
    return tuple(-1 if size is None else size for size in sizes)


def _long(held: Held, order: Sequence[int]) -> list[int]:
    """Returns the axes of an order that are longer than 1."""
    return [axis for axis in order if held.shape[axis] != 1]


def widened(held: Held, rank: int) -> Held:
    """Returns a tensor with leading axes of length 1, as ONNX broadcasts."""
    more = rank - held.rank
    return reshaped(held, [1] * more + list(target(held.shape))) if more else held


def array_in_order(array: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Returns a constant with leading axes of length 1, and its axes in an order."""
    return array.reshape((1,) * (len(order) - array.ndim) + array.shape).transpose(list(order))


def single_axis(array: np.ndarray) -> int | None:
    """Returns the only axis that is longer than 1; None if there are none or several."""
    found = [axis for axis, size in enumerate(array.shape) if size > 1]
    return found[0] if len(found) == 1 else None
