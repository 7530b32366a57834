"""Weights from files: what they hold and are called, and one line for each mistake."""

import hashlib
import json
import os
import pickle
import struct
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from helpers import ROOT
from models.weights.torch_files import FORMS, legacy_file, tensor, tensors, zip_file
from safetensors.numpy import save

from foodjax.models.weights import source
from foodjax.models.weights.source import is_weights, load
from foodjax.system.errors import UserError

FLAG = "model.init_from"
ARRAYS = {"fc.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "fc.bias": np.array([1.5, -1.5], np.float32)}
WRITERS = {".safetensors": save, ".pth": lambda a: zip_file(tensors(a)), ".pt": lambda a: legacy_file(tensors(a))}
WRITERS[".bin"] = WRITERS[".pth"]


def message(path, content=None):
    """Returns the line of a UserError behind the flag and the path; writes the content first."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as error:
        load(path, FLAG)
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(f"model.init_from={path} ")
    return text.removeprefix(f"model.init_from={path} ")


@pytest.mark.parametrize("text", ["hf://a/b", "hf://", "a.pth", "/x/A.PTH", "b.pt", "model.bin", "c.safetensors"])
def test_texts_that_name_weights(text):
    assert is_weights(text)


@pytest.mark.parametrize(
    "text", ["runs/a", "", "a.h5", "a.keras", "pth", "runs/hf://a", "a.pth/", "a.safetensors.index.json"]
)
def test_texts_that_do_not(text):
    assert not is_weights(text)


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("as_text", [True, False])
def test_a_file_is_read(tmp_path, suffix, as_text):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(WRITERS[suffix](ARRAYS))
    weights = load(str(path) if as_text else path, FLAG)
    assert set(weights.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(weights.arrays[name], array)
        assert not weights.arrays[name].flags.writeable
    assert weights.origin == str(path)
    assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights.licence == "unknown"


def test_a_suffix_in_capitals_is_one(tmp_path):
    (tmp_path / "W.PTH").write_bytes(zip_file(tensors(ARRAYS)))
    assert set(load(tmp_path / "W.PTH", FLAG).arrays) == set(ARRAYS)


def test_a_path_in_the_users_home_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "w.safetensors").write_bytes(save(ARRAYS))
    assert load("~/w.safetensors", FLAG).origin == str(tmp_path / "w.safetensors")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_the_prefix_of_a_wrapper_is_taken_off(tmp_path, suffix, prefix):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(WRITERS[suffix]({prefix + name: array for name, array in ARRAYS.items()}))
    assert set(load(path, FLAG).arrays) == set(ARRAYS)


def test_a_prefix_of_some_names_is_a_layers(tmp_path):
    (tmp_path / "w.pth").write_bytes(zip_file(tensors({"module.a": np.ones(2), "b": np.ones(2)})))
    assert list(load(tmp_path / "w.pth", FLAG).arrays) == ["module.a", "b"]


def test_bfloat16_of_safetensors_becomes_float32(tmp_path):
    values = np.array([1.0, -2.5, 3.140625, 1e30], ml_dtypes.bfloat16)
    (tmp_path / "w.safetensors").write_bytes(save({"a": values, "b": values[2:3].reshape(())}))
    found = load(tmp_path / "w.safetensors", FLAG).arrays
    assert found["a"].dtype == found["b"].dtype == np.float32
    np.testing.assert_array_equal(found["a"], values.astype(np.float32))
    np.testing.assert_array_equal(found["b"], np.array(3.140625, np.float32))


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool", "uint16"])
def test_types_of_safetensors_are_kept(tmp_path, dtype):
    array = np.array([[0, 1], [1, 0]], dtype)
    (tmp_path / "w.safetensors").write_bytes(save({"a": array, "b": array[:0], "c": np.array(1, dtype)}))
    found = load(tmp_path / "w.safetensors", FLAG).arrays
    for name, expected in {"a": array, "b": array[:0], "c": np.array(1, dtype)}.items():
        assert found[name].dtype == dtype
        assert found[name].shape == expected.shape
        np.testing.assert_array_equal(found[name], expected)


def test_the_licence_in_a_files_metadata_is_told(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(save(ARRAYS, {"license": "mit\x1b"}))
    assert load(tmp_path / "w.safetensors", FLAG).licence == r"mit\x1b"


HASHED = zip_file(tensors(ARRAYS))
SHA256 = hashlib.sha256(HASHED).hexdigest()


@pytest.mark.parametrize("digits", [8, 10, 64])
def test_the_hash_in_a_name_is_the_files(tmp_path, digits):
    path = tmp_path / f"net-v2-{SHA256[:digits]}.pth"
    path.write_bytes(HASHED)
    assert load(path, FLAG).sha256 == SHA256


@pytest.mark.parametrize(
    "name", ["net-1234567.pth", "net-12345678x.pth", "net-ABCDEF12.pth", "12345678.pth", "net_12345678.pth"]
)
def test_a_name_without_a_hash_is_not_checked(tmp_path, name):
    (tmp_path / name).write_bytes(HASHED)
    assert load(tmp_path / name, FLAG).sha256 == SHA256


def test_another_hash_in_a_name_is_refused(tmp_path):
    assert message(tmp_path / "net-0123abcd.pth", HASHED) == (
        f"is another file than its name says, whose SHA-256 begins with {SHA256[:8]}: download it again, or rename it "
        "if 0123abcd is no hash"
    )
    assert "another file" in message(tmp_path / f"net-{SHA256[:12]}.pth", HASHED[:-1] + b"\1")


def test_a_function_in_a_file_is_named_and_nothing_runs(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    for form in FORMS:
        content = FORMS[form]({"fc.weight": tensor([1.0]), "evil": Evil()})
        line = message(tmp_path / f"{form}.pth", content)
        assert line == (
            "names posix.system, which is not called: needs weights alone, as torch.save(model.state_dict(), PATH) "
            "writes them"
        )
    assert "names posix.system, which is not called" in message(tmp_path / "bare.bin", pickle.dumps(Evil()))
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(Evil()))  # the same bytes do run where Python's own unpickler reads them
    assert (tmp_path / "ran").exists()


def test_neither_torch_nor_pythons_unpickler_is_used(tmp_path):
    (tmp_path / "w.pth").write_bytes(legacy_file(tensors(ARRAYS)))
    code = (
        "import pickle, sys; pickle.load = pickle.loads = pickle.Unpickler = pickle._Unpickler = None; "
        "sys.modules['_pickle'] = sys.modules['torch'] = None; from foodjax.models.weights.source import load; "
        f"assert len(load({str(tmp_path / 'w.pth')!r}, '').arrays) == 2"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("suffix", WRITERS)
def test_half_a_file_is_refused(tmp_path, suffix):
    content = WRITERS[suffix]({"a": np.arange(1000.0)})
    line = message(tmp_path / f"w{suffix}", content[: len(content) // 2])
    assert line.startswith(("is cut off: ", "is no whole .safetensors file: "))


@pytest.mark.parametrize("suffix", WRITERS)
def test_places_without_a_file_are_refused(tmp_path, suffix):
    assert message(tmp_path / f"missing{suffix}") == "is not there: needs a file"
    (tmp_path / f"folder{suffix}").mkdir()
    assert message(tmp_path / f"folder{suffix}") == "is a folder: needs a file"
    assert message(tmp_path / f"empty{suffix}", b"") == "is empty: needs weights"
    os.mkfifo(tmp_path / f"pipe{suffix}")
    assert message(tmp_path / f"pipe{suffix}") == "cannot be read: not a regular file"
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    assert message(tmp_path / f"lfs{suffix}", pointer) == (
        "is a pointer of Git LFS, not the weights themselves: needs git lfs pull"
    )


def test_a_file_of_another_kind_is_refused(tmp_path):
    assert message(tmp_path / "w.h5", b"x") == (
        "is no name of weights: needs hf://OWNER/NAME, or a file .safetensors, .pth, .pt, .bin"
    )
    assert message(tmp_path / "w.pth", save(ARRAYS)) == "is a .safetensors file: needs a name that says so"
    assert message(tmp_path / "v.pth", b"<!DOCTYPE html>").startswith(
        "is no file that torch.save wrote: needs a state_"
    )
    for content in (HASHED, b"\x80\x04pickle", b"x"):
        assert (
            message(tmp_path / "w.safetensors", content) == "is no .safetensors file: it does not begin with a header"
        )


def test_a_file_above_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MAX_BYTES", 100)
    path = tmp_path / "w.pth"
    assert message(path, HASHED) == f"cannot be read: {path} has {len(HASHED):,} bytes: needs at most 100"


def test_names_that_no_file_can_have_are_refused(tmp_path):
    assert message(tmp_path / "w\0.pth") == "cannot be read: embedded null byte"
    assert message(tmp_path / f"{'w' * 300}.pth") == "cannot be read: File name too long"


def test_a_file_without_tensors_is_refused(tmp_path):
    assert message(tmp_path / "w.safetensors", save({})) == "holds no tensor: needs weights"
    assert message(tmp_path / "w.pth", zip_file({"epoch": 3})).startswith(
        "holds no tensor, but epoch: needs a state_dict"
    )


def test_damage_of_safetensors_is_told(tmp_path):
    head = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}}).encode()
    content = struct.pack("<Q", len(head)) + head + bytes(4)
    assert message(tmp_path / "w.safetensors", content).startswith("is no whole .safetensors file: ")
    head = json.dumps({"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}).encode()
    content = struct.pack("<Q", len(head)) + head + bytes(4)
    assert (
        message(tmp_path / "w.safetensors", content) == "has a in F8_E4M3, which is not read: needs floats or integers"
    )


def test_a_missing_package_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert message(tmp_path / "w.safetensors", save(ARRAYS)).endswith("): pip install 'foodjax[pretrained]'")
    assert set(load_written(tmp_path / "w.pth").arrays) == set(ARRAYS)  # which needs no package


def load_written(path):
    path.write_bytes(HASHED)
    return load(path, FLAG)


def test_a_file_without_the_right_to_read_is_told(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(source, "read_bytes", refuse)
    assert message(tmp_path / "w.pth", HASHED) == "cannot be read: Permission denied"
