"""Layers of the backbones in Linen: strided and depthwise convolution, batch normalisation, MLP, one learned array.

Their parameters have the names and the layout of Flax; models/backbones/convert.py reads PyTorch's.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foodjax.models.batch_norm import batch_norm_train, scale_and_shift
from foodjax.models.convolution import padded_conv
from foodjax.models.depthwise import depthwise_conv
from foodjax.models.layers import Style, is_watched
from foodjax.models.pointwise import pointwise_conv
from foodjax.models.winograd import Padding

_ACTIVATIONS = {"none": lambda x: x, "relu": nn.relu, "relu6": nn.relu6}
_KERNEL_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "truncated_normal")


class Features(NamedTuple):
    """Output of a backbone.

    Attributes:
        maps: (B, h, w, C).
        token: class token (B, C); None where the backbone has none.
    """

    maps: jax.Array
    token: jax.Array | None = None


def torch_padding(kernel: int) -> Padding:
    """Returns the padding that keeps the size at stride 1, alike on both sides."""
    half = kernel // 2
    return (half, half), (half, half)


def tf_padding(kernel: int, stride: int, height: int, width: int) -> Padding:
    """Returns TensorFlow's padding SAME of an input: what is needed and no more, the odd pixel after.

    Args:
        kernel: side, pixels.
        stride: pixels.
        height: of the input, pixels.
        width: of the input, pixels.
    """
    rows, columns = jax.lax.padtype_to_pads((height, width), (kernel, kernel), (stride, stride), "SAME")
    return rows, columns


class Conv(nn.Module):
    """A convolution with a stride, dense or depthwise, with the parameters of `flax.linen.Conv`.

    Attributes:
        features: output channels; ignored by a depthwise convolution, which has those of its input.
        kernel: side of the square kernel, pixels.
        stride: pixels.
        tf_same: pad as TensorFlow's SAME; False pads alike on both sides, as PyTorch does.
        depthwise: every channel is convolved with a kernel of its own.
        use_bias: whether a bias is added.
        kernel_init: initialiser of the kernel.
    """

    features: int
    kernel: int
    stride: int = 1
    tf_same: bool = False
    depthwise: bool = False
    use_bias: bool = False
    kernel_init: Any = _KERNEL_INIT

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H / stride, W / stride, features), rounded up."""
        channels, k = x.shape[-1], self.kernel
        padding = tf_padding(k, self.stride, x.shape[1], x.shape[2]) if self.tf_same else torch_padding(k)
        shape = (k, k, 1, channels) if self.depthwise else (k, k, channels, self.features)
        kernel = self.param("kernel", self.kernel_init, shape).astype(x.dtype)
        if self.depthwise:
            y = depthwise_conv(x, kernel, self.stride, padding)
        elif k == 1:
            y = pointwise_conv(x, kernel, self.stride)
        elif self.stride == 1:
            y = padded_conv(x, kernel, padding)
        else:
            strides, numbers = (self.stride, self.stride), ("NHWC", "HWIO", "NHWC")
            y = jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=numbers)
        if self.use_bias:
            y = y + self.param("bias", nn.initializers.zeros, (y.shape[-1],)).astype(y.dtype)
        return y


class BatchNorm(nn.Module):
    """Batch normalisation and activation, fast on CPU; parameters and statistics of `flax.linen.BatchNorm`.

    Attributes:
        epsilon: added to the variance.
        activation: none, relu or relu6.
    """

    epsilon: float
    activation: str = "none"

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], style: Style, *, train: bool) -> Float[Array, "B H W C"]:
        """Maps (B, H, W, C) to the same shape; in evaluation, or frozen, by the running mean and variance."""
        shape = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, shape)
        bias = self.param("bias", nn.initializers.zeros, shape)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        var = self.variable("batch_stats", "var", jnp.ones, shape)
        wide = x if x.dtype == jnp.float64 else x.astype(jnp.float32)
        if style.frozen or not train:
            factor = scale * jax.lax.rsqrt(var.value + self.epsilon)
            y = scale_and_shift(wide, factor, bias - mean.value * factor)
            return _ACTIVATIONS[self.activation](y).astype(x.dtype)
        y, batch_mean, batch_var = batch_norm_train(wide, scale, bias, self.epsilon, self.activation)
        if not self.is_initializing():
            for kept, new in ((mean, batch_mean), (var, batch_var)):
                kept.value = style.norm_momentum * kept.value + (1 - style.norm_momentum) * new
        return y.astype(x.dtype)


class Mlp(nn.Module):
    """Two dense layers with GELU between them, in its exact form; the hidden one is four times as wide."""

    @nn.compact
    def __call__(self, x: Float[Array, "B *size C"]) -> Float[Array, "B *size C"]:
        """Maps (B, ..., C), tokens or pixels, to the same shape."""
        shape, dtype, init = x.shape, x.dtype, nn.initializers.truncated_normal(0.02)
        # On CPU gradients of a matrix product of rows take half to four fifths of the time of those of maps, which XLA
        # transposes. Layer tables read maps.
        x = x if is_watched(self, "activation") else x.reshape(-1, shape[-1])
        x = nn.gelu(nn.Dense(4 * shape[-1], kernel_init=init, dtype=dtype, name="fc1")(x), approximate=False)
        return nn.Dense(shape[-1], kernel_init=init, dtype=dtype, name="fc2")(x).reshape(shape)


class Learned(nn.Module):
    """One learned array, such as a class token or the scale of a residual branch, in a row of its own in tables.

    Attributes:
        shape: of the array.
        init: its initialiser.
    """

    shape: tuple[int, ...]
    init: Any = nn.initializers.zeros

    @nn.compact
    def __call__(self) -> jax.Array:
        """Returns the array."""
        return self.param("value", self.init, self.shape)
