"""The names that a pickle of PyTorch's may use, and the functions of ours that stand for them.

NAMES is all there is: no name of a file is imported. Each function checks its arguments and returns a description.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from foodjax.models.weights.unreadable import Unreadable

MAX_DIMS = 32
MAX_KEY = 4096  # characters
_MAX_INT = 2**63


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes of the file that tensors share: `size` elements of `dtype`, a name of numpy or "bfloat16"."""

    key: str
    dtype: str
    size: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage; offset and strides count elements of `dtype`. Nothing of it is checked against the file."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Name:
    """A name that a pickle may use: our function for it, or the dtype of which it is a storage's or a tensor's type."""

    path: str
    call: Callable[..., Any] | None = None
    dtype: str = ""


class Ignored:
    """Stands for an object of a checkpoint that is no weight: its options, its device."""


def is_size(value: Any) -> bool:
    """Returns whether a value of a pickle is an integer that may count elements."""
    return type(value) is int and 0 <= value < _MAX_INT


def check_key(key: Any) -> Any:
    """Returns a key of a dict. Many long keys, or many of another type that have one hash, would take hours.

    Raises:
        Unreadable: it is of another type, or long.
    """
    if key is None or (type(key) in (int, float, bool) and abs(key) < _MAX_INT):
        return key
    if type(key) is str:
        if len(key) > MAX_KEY:
            raise Unreadable(f"has a dict with a key of {len(key):,} characters: needs at most {MAX_KEY:,}")
        return key
    raise Unreadable(f"has a dict with a key of type {type(key).__name__}: needs names")


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any = False, hooks: Any = None, meta: Any = None
):
    if type(storage) is not Storage or not is_size(offset):
        raise Unreadable("is damaged: it has a tensor without a storage")
    if meta:  # of a negated or conjugated view, whose bytes are other numbers
        raise Unreadable("has a tensor with metadata, which is not read: needs tensors of plain numbers")
    for sizes in (shape, strides):
        if type(sizes) is not tuple or len(sizes) > MAX_DIMS or not all(map(is_size, sizes)):
            raise Unreadable(f"is damaged: the shape of a tensor is not a tuple of at most {MAX_DIMS} sizes")
    if len(shape) != len(strides):
        raise Unreadable("is damaged: a tensor has not as many strides as dimensions")
    return Tensor(storage, storage.dtype, offset, shape, strides)


def _typed(storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, dtype: Any, meta: Any = None):
    found = _tensor(storage, offset, shape, strides, meta=meta)
    if type(dtype) is not Name or not dtype.dtype:
        raise Unreadable("is damaged: it has a tensor without a type")
    return Tensor(found.storage, dtype.dtype, offset, shape, strides)


def _parameter(tensor: Any, grad: Any = False, hooks: Any = None, state: Any = None) -> Tensor:
    if type(tensor) is not Tensor:
        raise Unreadable("is damaged: it has a parameter without a tensor")
    return tensor


def _ordered(pairs: Any = None) -> dict[Any, Any]:
    # Python 2 gave an OrderedDict a list of its pairs; Python 3 adds them afterwards.
    pairs = [] if pairs is None else pairs
    if type(pairs) is not list or not all(type(pair) in (list, tuple) and len(pair) == 2 for pair in pairs):
        raise Unreadable("is damaged: it has an OrderedDict of something else than pairs")
    found = {check_key(key): value for key, value in pairs}
    pairs.clear()  # or one list could fill any number of dicts
    return found


def _size(sizes: Any = ()) -> tuple[Any, ...]:
    if type(sizes) not in (list, tuple) or len(sizes) > MAX_DIMS:
        raise Unreadable(f"is damaged: it has a torch.Size of something else than at most {MAX_DIMS} sizes")
    return tuple(sizes)


def _ignored(*_: Any) -> Ignored:
    return Ignored()


_TYPES = {"Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64"}
_TYPES |= {"Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool"}
# What training scripts store beside the weights; timm stores its options as a Namespace.
_BESIDE = ("argparse.Namespace", "collections.Counter", "torch.device", "builtins.set", "__builtin__.set")
_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered,
    "torch.Size": _size,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
} | dict.fromkeys(_BESIDE, _ignored)


def _list_names() -> dict[str, Name]:
    names = [Name(path, call) for path, call in _CALLS.items()]
    names += [Name(f"torch.{dtype}", dtype=dtype) for dtype in (*_TYPES.values(), "uint16", "uint32", "uint64")]
    for module in ("torch", "torch.cuda"):  # files before PyTorch 1.6 have the storages of a GPU
        names += [Name(f"{module}.{kind}Storage", dtype=dtype) for kind, dtype in _TYPES.items()]
    names.append(Name("torch.storage.UntypedStorage", dtype="uint8"))
    return {name.path: name for name in names}


NAMES = _list_names()
