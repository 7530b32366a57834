"""Reads the tensors of a file that torch.save wrote, in both of its forms, without PyTorch; executes nothing of it.

Since PyTorch 1.6 the file is a zip with one pickle and a member for each storage. Before, it was five pickles (magic
number, version, system, objects, names of storages) and the storages' bytes behind them.
"""

import functools
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from foodjax.models.weights import torch_pickle
from foodjax.models.weights.torch_names import Storage, Tensor
from foodjax.models.weights.torch_zip import Zip
from foodjax.models.weights.unreadable import Unreadable
from foodjax.system.text import printable

MAX_GROWTH = 8  # times the file's bytes, that all arrays may take together: bfloat16 doubles, and tensors share bytes
_SMALL = 2**20  # bytes that any file may take
STATES = ("state_dict_ema", "state_dict", "model")  # where checkpoints hold the weights, the best first
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_NEEDS = f"needs a state_dict, or a dict with one as {', '.join(STATES)}"
_Bytes = Callable[[Storage], memoryview]


def read_torch(content: bytes) -> dict[str, np.ndarray]:
    """Returns the arrays of a state_dict; bfloat16 becomes float32. They are views of `content` where they can be.

    Args:
        content: the whole file.

    Raises:
        Unreadable: it is damaged, not of torch.save, no state_dict, above a limit, or names what is not read.
    """
    if content[8:9] == b"{":
        raise Unreadable("is a .safetensors file: needs a name that says so")
    if content.startswith(b"PK"):
        value, storage_bytes = _read_zip(content)
    elif content.startswith(b"\x80"):  # every pickle of protocol 2 and later
        value, storage_bytes = _read_legacy(content)
    else:
        raise Unreadable(f"is no file that torch.save wrote: {_NEEDS}")
    state = _choose(value)
    total, limit = 0, MAX_GROWTH * len(content) + _SMALL
    for tensor in state.values():
        # At least one: a tensor without elements must not have a shape that numpy cannot hold.
        total += math.prod(max(size, 1) for size in tensor.shape) * max(_itemsize(tensor.dtype), 4)
        if total > limit:
            raise Unreadable(f"has tensors that expand to more than {MAX_GROWTH} times its size: refused")
    return {name: _array(name, tensor, storage_bytes(tensor.storage)) for name, tensor in state.items()}


def _read_zip(content: bytes) -> tuple[Any, _Bytes]:
    members = Zip(content)
    pickles = [name for name in members.members if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise Unreadable(f"is a zip file, but not one that torch.save wrote: {_NEEDS}")
    folder = pickles[0].removesuffix("data.pkl")
    if any(name.startswith((f"{folder}code/", f"{folder}constants.pkl")) for name in members.members):
        raise Unreadable("is a TorchScript archive, which holds code: needs torch.save(model.state_dict(), PATH)")
    objects = bytes(members.read(pickles[0]))
    if f"{folder}byteorder" in members.members and bytes(members.read(f"{folder}byteorder")) != b"little":
        raise Unreadable("has big-endian numbers: needs a file that a little-endian machine wrote")
    loaded = torch_pickle.load(objects)
    # Once each: the checksum of a storage that many tensors share takes its time.
    return loaded.value, functools.cache(lambda storage: _whole(storage, members.read(f"{folder}data/{storage.key}")))


def _whole(storage: Storage, found: memoryview) -> memoryview:
    if len(found) != storage.size * _itemsize(storage.dtype):
        raise Unreadable(f"is damaged: storage {printable(storage.key[:60])} has {len(found):,} bytes, not "
                         f"{storage.size:,} of {storage.dtype}")  # fmt: skip
    return found


def _read_legacy(content: bytes) -> tuple[Any, _Bytes]:
    magic = torch_pickle.load(content)
    if magic.value != _MAGIC:
        raise Unreadable(f"is a pickle, but not one that torch.save wrote: {_NEEDS}")
    version = torch_pickle.load(content, magic.end)
    if version.value != _VERSION:
        raise Unreadable("is damaged: it lacks the version of its form")
    system = torch_pickle.load(content, version.end)
    if type(system.value) is not dict or system.value.get("little_endian") is not True:
        raise Unreadable("has big-endian numbers: needs a file that a little-endian machine wrote")
    objects = torch_pickle.load(content, system.end)
    keys = torch_pickle.load(content, objects.end)
    if type(keys.value) is not list:
        raise Unreadable("is damaged: it lacks the list of its storages")
    storages, at = objects.storages, keys.end
    places = {}
    for key in keys.value:
        if type(key) is not str or key not in storages or key in places:
            raise Unreadable("is damaged: its list of storages is not that of its tensors")
        size = storages[key].size
        start, end = at + 8, at + 8 + size * _itemsize(storages[key].dtype)
        if content[at:start] != struct.pack("<Q", size) and start <= len(content):
            raise Unreadable(f"is damaged: storage {printable(key[:60])} has another size in front of its bytes")
        if end > len(content):
            raise Unreadable(f"is cut off: it has {len(content):,} bytes, needs at least {end:,}")
        places[key], at = memoryview(content)[start:end], end
    if places.keys() != storages.keys():
        raise Unreadable("is damaged: its list of storages is not that of its tensors")
    return objects.value, lambda storage: places[storage.key]


def _choose(value: Any) -> dict[str, Tensor]:
    """Returns the tensors of a state_dict, or of the best one that a checkpoint holds."""
    if type(value) is not dict:
        raise Unreadable(f"holds {_kind(value)}: {_NEEDS}")
    for key in STATES:
        if type(value.get(key)) is dict:
            value = value[key]
            break
    # A layer may keep something of its own beside its tensors.
    state = {name: entry for name, entry in value.items() if not str(name).endswith("_extra_state")}
    others = {name: entry for name, entry in state.items() if type(entry) is not Tensor}
    if len(others) == len(state):
        keys = ", ".join(printable(str(name)[:40]) for name in list(state)[:5])
        raise Unreadable(f"holds no tensor{keys and ', but ' + keys}: {_NEEDS}")
    for name, entry in others.items():
        raise Unreadable(f"holds {_kind(entry)} as {printable(str(name)[:60])} among its tensors: {_NEEDS}")
    for name in state:
        if type(name) is not str:
            raise Unreadable(f"has a tensor whose name is {_kind(name)}: {_NEEDS}")
    return state


def _kind(value: Any) -> str:
    return f"an object of type {type(value).__name__}"


def _itemsize(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def _array(name: str, tensor: Tensor, found: memoryview) -> np.ndarray:
    size, shape = _itemsize(tensor.dtype), tensor.shape
    dtype = np.dtype({"bfloat16": "uint16", "bool": "uint8"}.get(tensor.dtype, tensor.dtype)).newbyteorder("<")
    if 0 in shape:
        return np.zeros(shape, "float32" if tensor.dtype == "bfloat16" else tensor.dtype)
    last = tensor.offset + sum((count - 1) * stride for count, stride in zip(shape, tensor.strides, strict=True))
    if (last + 1) * size > len(found):
        raise Unreadable(f"is damaged: {printable(name[:60])} lies outside its storage")
    # The stride of a single element is never used, and may be any number.
    strides = [0 if count == 1 else stride * size for count, stride in zip(shape, tensor.strides, strict=True)]
    view = np.ndarray(shape, dtype, found, tensor.offset * size, tuple(strides))
    if tensor.dtype == "bfloat16":
        return np.asarray(view.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(view != 0) if tensor.dtype == "bool" else np.require(view, requirements=["C", "ALIGNED"])
