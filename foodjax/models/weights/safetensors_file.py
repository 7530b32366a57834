"""Reads .safetensors files with the package safetensors: a header of JSON, then the arrays; nothing can be executed."""

import json
import struct

import numpy as np

from foodjax.models.weights.unreadable import Unreadable
from foodjax.system.errors import first_line
from foodjax.system.imports import import_problem
from foodjax.system.text import printable

MAX_HEADER = 2**24  # bytes
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1"}
_DTYPES |= {"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?", "BF16": "<u2"}


def read_safetensors(content: bytes) -> dict[str, np.ndarray]:
    """Returns the arrays of a file; bfloat16 becomes float32.

    Args:
        content: the whole file.

    Raises:
        Unreadable: it is damaged, or the package is not installed.
    """
    if problem := import_problem("safetensors"):
        raise Unreadable(f"needs the package safetensors ({problem}): pip install 'foodjax[pretrained]'")
    from safetensors import deserialize

    if content[8:9] != b"{":
        raise Unreadable("is no .safetensors file: it does not begin with a header")
    (size,) = struct.unpack_from("<Q", content)
    if size > MAX_HEADER:
        raise Unreadable(f"is damaged: its header has {size:,} bytes: needs at most {MAX_HEADER:,}")
    try:
        found = deserialize(content)
    except Exception as error:  # the package has exceptions of its own
        raise Unreadable(f"is no whole .safetensors file: {printable(first_line(error))}") from None
    if not found:
        raise Unreadable("holds no tensor: needs weights")
    return {name: _array(name, entry) for name, entry in found}


def licence(content: bytes) -> str:
    """Returns the entry `license` of the metadata of a file that `read_safetensors` takes, or "unknown"."""
    found = json.loads(content[8 : 8 + struct.unpack_from("<Q", content)[0]]).get("__metadata__") or {}
    found = found.get("license")
    return printable(found[:100]) if found else "unknown"


def _array(name: str, entry: dict) -> np.ndarray:
    kind, shape = entry["dtype"], entry["shape"]
    if kind not in _DTYPES:
        raise Unreadable(f"has {printable(name[:60])} in {kind}, which is not read: needs floats or integers")
    found = np.frombuffer(entry["data"], _DTYPES[kind]).reshape(shape)
    return np.asarray(found.astype(np.uint32) << 16).view(np.float32) if kind == "BF16" else found
