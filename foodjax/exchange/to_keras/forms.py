"""Layers and operations of Keras for the operations of a graph; the weights are variables of the layers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from foodjax.exchange.to_keras.tensors import (
    CHANNELS_LAST,
    MANY,
    Held,
    array_in_order,
    in_order,
    plain,
    reshaped,
    single_axis,
    widened,
)
from foodjax.exchange.to_onnx.graph import Node, Unsupported

_LOWEST = float(np.finfo(np.float32).min)
_DTYPES = {1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16"}


def _weighted(layer: Any, x: Any, *weights: np.ndarray) -> Any:
    """Returns layer(x), with these weights in the layer."""
    found = layer(x)
    layer.set_weights(list(weights))
    return found


def _padded(build: Any, held: Held, node: Node, filling: float) -> tuple[Any, str]:
    """Returns maps with their channels last, padded where neither "valid" nor "same" says so, and which of both."""
    from keras import ops

    facts, x = node.attributes, in_order(held, CHANNELS_LAST)
    pads, strides, sides = facts["pads"], facts["strides"], facts["kernel_shape"]
    pairs = list(zip(pads[:2], pads[2:], strict=True))
    if not any(pads):
        return x, "valid"
    dilations = facts.get("dilations", [1, 1])
    same = []
    for length, side, stride, dilation in zip(x.shape[1:3], sides, strides, dilations, strict=True):
        total = max((-(-length // stride) - 1) * stride + (side - 1) * dilation + 1 - length, 0)
        same.append((total // 2, total - total // 2))
    if pairs == same:
        return x, "same"
    return ops.pad(x, ((0, 0), *pairs, (0, 0)), constant_values=filling), "valid"


def _conv(build: Any, node: Node) -> Held:
    from keras import layers

    kernel, bias = build.array(node.inputs[1]), build.array(node.inputs[2]) if len(node.inputs) > 2 else None
    if kernel is None or kernel.ndim != 4 or (bias is None and len(node.inputs) > 2):
        raise Unsupported("a kernel that is not constant, or not of rows and columns")
    facts = node.attributes
    x, padding = _padded(build, build.held(node.inputs[0]), node, 0.0)
    features, group, channels = len(kernel), facts["group"], x.shape[-1]
    common: dict[str, Any] = {"padding": padding, "use_bias": bias is not None, "dilation_rate": facts["dilations"]}
    sides, strides, biases = kernel.shape[2:], tuple(facts["strides"]), [] if bias is None else [bias]
    if group == channels > 1 and strides[0] == strides[1]:
        weights = kernel.reshape(group, features // group, *sides).transpose(2, 3, 0, 1)
        layer = layers.DepthwiseConv2D(sides, strides, depth_multiplier=features // group, **common)
    else:
        weights = kernel.transpose(2, 3, 1, 0)
        layer = layers.Conv2D(features, sides, strides, groups=group, **common)
    return Held(_weighted(layer, x, weights, *biases), CHANNELS_LAST)


def _product(build: Any, node: Node) -> Held:
    from keras import layers, ops

    left, weights = build.held(node.inputs[0]), build.array(node.inputs[1])
    if weights is None:
        right = build.held(node.inputs[1])
        rank = max(left.rank, right.rank)
        pair = [in_order(widened(held, rank), range(rank)) for held in (left, right)]
        return plain(ops.matmul(*pair))
    if weights.ndim != 2:
        raise Unsupported("constant weights of more than two axes")
    if left.order[-1] != left.rank - 1:
        left = plain(in_order(left, range(left.rank)))
    biases = build.take_bias(node, left.order, left.rank - 1, weights.shape[1])
    layer = layers.Dense(weights.shape[1], use_bias=bool(biases))
    return Held(_weighted(layer, left.tensor, weights, *biases), left.order)


def _pool(build: Any, node: Node) -> Held:
    from keras import layers

    largest, held = node.op == "MaxPool", build.held(node.inputs[0])
    kind = layers.MaxPooling2D if largest else layers.AveragePooling2D
    x, padding = _padded(build, held, node, _LOWEST if largest else 0.0)
    if padding == "same" and not largest:  # Keras leaves the padding out of the mean
        return _pool_of_padded(kind, held, node)
    facts = node.attributes
    return Held(kind(tuple(facts["kernel_shape"]), tuple(facts["strides"]), padding)(x), CHANNELS_LAST)


def _pool_of_padded(kind: Any, held: Held, node: Node) -> Held:
    from keras import ops

    facts = node.attributes
    pairs = zip(facts["pads"][:2], facts["pads"][2:], strict=True)
    x = ops.pad(in_order(held, CHANNELS_LAST), ((0, 0), *pairs, (0, 0)))
    return Held(kind(tuple(facts["kernel_shape"]), tuple(facts["strides"]))(x), CHANNELS_LAST)


def _global_pool(build: Any, node: Node) -> Held:
    from keras import layers

    x = in_order(build.held(node.inputs[0]), CHANNELS_LAST)
    return Held(layers.GlobalAveragePooling2D(keepdims=True)(x), CHANNELS_LAST)


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


def _affine(build: Any, node: Node) -> Held:
    """A product or a sum: with a constant for each channel it is a layer, and the sum after a product part of it."""
    from keras import layers

    array, held = build.array(node.inputs[1]), build.held_or_none(node.inputs[0])
    if array is None or held is None or array.ndim > held.rank or array.dtype != np.float32 or array.size == 1:
        return _together(_TOGETHER[node.op])(build, node)
    array = array_in_order(array, held.order)
    axis = single_axis(array)
    if axis is None or array.size != held.tensor.shape[axis] or (array.size <= MANY and axis != held.rank - 1):
        return _together(_TOGETHER[node.op])(build, node)
    ones, values = np.ones(array.size, np.float32), array.reshape(-1)
    scale, shift = (values, 0 * values) if node.op == "Mul" else (ones, values)
    if node.op == "Mul" and (sums := build.take_bias(node, held.order, axis, array.size)):
        shift = sums[0]
    if array.size <= MANY:
        return Held(layers.Rescaling(scale.tolist(), shift.tolist())(held.tensor), held.order)
    layer = layers.BatchNormalization(axis, epsilon=0.0)
    return Held(_weighted(layer, held.tensor, scale, shift, 0 * ones, ones), held.order)


def _one(op: str) -> Callable[[Any, Node], Held]:
    def form(build: Any, node: Node) -> Held:
        import keras

        held = build.held(node.inputs[0])
        return Held(getattr(keras.ops, op)(held.tensor), held.order)

    return form


def _limits(build: Any, node: Node) -> Held:
    from keras import layers, ops

    held, limits = build.held(node.inputs[0]), [None, None]
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
    cuts, x = [slice(None)] * held.rank, held.tensor
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
    "Add": _affine, "Mul": _affine, "Conv": _conv, "MatMul": _product, "MaxPool": _pool, "AveragePool": _pool,
    "GlobalAveragePool": _global_pool, "Relu": _limits, "Clip": _limits, "Softmax": _softmax, "Cast": _cast,
    "Transpose": _transpose, "Reshape": _reshape, "Slice": _slice, "Concat": _concatenate, "Pad": _pad,
    "Expand": _expand,
}  # fmt: skip
