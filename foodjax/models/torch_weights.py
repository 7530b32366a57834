"""Weights of a ResNet of blocks (`model.blocks`), from arrays with the names and the layout of torchvision and timm.

Kernels are (out, in, height, width). The last layer, `fc`, is of other classes and is left out.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from foodjax.system.errors import UserError

_NORM = {"weight": ("params", "scale"), "bias": ("params", "bias")} | {
    f"running_{name}": ("batch_stats", name) for name in ("mean", "var")
}


def to_blocks(arrays: Mapping[str, np.ndarray], origin: str) -> dict[str, Any]:
    """Returns the weights of all layers but the last as {"params", "batch_stats"} of blocks resnet_stem and resnet.

    Args:
        arrays: of a ResNet of basic blocks (18 or 34 layers), by PyTorch's names.
        origin: where they come from, for the message.

    Raises:
        UserError: they are of another network.
    """
    variables: dict[str, Any] = {"params": {}, "batch_stats": {}}
    for name, array in arrays.items():
        *layer, kind = name.split(".")
        if layer == ["fc"] or kind == "num_batches_tracked":
            continue
        try:
            block, own = _place(layer)
            part, key = ("params", "kernel") if array.ndim == 4 else _NORM[kind]
        except (KeyError, ValueError):
            raise UserError(f"{origin} has {name}: needs a ResNet of basic blocks") from None
        array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
        variables[part].setdefault(block, {}).setdefault(own, {})[key] = np.asarray(array, np.float32)
    return variables


def _place(layer: list[str]) -> tuple[str, str]:
    """Returns our (block, layer) for a layer of torchvision: layer1.0.conv2 is block2, conv1_2; bn1 is block1, norm."""
    if layer in (["conv1"], ["bn1"]):
        return "block1", "conv" if layer == ["conv1"] else "norm"
    stage, number, *inner = layer
    names = {f"{there}{i}": f"{here}%d_{i}" for i in (1, 2) for there, here in (("conv", "conv"), ("bn", "norm"))}
    names |= {"downsample.0": "conv%d_shortcut", "downsample.1": "norm%d_shortcut"}
    if not stage.startswith("layer"):
        raise ValueError(stage)
    return f"block{int(stage.removeprefix('layer')) + 1}", names[".".join(inner)] % (int(number) + 1)
