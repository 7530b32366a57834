"""Layers and operations of Keras for the operations of a graph; layers with weights are those of `weighted`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from foodjax.exchange.to_keras.tensors import (
    CHANNELS_LAST,
    Held,
    array_in_order,
    in_order,
    plain,
    reshaped,
    widened,
)
from foodjax.exchange.to_keras.weighted import conv, per_channel, pool, product
from foodjax.exchange.to_onnx.graph import Node, Unsupported

_DTYPES = {1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16"}


def _global_pool(build: Any, node: Node) -> Held:
    from keras import layers

    x = in_order(build.held(node.inputs[0]), CHANNELS_LAST)
    return Held(layers.GlobalAveragePooling2D("channels_last", keepdims=True)(x), CHANNELS_LAST)


def _together(op: str) -> Callable[[Any, Node], Held]:
    """Operations on single entries of several tensors, which broadcast."""

    def form(build: Any, node: Node) -> Held:
        import keras

        tensors = [build.held(name) for name in node.inputs if build.array(name) is None]
        main = max(tensors, key=lambda held: (held.rank, sum(size != 1 for size in held.shape)))
        rank = max([main.rank, *(array.ndim for name in node.inputs if (array := build.array(name)) is not None)])
        main = widened(main, rank)
        given = []
        for name in node.inputs:
            array = build.array(name)
            if array is None:
                given.append(in_order(widened(build.held(name), rank), main.order))
            elif array.size == 1:
                given.append(array.reshape(()).item())
            else:
                given.append(build.constant(array_in_order(array, main.order)))
        return Held(getattr(keras.ops, op)(*given), main.order)

    return form


def _affine(op: str) -> Callable[[Any, Node], Held]:
    def form(build: Any, node: Node) -> Held:
        return per_channel(build, node) or _together(op)(build, node)

    return form


def _one(op: str) -> Callable[[Any, Node], Held]:
    def form(build: Any, node: Node) -> Held:
        import keras

        held = build.held(node.inputs[0])
        return Held(getattr(keras.ops, op)(held.tensor), held.order)

    return form


def _limits(build: Any, node: Node) -> Held:
    from keras import layers, ops

    held = build.held(node.inputs[0])
    limits: list[Any] = [None, None]
    for i, name in enumerate(node.inputs[1:]):
        array = build.array(name) if name else None
        limits[i] = None if array is None else array.item()
    low, high = limits
    if node.op == "Relu":
        return Held(layers.ReLU()(held.tensor), held.order)
    if low == 0 and high is not None:
        return Held(layers.ReLU(high)(held.tensor), held.order)
    x = held.tensor if low is None else ops.maximum(held.tensor, low)
    return Held(x if high is None else ops.minimum(x, high), held.order)


def _reduce(op: str) -> Callable[[Any, Node], Held]:
    def form(build: Any, node: Node) -> Held:
        import keras

        held = build.held(node.inputs[0])
        axes = tuple(held.order.index(axis % held.rank) for axis in build.integers(node.inputs[1]))
        return Held(getattr(keras.ops, op)(held.tensor, axis=axes, keepdims=True), held.order)

    return form


def _softmax(build: Any, node: Node) -> Held:
    from keras import layers

    held = build.held(node.inputs[0])
    name = "probabilities" if node.output == build.graph.output else None
    return Held(layers.Softmax(held.order.index(node.attributes["axis"]), name=name)(held.tensor), held.order)


def _cast(build: Any, node: Node) -> Held:
    from keras import ops

    held, number = build.held(node.inputs[0]), node.attributes["to"]
    if number not in _DTYPES:
        raise Unsupported(f"ONNX' type {number}")
    return Held(ops.cast(held.tensor, _DTYPES[number]), held.order)


def _transpose(build: Any, node: Node) -> Held:
    held, perm = build.held(node.inputs[0]), node.attributes["perm"]
    return Held(held.tensor, tuple(perm.index(axis) for axis in held.order))


def _reshape(build: Any, node: Node) -> Held:
    return reshaped(build.held(node.inputs[0]), build.integers(node.inputs[1]))


def _slice(build: Any, node: Node) -> Held:
    from keras import ops

    held = build.held(node.inputs[0])
    starts, limits, axes, steps = map(build.integers, node.inputs[1:])
    cuts = [slice(None)] * held.rank
    x: Any = held.tensor
    for start, limit, axis, step in zip(starts, limits, axes, steps, strict=True):
        place = held.order.index(axis)
        if step < 0:  # the export of a reversal; Keras has it as an operation
            x = ops.flip(x, axis=place)
        else:
            cuts[place] = slice(start, limit, step)
    return Held(x[tuple(cuts)] if any(cut != slice(None) for cut in cuts) else x, held.order)


def _concatenate(build: Any, node: Node) -> Held:
    from keras import ops

    tensors = [build.held_or_none(name) for name in node.inputs]
    order = max((held for held in tensors if held), key=lambda held: held.rank).order
    parts = []
    for name, held in zip(node.inputs, tensors, strict=True):
        array = build.array(name)
        parts.append(in_order(held, order) if held else build.constant(array_in_order(array, order), is_repeated=False))
    return Held(ops.concatenate(parts, axis=order.index(node.attributes["axis"])), order)


def _pad(build: Any, node: Node) -> Held:
    from keras import ops

    held, pads, filling = build.held(node.inputs[0]), build.integers(node.inputs[1]), build.array(node.inputs[2])
    if filling is None:
        raise Unsupported("a filling that is not constant")
    widths = [(pads[axis], pads[axis + held.rank]) for axis in held.order]
    return Held(ops.pad(held.tensor, widths, constant_values=filling.item()), held.order)


def _expand(build: Any, node: Node) -> Held:
    """Repeats along axes of length 1; along the batch, a constant alone."""
    from keras import ops

    sizes = build.sizes(node.inputs[1])
    held = build.held_or_none(node.inputs[0])
    if held is None:
        array = array_in_order(build.array(node.inputs[0]), range(len(sizes)))
        wanted = [1 if size is None else size for size in sizes]
        array = np.broadcast_to(array, np.broadcast_shapes(array.shape, wanted))
        if sizes[0] is not None or None in sizes[1:]:
            raise Unsupported("the batch in another axis than the first")
        return plain(build.constant(array, is_repeated=False))
    held = widened(held, len(sizes))
    x = held.tensor
    for place, axis in enumerate(held.order):
        size = sizes[axis]
        if size is None and held.shape[axis] is not None:
            raise Unsupported("values repeated for the batch")
        if size is not None and size > 1 and held.shape[axis] == 1:
            x = ops.repeat(x, size, axis=place)
    return Held(x, held.order)


_TOGETHER = {
    "Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide", "Pow": "power", "Max": "maximum",
    "Min": "minimum", "Equal": "equal", "Less": "less", "LessOrEqual": "less_equal", "Greater": "greater",
    "GreaterOrEqual": "greater_equal", "And": "logical_and", "Or": "logical_or", "Where": "where",
}  # fmt: skip
_SINGLE = {
    "Neg": "negative", "Abs": "abs", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Reciprocal": "reciprocal",
    "Tanh": "tanh", "Sigmoid": "sigmoid", "Erf": "erf", "Floor": "floor", "Ceil": "ceil", "Sign": "sign", "Sin": "sin",
    "Cos": "cos", "Not": "logical_not",
}  # fmt: skip
_REDUCED = {"ReduceSum": "sum", "ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min"}
FORMS: dict[str, Callable[[Any, Node], Held]] = {
    **{name: _together(op) for name, op in _TOGETHER.items()},
    **{name: _one(op) for name, op in _SINGLE.items()},
    **{name: _reduce(op) for name, op in _REDUCED.items()},
    "Add": _affine("add"), "Mul": _affine("multiply"), "Conv": conv, "MatMul": product, "MaxPool": pool,
    "AveragePool": pool,
    "GlobalAveragePool": _global_pool, "Relu": _limits, "Clip": _limits, "Softmax": _softmax, "Cast": _cast,
    "Transpose": _transpose, "Reshape": _reshape, "Slice": _slice, "Concat": _concatenate, "Pad": _pad,
    "Expand": _expand,
}  # fmt: skip
