"""Layers of Keras that have weights, and pooling."""

from typing import Any

import numpy as np

from foodjax.exchange.to_keras.tensors import (
    CHANNELS_LAST,
    MANY,
    Held,
    array_in_order,
    in_order,
    plain,
    single_axis,
    widened,
)
from foodjax.exchange.to_onnx.graph import Node, Unsupported

_LOWEST = float(np.finfo(np.float32).min)


def _padded(held: Held, node: Node, filling: float, *, knows_same: bool = True) -> tuple[Any, str]:
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
    if pairs == same and knows_same:
        return x, "same"
    return ops.pad(x, ((0, 0), *pairs, (0, 0)), constant_values=filling), "valid"


def conv(build: Any, node: Node) -> Held:
    """A convolution, a depthwise one where each channel has its own kernels."""
    from keras import layers

    kernel, bias = build.array(node.inputs[1]), build.array(node.inputs[2]) if len(node.inputs) > 2 else None
    if kernel is None or kernel.ndim != 4 or (bias is None and len(node.inputs) > 2):
        raise Unsupported("a kernel that is not constant, or not of rows and columns")
    facts = node.attributes
    x, padding = _padded(build.held(node.inputs[0]), node, 0.0)
    features, group, channels = len(kernel), facts["group"], x.shape[-1]
    common: dict[str, Any] = {"padding": padding, "use_bias": bias is not None, "dilation_rate": facts["dilations"]}
    common["data_format"] = "channels_last"  # whatever the user's Keras has as default
    sides, strides, biases = kernel.shape[2:], tuple(facts["strides"]), [] if bias is None else [bias]
    if group == channels > 1 and strides[0] == strides[1]:
        weights = kernel.reshape(group, features // group, *sides).transpose(2, 3, 0, 1)
        layer = layers.DepthwiseConv2D(sides, strides, depth_multiplier=features // group, **common)
    else:
        weights = kernel.transpose(2, 3, 1, 0)
        layer = layers.Conv2D(features, sides, strides, groups=group, **common)
    return Held(build.weighted(layer, x, weights, *biases), CHANNELS_LAST)


def product(build: Any, node: Node) -> Held:
    """A matrix product; with constant weights a dense layer, and the sum after it its bias."""
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
    return Held(build.weighted(layer, left.tensor, weights, *biases), left.order)


def pool(build: Any, node: Node) -> Held:
    """The largest or the mean value of each window."""
    from keras import layers

    facts, largest = node.attributes, node.op == "MaxPool"
    kind = layers.MaxPooling2D if largest else layers.AveragePooling2D
    # With "same", Keras leaves the padding out of a mean.
    x, padding = _padded(build.held(node.inputs[0]), node, _LOWEST if largest else 0.0, knows_same=largest)
    return Held(kind(tuple(facts["kernel_shape"]), tuple(facts["strides"]), padding, "channels_last")(x), CHANNELS_LAST)


def per_channel(build: Any, node: Node) -> Held | None:
    """A product or a sum with a constant for each channel, and the sum after a product; None where it is another."""
    from keras import layers

    array, held = build.array(node.inputs[1]), build.held_or_none(node.inputs[0])
    if array is None or held is None or array.ndim > held.rank or array.dtype != np.float32 or array.size == 1:
        return None
    array = array_in_order(array, held.order)
    axis = single_axis(array)
    if axis is None or array.size != held.tensor.shape[axis] or (array.size <= MANY and axis != held.rank - 1):
        return None
    ones, values = np.ones(array.size, np.float32), array.reshape(-1)
    scale, shift = (values, 0 * values) if node.op == "Mul" else (ones, values)
    if node.op == "Mul" and (sums := build.take_bias(node, held.order, axis, array.size)):
        shift = sums[0]
    if array.size <= MANY:
        shifts: Any = shift.tolist()  # a number by its default alone
        return Held(layers.Rescaling(scale.tolist(), shifts)(held.tensor), held.order)
    layer = layers.BatchNormalization(axis, epsilon=0.0)
    return Held(build.weighted(layer, held.tensor, scale, shift, 0 * ones, ones), held.order)
