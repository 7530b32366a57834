"""Weights of a backbone, from arrays with the names and the layout of PyTorch's networks.

The names are timm's; torchvision's ResNets have the same. EfficientNet-Lite's own PyTorch port has others, which are
understood too.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from foodjax.models.backbones.efficientnet_lite import stages
from foodjax.models.backbones.registry import NAME
from foodjax.models.backbones.vit import resample_positions
from foodjax.models.summary import walk
from foodjax.system.errors import UserError

_LEAVES = {"kernel": ".weight", "scale": ".weight", "bias": ".bias", "mean": ".running_mean", "var": ".running_var",
           "gamma": ".gamma", "value": ""}  # fmt: skip
# The last layer, which is of other classes; a norm after pooling, where blocks come between; and what only PyTorch or a
# pretraining needs.
_LEFT_OUT = re.compile(
    r"(fc|classifier|head|head_dist|head\.fc|head\.norm)\.(weight|bias)|.*\.num_batches_tracked|mask_token"
)


def to_variables(architecture: str, arrays: Mapping[str, np.ndarray], like: Any, origin: str) -> dict[str, Any]:
    """Returns the weights of a backbone as {"params", "batch_stats"}, each {"backbone": ...}.

    Args:
        architecture: the backbone's name.
        arrays: by PyTorch's names; kernels are (out, in, height, width), or (out, in).
        like: variables of such a network, or their shapes.
        origin: where the arrays come from, for the message.

    Raises:
        UserError: an array is missing, has another shape, or is of no layer.
    """
    arrays = _with_timm_names(architecture, dict(arrays))
    found: dict[str, Any] = {}
    for part in ("params", "batch_stats"):
        for path, own in walk(like.get(part, {}).get(NAME, {})):
            name = _torch_name(path)
            if name not in arrays:
                raise UserError(f"{origin} lacks {name}: needs the weights of {architecture}")
            array = _to_flax(arrays.pop(name), path, own.shape)
            if array.shape != tuple(own.shape):
                raise UserError(
                    f"{origin} does not fit {architecture}: {name} is {array.shape} as Flax has it, needs {own.shape}"
                )
            _put(found, (part, NAME, *path.split("/")), array)
    more = [name for name in arrays if not _LEFT_OUT.fullmatch(name)]
    if more:
        others = f" and {len(more) - 1} more" if len(more) > 1 else ""
        raise UserError(f"{origin} has {more[0]}{others}, which {architecture} has not: needs the weights of it")
    return {"params": {}, "batch_stats": {}} | found


def _torch_name(path: str) -> str:
    """Returns PyTorch's name of a leaf: blocks_0_1/conv_dw/kernel is blocks.0.1.conv_dw.weight."""
    *modules, leaf = path.split("/")
    return re.sub(r"_(\d+)(?=\.|_\d|$)", r".\1", ".".join(modules)) + _LEAVES[leaf]


def _to_flax(array: np.ndarray, path: str, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(array, np.float32)
    if path.endswith("/kernel"):
        return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
    if path == "pos_embed/value" and array.ndim == 3 and array.shape != shape:
        theirs, ours = (math.isqrt(max(n - 1, 0)) for n in (array.shape[1], shape[1]))
        if theirs and 1 + theirs**2 == array.shape[1] and 1 + ours**2 == shape[1]:
            return np.asarray(jax.jit(resample_positions, static_argnums=1)(array, (ours, ours)))
    return array


def _put(tree: dict[str, Any], path: tuple[str, ...], array: np.ndarray) -> None:
    *inner, last = path
    for name in inner:
        tree = tree.setdefault(name, {})
    tree[last] = array


def _with_timm_names(architecture: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the arrays of EfficientNet-Lite's own port by timm's names: _blocks.1._bn0 is blocks.1.0.bn1."""
    if "_conv_stem.weight" not in arrays or "efficientnet_lite" not in architecture:
        return arrays
    listed = stages(int(architecture[-1]))
    places = [(f"blocks.{i}.{j}.", expansion > 1) for i, (*_, expansion, _, n) in enumerate(listed) for j in range(n)]
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    inner = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
             "_project_conv": "conv_pwl", "_bn2": "bn3"}  # fmt: skip
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    renamed = {}
    for name, array in arrays.items():
        new = name
        if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)(\.\w+)", name):
            number, layer, leaf = int(match[1]), match[2], match[3]
            if number < len(places):
                place, expands = places[number]
                new = place + (inner if expands else first).get(layer, layer) + leaf
        elif match := re.fullmatch(r"(_\w+)(\.\w+)", name):
            new = outer.get(match[1], match[1]) + match[2]
        renamed[new] = array
    return renamed
