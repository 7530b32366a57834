"""Layers of the tutorial's network, and the forms that `layers.py` times: a new form is a line of FORMS.

A form makes three functions for a layer: forward, and the gradients of the input and of the kernel.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from foodjax.models import forms
from foodjax.models.convolution import conv, direct_conv
from foodjax.models.native.choice import choose
from foodjax.models.winograd import winograd_conv
from foodjax.steps.devices import compiler_options

DIRECTIONS = ("forward", "input", "kernel")
# Of bfloat16 products XLA's own code takes many times as long.
YNNPACK = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}


class Layer(NamedTuple):
    """A convolution of stride 1 on square maps, or a dense layer: `taps` is the side of the kernel, 0 for dense."""

    side: int
    channels: int
    features: int
    taps: int
    padding: str

    @property
    def pads(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Zeros before and after the rows, and the columns."""
        before = (self.taps - 1) // 2 if self.padding == "SAME" else 0
        return (before, before), (before, before)

    @property
    def outputs(self) -> int:
        """Side of the output."""
        return self.side - (self.taps - 1 if self.padding == "VALID" else 0)

    def __str__(self) -> str:
        if not self.taps:
            return f"dense {self.channels} -> {self.features}"
        return f"{self.side} px, {self.channels} -> {self.features}, {self.taps} x {self.taps} {self.padding}"

    def shapes(self, batch: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Returns the shapes of the input, the kernel and the output."""
        if not self.taps:
            return (batch, self.channels), (self.channels, self.features), (batch, self.features)
        kernel = (self.taps, self.taps, self.channels, self.features)
        return (
            (batch, self.side, self.side, self.channels), kernel, (batch, self.outputs, self.outputs, self.features)
        )  # fmt: skip

    def gflop(self, batch: int) -> float:
        """Returns the operations of one direction, 1e9: each product is a multiplication and an addition."""
        return 2e-9 * batch * max(self.outputs * self.taps, 1) ** 2 * self.channels * self.features


LAYERS = (
    Layer(128, 3, 32, 3, "SAME"), Layer(128, 32, 32, 3, "VALID"), Layer(63, 32, 64, 3, "SAME"),
    Layer(63, 64, 64, 3, "VALID"), Layer(30, 64, 128, 3, "SAME"), Layer(30, 128, 128, 3, "VALID"),
    Layer(14, 128, 512, 5, "SAME"), Layer(14, 512, 512, 5, "VALID"), Layer(1, 2048, 1024, 0, "VALID"),
)  # fmt: skip

# The input, the kernel and the gradient of the output, of one type -> functions by direction. Each computes once, waits
# for the end, and returns what it computed.
Arrays = tuple[Any, Any, Any]
Runs = dict[str, Callable[[], Any]]


class Form(NamedTuple):
    """A way to compute layers.

    Attributes:
        runs: make(layer, arrays) returns its functions; the arrays are NumPy's of float32, and a type is named.
        fits: of a layer and the name of a type.
    """

    runs: Callable[[Layer, tuple[np.ndarray, ...], str], Runs]
    fits: Callable[[Layer, str], bool]


def jitted(
    function: Callable[[Layer, jax.Array, jax.Array], jax.Array], options: Callable[[str], dict[str, str]]
) -> Callable[[Layer, tuple[np.ndarray, ...], str], Runs]:
    """Returns `Form.runs` of a function of JAX; its gradients are JAX' own."""

    def runs(layer: Layer, arrays: tuple[np.ndarray, ...], dtype: str) -> Runs:
        x, kernel, gradient = (jnp.asarray(array, dtype) for array in arrays)

        def forward(x, kernel, gradient):
            return function(layer, x, kernel)

        def of_input(x, kernel, gradient):
            return jax.vjp(lambda x: function(layer, x, kernel), x)[1](gradient)[0]

        def of_kernel(x, kernel, gradient):
            return jax.vjp(lambda kernel: function(layer, x, kernel), kernel)[1](gradient)[0]

        def run(direction):
            step = jax.jit(direction, compiler_options=options(dtype))
            return lambda: jax.block_until_ready(step(x, kernel, gradient))

        return dict(zip(DIRECTIONS, map(run, (forward, of_input, of_kernel)), strict=True))

    return runs


def by_foodjax(layer: Layer, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Computes a layer as foodjax does: in the native kernels, where they can be used."""
    with forms.native(choose("auto", 1).level):
        return conv(x, kernel, layer.padding) if layer.taps else x @ kernel


def by_xla(layer: Layer, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Computes a layer with XLA's own convolution."""
    return direct_conv(x, kernel, layer.pads) if layer.taps else x @ kernel


def by_winograd(layer: Layer, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Computes a convolution in Winograd's form."""
    return winograd_conv(x, kernel, layer.pads)


def by_rows(layer: Layer, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Computes a layer as matrix products, one for each row of the kernel, of patches of one row of pixels."""
    if not layer.taps:
        return product(x, kernel).astype(x.dtype)
    taps, n = layer.taps, layer.outputs
    x = jnp.pad(x, ((0, 0), *layer.pads, (0, 0)))
    x = jnp.concatenate([x[:, :, j : j + n] for j in range(taps)], -1)  # (B, H, n, taps * C)
    rows = kernel.reshape(taps, -1, layer.features)
    parts = [product(x[:, i : i + n], rows[i]) for i in range(taps)]
    return sum(parts[1:], parts[0]).astype(x.dtype)


def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns x @ kernel with sums of float32."""
    return lax.dot_general(x, kernel, (((x.ndim - 1,), (0,)), ((), ())), preferred_element_type=jnp.float32)


def by_torch(layer: Layer, arrays: tuple[np.ndarray, ...], dtype: str) -> Runs:
    """Returns the functions of PyTorch's layers, channels last."""
    import torch

    tensors = (torch.from_numpy(array).to(getattr(torch, dtype)) for array in arrays)
    if not layer.taps:
        x, kernel, gradient = tensors
        runs = (lambda: x @ kernel, lambda: gradient @ kernel.T, lambda: x.T @ gradient)
        return dict(zip(DIRECTIONS, runs, strict=True))
    last = {"memory_format": torch.channels_last}
    x, kernel, gradient = (
        tensor.permute(order).contiguous(**last)
        for tensor, order in zip(tensors, ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2)), strict=True)
    )
    pads = [pad[0] for pad in layer.pads]

    def backward(input: bool, kernel_: bool):
        return torch.ops.aten.convolution_backward(
            gradient, x, kernel, None, (1, 1), pads, (1, 1), False, (0, 0), 1, (input, kernel_, False)
        )

    return {
        "forward": lambda: torch.nn.functional.conv2d(x, kernel, padding=pads).permute(0, 2, 3, 1),
        "input": lambda: backward(True, False)[0].permute(0, 2, 3, 1),
        "kernel": lambda: backward(False, True)[1].permute(2, 3, 1, 0),
    }


def own_options(dtype: str) -> dict[str, str]:
    """Returns the options with which foodjax compiles its steps."""
    return compiler_options()


def product_options(dtype: str) -> dict[str, str]:
    """Returns the options with which products of a type are fastest."""
    return YNNPACK if dtype == "bfloat16" else compiler_options()


# PyTorch is the last: its threads wait busily, and would take the cores from the others.
FORMS = {
    "foodjax": Form(jitted(by_foodjax, own_options), lambda layer, dtype: True),
    "XLA": Form(jitted(by_xla, own_options), lambda layer, dtype: layer.taps > 0),
    "Winograd": Form(jitted(by_winograd, own_options), lambda layer, dtype: layer.taps > 0 and dtype == "float32"),
    "row products": Form(jitted(by_rows, product_options), lambda layer, dtype: True),
    "PyTorch": Form(by_torch, lambda layer, dtype: True),
}
