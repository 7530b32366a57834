"""The pickle machine: the same values as Python's unpickler has, nothing called, nothing large taken."""

import functools
import os
import pickle
import struct
from argparse import Namespace
from collections import Counter, OrderedDict

import pytest
from models.weights.torch_files import pickled, tensor

from foodjax.models.weights import torch_names, torch_pickle
from foodjax.models.weights.torch_names import Ignored, Storage, Tensor
from foodjax.models.weights.unreadable import Unreadable

VALUES = [
    None, True, False, 0, 255, 256, 65536, -1, 2**40, -(2**62), 0x1950A86A20F9469CFC6C, 1.5, float("-inf"), "",
    "weight", "a" * 300, "\u00e9\U0001f600\udce9", b"", b"bytes", b"b" * 300, [], [1], [1, [2, [3]]], {}, {"a": 1}, (),
    (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {"a": [1, {"b": (None, 2.5)}], 3: "x", None: True}, ["same"] * 3,
    list(range(3000)), {str(i): i for i in range(3000)},
]  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:20])
def test_values_are_those_of_pythons_unpickler(value, protocol):
    if isinstance(value, bytes):
        protocol = max(protocol, 3)  # before, bytes are a call of _codecs.encode
    content = pickle.dumps(value, protocol)
    loaded = torch_pickle.load(b"before" + content + b"behind", at=6)
    assert loaded.value == value
    assert type(loaded.value) is type(value)
    assert loaded.end == 6 + len(content)


def test_text_of_python_2_is_read():
    assert torch_pickle.load(b"\x80\x02U\x03fc.T\x02\0\0\0\xe9a\x86.").value == ("fc.", "\u00e9a")


def test_an_ordered_dict_of_python_2_has_its_pairs_as_argument():
    content = b"\x80\x02ccollections\nOrderedDict\n](](U\x01aK\x07ee\x85R."
    assert pickle.loads(content, encoding="latin-1") == {"a": 7}
    assert torch_pickle.load(content).value == {"a": 7}


def test_a_list_fills_one_ordered_dict():
    # A file could call with one long list two hundred thousand times.
    call = b"ccollections\nOrderedDict\nh\x00\x85R"
    content = b"\x80\x02]q\x00U\x01aK\x07\x86a" + call + call + b"\x86."
    assert torch_pickle.load(content).value == ({"a": 7}, {})


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_tensor_is_a_description(protocol):
    content, _ = pickled({"fc": tensor([[1.0, 2.0, 3.0]], "7")}, protocol)
    loaded = torch_pickle.load(content)
    storage = Storage("7", "float64", 3)
    assert loaded.value == {"fc": Tensor(storage, "float64", 0, (1, 3), (3, 1))}
    assert loaded.storages == {"7": storage}


def test_a_parameter_is_its_tensor_and_options_are_ignored():
    state = OrderedDict(fc=tensor([1.0], parameter=True))
    state._metadata = OrderedDict(fc={"version": 2})  # pyright: ignore
    content, _ = pickled({"state_dict": state, "args": Namespace(lr=0.1), "milestones": Counter([3])})
    value = torch_pickle.load(content).value
    assert value["state_dict"] == {"fc": Tensor(Storage("0", "float64", 1), "float64", 0, (1,), (1,))}
    assert type(value["args"]) is Ignored
    assert type(value["milestones"]) is Ignored


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "function,name",
    [
        (os.system, "posix.system" if os.name == "posix" else "nt.system"),
        (eval, "(__builtin__|builtins).eval"),
        (os.mkdir, "(posix|nt).mkdir"),
        (functools.partial, "functools.partial"),
        (getattr, "(__builtin__|builtins).getattr"),
    ],
)
def test_a_function_is_named_and_not_called(function, name, protocol, tmp_path):
    for value in (Call(function, "touch x"), {"a": tensor([1.0]), "b": [Call(function, str(tmp_path / "made"))]}):
        content, _ = pickled(value, protocol)
        with pytest.raises(Unreadable, match=f"^names {name}, which is not called: needs weights alone"):
            torch_pickle.load(content)
    assert not (tmp_path / "made").exists()


def test_what_is_called_is_ours():
    for name in torch_names.NAMES.values():
        assert name.call is None or name.call.__module__ == "foodjax.models.weights.torch_names"


def test_an_attribute_of_an_allowed_name_is_refused():
    content = b"\x80\x04\x8c\x0bcollections\x8c\x1aOrderedDict.__subclasses__\x93."
    with pytest.raises(Unreadable, match="^names collections.OrderedDict.__subclasses__, which is not called"):
        torch_pickle.load(content)


@pytest.mark.parametrize(
    "content,message",
    [
        (b"", "cut off"),
        (b"\x80", "cut off"),
        (b"\x80\x02", "cut off"),
        (b"\x80\x02.", "takes more from the stack"),
        (b"\x80\x02t.", "has no mark"),
        (b"\x80\x02h\x07.", "takes back what it did not store"),
        (b"\x80\x02q\x00.", "stores what it does not have"),
        (b"\x80\x02K\x01K\x02a.", "fills a list that is none"),
        (b"\x80\x02}(K\x01u.", "key without a value"),
        (b"\x80\x02})Ns.", "has a dict with a key of type tuple: needs names"),
        (b"\x80\x02}]Ns.", "has a dict with a key of type list: needs names"),
        (b"\x80\x02K\x01)R.", "calls what is no function"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "calls what is no function"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "gives torch._utils._rebuild_tensor_v2 0 arguments"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00))tR.", "a tensor without a storage"),
        (b"\x80\x02ctorch._utils\n_rebuild_parameter\nK\x01\x85R.", "a parameter without a tensor"),
        (b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.", "an OrderedDict of something else"),
        (b"\x80\x02ccollections\nOrderedDict\n]K\x01a\x85R.", "an OrderedDict of something else"),
        (b"\x80\x02}X\x01\x10\0\0" + b"k" * 4097 + b"Ns.", "a key of 4,097 characters: needs at most 4,096"),
        (b"\x80\x02ctorch\nSize\n](" + b"K\x01" * 33 + b"e\x85R.", "a torch.Size of something else than at most 32"),
        (b"\x80\x02ctorch\ndevice\n(" + b"K\x01" * 9 + b"tR.", "gives torch.device 9 arguments"),
        (b"\x80\x02K\x01}b.", "sets attributes of what has none"),
        (b"\x80\x02K\x01Q.", "holds code of a model"),
        (b"\x80\x02(X\x07\0\0\0storageNNNNtQ.", "a storage has no type, name or size"),
        (b"\x80\x02c" + b"a" * 300 + b"\nb\n.", "a name of more than 256 bytes"),
        (b"\x80\x02\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "opcode"),  # BINBYTES8
        (b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.", "a pickle of more than 16,777,216 bytes"),
        (b"\x80\x02(S'x'\n.", "opcode b'S'"),
        (b"\x80\x02(cos\nsystem\no.", "names os.system"),
        (b"\x80\x02(ios\nsystem\n.", "opcode b'i'"),
        (b"\x80\x02\x82\x01.", r"opcode b'\\x82'"),  # EXT1
        (b"\x80\x02Pos\n.", "opcode b'P'"),
    ],
)
def test_a_broken_pickle_is_refused(content, message):
    with pytest.raises(Unreadable, match=message):
        torch_pickle.load(content)


STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu"


@pytest.mark.parametrize(
    "arguments,message",
    [
        (b"J\xff\xff\xff\xff))", "without a storage"),  # offset -1
        (b"K\x00]]", "not a tuple of at most 32 sizes"),
        (b"K\x00K\x01\x85)", "not as many strides as dimensions"),
        (b"K\x00(" + b"K\x01" * 33 + b"t)", "not a tuple of at most 32 sizes"),
        (b"K\x00\x8a\x09\0\0\0\0\0\0\0\0\x01\x85K\x01\x85", "not a tuple of at most 32 sizes"),  # 2**64
        (b"K\x00))\x89}}X\x03\0\0\0neg\x88s", "metadata"),
    ],
)
def test_a_tensor_of_wrong_arguments_is_refused(arguments, message):
    content = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"K\x04tQ" + arguments + b"tR."
    with pytest.raises(Unreadable, match=message):
        torch_pickle.load(content)


def test_a_storage_of_two_sizes_is_refused():
    with pytest.raises(Unreadable, match="a storage has two sizes or types"):
        torch_pickle.load(b"\x80\x02" + STORAGE + b"K\x04tQ" + STORAGE + b"K\x05tQ\x86.")


def test_a_part_of_a_storage_is_refused():
    with pytest.raises(Unreadable, match="part of another one, which is not read"):
        torch_pickle.load(b"\x80\x02" + STORAGE + b"K\x04K\x01tQ.")


def test_lists_in_lists_have_no_limit_but_the_steps():
    depth = 300_000
    loaded = torch_pickle.load(b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b".")
    assert len(loaded.value) == 1


def test_a_place_of_the_memo_takes_no_memory():
    # Python's unpickler makes its list of places as long as the largest number.
    assert torch_pickle.load(b"\x80\x02K\x07r\xff\xff\xff\xffj\xff\xff\xff\xff\x86.").value == (7, 7)


def test_a_pickle_of_many_steps_is_refused():
    with pytest.raises(Unreadable, match="more than 1,048,576 steps"):
        torch_pickle.load(b"\x80\x02" + b"}" * 2**21 + b".")


def test_a_large_pickle_is_refused():
    size = struct.pack("<I", 2**24)
    with pytest.raises(Unreadable, match="more than 16,777,216 bytes"):
        torch_pickle.load(b"\x80\x02X" + size + b"a" * 2**24 + b".")
