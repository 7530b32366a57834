"""Writes files as torch.save does, in both of its forms, without PyTorch: with Python's pickle, zipfile and struct."""

import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

KINDS = {
    "float32": "Float", "float64": "Double", "float16": "Half", "int64": "Long", "int32": "Int", "int16": "Short",
    "int8": "Char", "uint8": "Byte", "bool": "Bool", "bfloat16": "BFloat16",
}  # fmt: skip
NAMES = [f"{kind}Storage" for kind in KINDS.values()]


class Stored(NamedTuple):
    """The bytes that tensors share: what torch calls a storage."""

    key: str
    kind: str
    size: int
    content: bytes
    module: str = "torch"


class View:
    """A tensor: a part of a storage. Offset and strides count elements."""

    def __init__(self, stored, shape, strides, offset=0, parameter=False):
        self.arguments = (stored, offset, tuple(shape), tuple(strides), False, OrderedDict())
        self.parameter = parameter

    def __reduce__(self):
        utils = sys.modules["torch._utils"]
        if not self.parameter:
            return utils._rebuild_tensor_v2, self.arguments  # pyright: ignore
        plain = View(self.arguments[0], self.arguments[2], self.arguments[3], self.arguments[1])
        return utils._rebuild_parameter, (plain, True, OrderedDict())  # pyright: ignore


def stored(array, key="0", kind="", module="torch"):
    """Returns an array's bytes as a storage."""
    return Stored(key, kind or KINDS[array.dtype.name], array.size, array.tobytes(), module)


def tensor(array, key="0", kind="", parameter=False):
    """Returns an array as a tensor with a storage of its own."""
    array = np.asarray(array)
    strides = [stride // array.itemsize for stride in np.empty(array.shape, array.dtype).strides]
    return View(stored(array, key, kind), array.shape, strides, parameter=parameter)


def tensors(arrays):
    """Returns a state_dict of arrays."""
    return OrderedDict((name, tensor(array, str(i))) for i, (name, array) in enumerate(arrays.items()))


def _fake_torch():
    """Returns modules that have the names that pickle writes; torch itself is never imported here."""
    modules = {name: types.ModuleType(name) for name in ("torch", "torch.cuda", "torch._utils", "torchvision.models")}
    for module in ("torch", "torch.cuda"):
        for name in NAMES:
            setattr(modules[module], name, type(name, (), {"__module__": module}))
    for name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
        function = types.FunctionType((lambda: None).__code__, {}, name)
        function.__module__, function.__qualname__ = "torch._utils", name
        setattr(modules["torch._utils"], name, function)
    return modules


class _Pickler(pickle.Pickler):
    def __init__(self, file, protocol, found, legacy):
        super().__init__(file, protocol)
        self.found, self.legacy = found, legacy

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Stored):
            return None
        self.found[obj.key] = obj
        kind = getattr(sys.modules[obj.module], f"{obj.kind}Storage")
        return ("storage", kind, obj.key, "cpu", obj.size, *([None] if self.legacy else []))


def pickled(value, protocol=2, legacy=False):
    """Returns the pickle of an object with tensors, and its storages by key."""
    file, found = io.BytesIO(), {}
    with mock.patch.dict(sys.modules, _fake_torch()):
        _Pickler(file, protocol, found, legacy).dump(value)
    return file.getvalue(), found


def zip_file(value, protocol=2, members=None, compression=zipfile.ZIP_STORED, folder="archive", content=None):
    """Returns a file as PyTorch writes it since 1.6; `members` are added, `content` replaces the pickle."""
    data, storages = pickled(value, protocol)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        written = {"data.pkl": content or data, "byteorder": b"little"}
        written |= {f"data/{key}": s.content for key, s in storages.items()} | {"version": b"3\n"} | (members or {})
        for name, member in written.items():
            file.writestr(f"{folder}/{name}", member)
    return buffer.getvalue()


def legacy_file(value, protocol=2, content=None, little_endian=True):
    """Returns a file as PyTorch wrote it before 1.6; `content` replaces the pickle of the objects."""
    data, storages = pickled(value, protocol, legacy=True)
    system = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = [0x1950A86A20F9469CFC6C, 1001, system]
    parts = [pickle.dumps(part, protocol) for part in head] + [content or data]
    parts.append(pickle.dumps(sorted(storages), protocol))
    parts += [struct.pack("<q", storages[key].size) + storages[key].content for key in sorted(storages)]
    return b"".join(parts)


FORMS = {"zip": zip_file, "legacy": legacy_file}
