"""Reads the pickles of PyTorch's files as data: a stack machine of our own, which calls nothing that a file names.

A pickle is a program. It names functions of any module, and Python's unpickler imports and calls them. This machine
knows the opcodes that torch.save writes; a name must stand in `torch_names.NAMES`. Tensors and storages are returned as
descriptions: their bytes lie outside the pickle.
"""

import pickle  # for the codes of the opcodes alone
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from foodjax.models.weights.torch_names import NAMES, Ignored, Name, Storage, check_key, is_size
from foodjax.models.weights.unreadable import Unreadable
from foodjax.system.text import printable

MAX_PICKLE = 2**24  # bytes
MAX_STEPS = 2**20  # opcodes; a tensor takes about 45
_MAX_NAME = 256  # bytes of a module's or a function's name
_MAX_ARGUMENTS = 8
_NEEDS = "needs weights alone, as torch.save(model.state_dict(), PATH) writes them"


class Loaded(NamedTuple):
    """What a pickle holds, the position after it, and the storages that it names."""

    value: Any
    end: int
    storages: dict[str, Storage]


def load(content: bytes, at: int = 0) -> Loaded:
    """Reads one pickle: of dict, list, tuple, str, bytes, numbers, None, Tensor, Storage, Name and Ignored.

    Raises:
        Unreadable: it is damaged, exceeds a limit, or names what NAMES does not have.
    """
    machine = _Machine(content, at)
    return Loaded(machine.run(), machine.at, machine.storages)


class _Machine:
    """The state of the stack machine: position, stack, positions of marks, memo."""

    def __init__(self, content: bytes, at: int):
        self.content, self.at, self.limit = content, at, at + MAX_PICKLE
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def run(self) -> Any:
        for _ in range(MAX_STEPS):
            opcode = self.take(1)
            if opcode == pickle.STOP:
                return self.pop()
            step = _STEPS.get(opcode)
            if step is None:
                raise Unreadable(f"is damaged, or torch.save did not write it: its pickle has the opcode {opcode!r}")
            step(self)
        raise Unreadable(f"has a pickle of more than {MAX_STEPS:,} steps: {_NEEDS}")

    def take(self, size: int) -> bytes:
        start, self.at = self.at, self.at + size
        if self.at > self.limit:
            raise Unreadable(f"has a pickle of more than {MAX_PICKLE:,} bytes: {_NEEDS}")
        if self.at > len(self.content):
            raise Unreadable("is cut off: its pickle has no end")
        return self.content[start : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, form: str) -> str:
        found = self.take(self.number(form))
        try:
            return found.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return found.decode("latin-1")  # of Python 2, whose text is bytes

    def line(self) -> str:
        end = self.content.find(b"\n", self.at, self.at + _MAX_NAME)
        if end < 0:
            raise Unreadable(f"is damaged: its pickle has a name of more than {_MAX_NAME} bytes")
        return self.take(end + 1 - self.at)[:-1].decode("latin-1")

    def pop(self) -> Any:
        if not self.stack:
            raise Unreadable("is damaged: its pickle takes more from the stack than there is")
        return self.stack.pop()

    def pop_marked(self) -> list[Any]:
        if not self.marks:
            raise Unreadable("is damaged: its pickle has no mark where it needs one")
        start = self.marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    def pop_tuple(self, size: int) -> None:
        found = [self.pop() for _ in range(size)]
        self.stack.append(tuple(reversed(found)))

    def top(self, kind: type) -> Any:
        if not self.stack or type(self.stack[-1]) is not kind:
            raise Unreadable(f"is damaged: its pickle fills a {kind.__name__} that is none")
        return self.stack[-1]

    def extend(self, items: list[Any]) -> None:
        self.top(list).extend(items)

    def update(self, items: list[Any]) -> None:
        found = self.top(dict)
        if len(items) % 2:
            raise Unreadable("is damaged: its pickle has a key without a value")
        found.update((check_key(key), value) for key, value in zip(items[::2], items[1::2], strict=True))

    def put(self, place: int) -> None:
        if not self.stack:
            raise Unreadable("is damaged: its pickle stores what it does not have")
        self.memo[place] = self.stack[-1]

    def get(self, place: int) -> None:
        if place not in self.memo:
            raise Unreadable("is damaged: its pickle takes back what it did not store")
        self.stack.append(self.memo[place])

    def name(self, module: Any, name: Any) -> None:
        path = f"{module}.{name}" if type(module) is type(name) is str else "something without a name"
        if path not in NAMES:
            raise Unreadable(f"names {printable(path[:100])}, which is not called: {_NEEDS}")
        self.stack.append(NAMES[path])

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        if type(arguments) is not tuple or type(function) is not Name or function.call is None:
            raise Unreadable("is damaged: its pickle calls what is no function")
        if len(arguments) > _MAX_ARGUMENTS:  # Python copies them for each call
            raise Unreadable(f"is damaged: its pickle gives {function.path} {len(arguments):,} arguments")
        try:
            self.stack.append(function.call(*arguments))
        except TypeError:  # of a number of arguments that the function does not have: it is one of ours
            raise Unreadable(f"is damaged: its pickle gives {function.path} {len(arguments)} arguments") from None

    def build(self) -> None:
        self.pop()  # attributes: a state_dict's has the versions of the layers
        if not self.stack or type(self.stack[-1]) not in (dict, Ignored):
            raise Unreadable("is damaged: its pickle sets attributes of what has none")

    def storage(self) -> None:
        """Takes (storage, type, key, device, number of elements[, part of another storage])."""
        found = self.pop()
        if type(found) is not tuple or len(found) not in (5, 6) or found[0] != "storage":
            raise Unreadable(f"holds code of a model: {_NEEDS}")
        _, kind, key, _, size, *part = found
        if type(kind) is not Name or not kind.path.endswith("Storage") or type(key) is not str or not is_size(size):
            raise Unreadable("is damaged: a storage has no type, name or size")
        if part and part[0] is not None:
            raise Unreadable("has a storage that is a part of another one, which is not read")
        new = Storage(check_key(key), kind.dtype, size)
        if self.storages.setdefault(key, new) != new:
            raise Unreadable("is damaged: a storage has two sizes or types")
        self.stack.append(new)


_STEPS: dict[bytes, Callable[[_Machine], object]] = {
    pickle.PROTO: lambda m: m.take(1),
    pickle.FRAME: lambda m: m.take(8),
    pickle.MARK: lambda m: m.marks.append(len(m.stack)),
    pickle.NONE: lambda m: m.stack.append(None),
    pickle.NEWTRUE: lambda m: m.stack.append(True),
    pickle.NEWFALSE: lambda m: m.stack.append(False),
    pickle.BININT: lambda m: m.stack.append(m.number("<i")),
    pickle.BININT1: lambda m: m.stack.append(m.number("<B")),
    pickle.BININT2: lambda m: m.stack.append(m.number("<H")),
    pickle.LONG1: lambda m: m.stack.append(int.from_bytes(m.take(m.number("<B")), "little", signed=True)),
    pickle.BINFLOAT: lambda m: m.stack.append(m.number(">d")),
    pickle.SHORT_BINSTRING: lambda m: m.stack.append(m.text("<B")),
    pickle.BINSTRING: lambda m: m.stack.append(m.text("<I")),
    pickle.SHORT_BINUNICODE: lambda m: m.stack.append(m.text("<B")),
    pickle.BINUNICODE: lambda m: m.stack.append(m.text("<I")),
    pickle.BINUNICODE8: lambda m: m.stack.append(m.text("<Q")),
    pickle.SHORT_BINBYTES: lambda m: m.stack.append(m.take(m.number("<B"))),
    pickle.BINBYTES: lambda m: m.stack.append(m.take(m.number("<I"))),
    pickle.EMPTY_LIST: lambda m: m.stack.append([]),
    pickle.APPEND: lambda m: m.extend([m.pop()]),
    pickle.APPENDS: lambda m: m.extend(m.pop_marked()),
    pickle.EMPTY_DICT: lambda m: m.stack.append({}),
    pickle.SETITEM: lambda m: m.update([m.pop(), m.pop()][::-1]),
    pickle.SETITEMS: lambda m: m.update(m.pop_marked()),
    pickle.EMPTY_TUPLE: lambda m: m.stack.append(()),
    pickle.TUPLE1: lambda m: m.pop_tuple(1),
    pickle.TUPLE2: lambda m: m.pop_tuple(2),
    pickle.TUPLE3: lambda m: m.pop_tuple(3),
    pickle.TUPLE: lambda m: m.stack.append(tuple(m.pop_marked())),
    pickle.BINPUT: lambda m: m.put(m.number("<B")),
    pickle.LONG_BINPUT: lambda m: m.put(m.number("<I")),
    pickle.MEMOIZE: lambda m: m.put(len(m.memo)),
    pickle.BINGET: lambda m: m.get(m.number("<B")),
    pickle.LONG_BINGET: lambda m: m.get(m.number("<I")),
    pickle.GLOBAL: lambda m: m.name(m.line(), m.line()),
    pickle.STACK_GLOBAL: lambda m: m.name(*[m.pop(), m.pop()][::-1]),
    pickle.REDUCE: _Machine.call,
    pickle.NEWOBJ: _Machine.call,
    pickle.BUILD: _Machine.build,
    pickle.BINPERSID: _Machine.storage,
}
