"""Files of torch.save, by PyTorch and by hand, in both forms: their arrays, and one line for each bad file."""

import copy
import importlib.util
import io
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from helpers import one_device_environment
from models.weights.torch_files import FORMS, View, legacy_file, pickled, stored, tensor, tensors, zip_file

from foodjax.models.weights.torch_file import read_torch
from foodjax.models.weights.unreadable import Unreadable

RNG = np.random.default_rng(0)
ARRAYS = {
    "conv.weight": RNG.normal(size=(4, 3, 2, 2)).astype(np.float32),
    "bn.num_batches_tracked": np.array(7),
    "half": RNG.normal(size=5).astype(np.float16),
    "double": RNG.normal(size=5),
    "flag": np.array([True, False, True]),
    "one": np.array(True),
    "byte": np.arange(250, 256, dtype=np.uint8),
    "short": np.arange(-3, 3, dtype=np.int16),
}


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].shape == array.shape, name


@pytest.fixture(scope="module")
def torch_folder(tmp_path_factory):
    """Files that PyTorch wrote, in a process of its own: PyTorch and TensorFlow in one process crash."""
    if not importlib.util.find_spec("torch"):
        pytest.skip("PyTorch is not installed: pip install -e '.[bench]'")
    folder = tmp_path_factory.mktemp("torch")
    command = [sys.executable, str(Path(__file__).with_name("write_with_torch.py")), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=one_device_environment(), timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_all_types_are_read(form, protocol):
    assert_equal(read_torch(FORMS[form](tensors(ARRAYS), protocol)), ARRAYS)


@pytest.mark.parametrize("form", FORMS)
def test_bfloat16_becomes_float32(form):
    values = np.array([1.0, -2.5, 3.140625, 1e30, np.inf, 0], np.float32)
    brief = values.astype(ml_dtypes.bfloat16)
    state = {
        "a": tensor(brief.view(np.uint16), "0", "BFloat16"),
        "b": tensor(brief.view(np.uint16)[2], "1", "BFloat16"),
    }
    assert_equal(read_torch(FORMS[form](state)), {"a": brief.astype(np.float32), "b": np.array(values[2])})


@pytest.mark.parametrize("form", FORMS)
def test_views_of_one_storage_are_read(form):
    base = np.arange(24, dtype=np.float32)
    shared = stored(base)
    views = {"turned": View(shared, (4, 2, 3), (1, 12, 4)), "cut": View(shared, (3, 2), (4, 1), 13)}
    views |= {"one": View(shared, (1, 1), (2**62, 0), 23), "scalar": View(shared, (), (), 5)}
    views |= {"none": View(shared, (3, 0), (1, 1), 2**40), "spread": View(shared, (2, 3), (0, 0), 7)}
    found = read_torch(FORMS[form](views))
    cube = base.reshape(2, 3, 4)
    assert_equal(
        found,
        {
            "turned": cube.transpose(2, 0, 1), "cut": cube[1, :, 1:3], "one": base[23:].reshape(1, 1),
            "scalar": np.array(base[5]), "none": np.zeros((3, 0), np.float32), "spread": np.full((2, 3), base[7]),
        },
    )  # fmt: skip


def test_storages_of_a_gpu_are_read():
    shared = stored(np.arange(3, dtype=np.float32), module="torch.cuda")
    np.testing.assert_array_equal(read_torch(legacy_file({"a": View(shared, (3,), (1,))}))["a"], [0, 1, 2])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["state-zip.pth", "state-legacy.pth", "state-protocol4.pth"])
def test_a_state_dict_of_pytorch_is_read(torch_folder, name):
    assert_equal(read_torch((torch_folder / name).read_bytes()), dict(np.load(torch_folder / "state.npz")))


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_odd_tensors_of_pytorch_are_read(torch_folder, form):
    expected = dict(np.load(torch_folder / "odd.npz"))
    if form == "legacy":
        del expected["of_uint16"]
    assert len(expected) == 22 - (form == "legacy")
    assert_equal(read_torch((torch_folder / f"odd-{form}.pth").read_bytes()), expected)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_of_a_checkpoint_the_averaged_weights_are_read(torch_folder, form):
    found = read_torch((torch_folder / f"checkpoint-{form}.pth").read_bytes())
    assert_equal(found, dict(np.load(torch_folder / "averaged.npz")))


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_whole_model_of_pytorch_is_refused_by_name(torch_folder, form):
    with pytest.raises(Unreadable, match="^names __main__.Whole, which is not called: needs weights alone"):
        read_torch((torch_folder / f"whole-{form}.pth").read_bytes())


@pytest.mark.slow
def test_a_torchscript_of_pytorch_is_refused(torch_folder):
    with pytest.raises(Unreadable, match="^is a TorchScript archive, which holds code: needs torch.save"):
        read_torch((torch_folder / "script.pt").read_bytes())


@pytest.mark.slow
def test_a_single_tensor_is_refused(torch_folder):
    with pytest.raises(Unreadable, match="^holds an object of type Tensor: needs a state_dict"):
        read_torch((torch_folder / "tensor.pth").read_bytes())


@pytest.mark.parametrize(
    "keys,taken",
    [
        (("model", "state_dict", "state_dict_ema"), "state_dict_ema"),
        (("model", "state_dict"), "state_dict"),
        (("model",), "model"),
    ],
)
def test_the_best_state_of_a_checkpoint_is_taken(keys, taken):
    value = {key: {"a": tensor(np.array([float(i)]), str(i))} for i, key in enumerate(keys)}
    found = read_torch(zip_file({"epoch": 3, **value}))
    np.testing.assert_array_equal(found["a"], [keys.index(taken)])


def test_a_layer_named_model_is_a_tensor():
    assert list(read_torch(zip_file({"model": tensor([1.0])}))) == ["model"]


def test_what_a_layer_keeps_beside_its_tensors_is_left_out():
    assert list(read_torch(zip_file({"a": tensor([1.0]), "fp8._extra_state": None}))) == ["a"]


@pytest.mark.parametrize(
    "value,message",
    [
        ([tensor([1.0])], "holds an object of type list: needs a state_dict, or a dict with one as state_dict_ema"),
        ({}, "holds no tensor: needs a state_dict"),
        ({"state_dict": {}}, "holds no tensor: needs a state_dict"),
        ({"epoch": 3, "net": {"a": 1}}, "holds no tensor, but epoch, net: needs a state_dict"),
        ({"a": tensor([1.0]), "net": {}}, "holds an object of type dict as net among its tensors"),
        ({3: tensor([1.0])}, "a tensor whose name is an object of type int"),
        ({"a\x1b[2J": 3}, r"holds no tensor, but a\\x1b\[2J: needs"),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_state_dict_is_refused(form, value, message):
    with pytest.raises(Unreadable, match=message):
        read_torch(FORMS[form](value))


SHARED = stored(np.arange(6, dtype=np.float32))


@pytest.mark.parametrize(
    "view",
    [
        View(SHARED, (7,), (1,)),
        View(SHARED, (2, 3), (3, 2)),
        View(SHARED, (1,), (1,), 6),
        View(SHARED, (2,), (2**62,)),
        View(SHARED, (), (), 2**62),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_a_view_outside_its_storage_is_refused(form, view):
    with pytest.raises(Unreadable, match="^is damaged: a lies outside its storage"):
        read_torch(FORMS[form]({"a": view}))


@pytest.mark.parametrize("shape", [(2**40,), (2**20, 2**20), (2**62,) * 4, (2**62, 0)])
@pytest.mark.parametrize("form", FORMS)
def test_a_small_file_does_not_grow(form, shape):
    content = FORMS[form]({"a": View(SHARED, shape, (0,) * len(shape))})
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match="^has tensors that expand to more than 8 times its size: refused"):
            read_torch(content)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_many_views_of_one_storage_do_not_grow_together():
    with pytest.raises(Unreadable, match="expand to more than 8 times"):
        read_torch(zip_file({str(i): View(SHARED, (2**16,), (0,)) for i in range(5)}))


def test_a_storage_larger_than_its_bytes_is_refused():
    large = SHARED._replace(size=2**40)
    with pytest.raises(Unreadable, match="^is damaged: storage 0 has 24 bytes, not 1,099,511,627,776 of float32"):
        read_torch(zip_file({"a": View(large, (2,), (1,))}))
    with pytest.raises(Unreadable, match="^is cut off: it has .* bytes, needs at least 4,398,"):
        read_torch(legacy_file({"a": View(large, (2,), (1,))}))


def test_a_legacy_storage_of_another_size_is_refused():
    content = legacy_file(tensors({"a": np.arange(6.0)}))
    at = content.rindex(struct.pack("<q", 6))
    with pytest.raises(Unreadable, match="storage 0 has another size in front of its bytes"):
        read_torch(content[:at] + struct.pack("<q", 5) + content[at + 8 :])


@pytest.mark.parametrize("keys", [["1"], [], ["0", "0"], [3], "0"])
def test_a_legacy_list_of_other_storages_is_refused(keys):
    content = legacy_file(tensors({"a": np.arange(6.0)}))
    before, behind = content.split(pickled(["0"])[0])
    with pytest.raises(Unreadable, match="^is damaged: its list of storages|^is damaged: it lacks"):
        read_torch(before + pickled(keys)[0] + behind)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_member_is_refused(method):
    with pytest.raises(Unreadable, match="^has archive/data.pkl compressed or encrypted, which torch"):
        read_torch(zip_file(tensors({"a": np.zeros(2**16)}), compression=method))


def test_members_in_one_place_are_refused():
    # The checksums of 65,536 members would take hours if all were the same large one.
    data, storages = pickled(tensors({str(i): np.ones(500) for i in range(3)}))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", data)
        file.writestr("archive/data/0", storages["0"].content)
        for key in ("1", "2"):
            file.filelist.append(copy.copy(file.getinfo("archive/data/0")))
            file.filelist[-1].filename = f"archive/data/{key}"
    with pytest.raises(Unreadable, match="^is damaged: members of the zip file lie in one place"):
        read_torch(buffer.getvalue())


@pytest.mark.parametrize("name", ["code/__torch__.py", "constants.pkl"])
def test_code_is_refused(name):
    with pytest.raises(Unreadable, match="^is a TorchScript archive, which holds code"):
        read_torch(zip_file(tensors(ARRAYS), members={name: b"def f(): pass"}))


def test_big_endian_is_refused():
    message = "^has big-endian numbers: needs a file that a little-endian machine wrote"
    with pytest.raises(Unreadable, match=message):
        read_torch(zip_file(tensors(ARRAYS), members={"byteorder": b"big"}))
    with pytest.raises(Unreadable, match=message):
        read_torch(legacy_file(tensors(ARRAYS), little_endian=False))


@pytest.mark.parametrize(
    "content,message",
    [
        (b"<!DOCTYPE html>", "is no file that torch.save wrote"),
        (b"\x80\x02}.", "is a pickle, but not one that torch.save wrote"),
        (b"PK\5\6" + bytes(18), "is a zip file, but not one that torch.save wrote"),
        (b"PK\3\4" + bytes(50), "is cut off: the zip file has no directory at its end"),
    ],
)
def test_other_files_are_refused(content, message):
    with pytest.raises(Unreadable, match=f"^{message}"):
        read_torch(content)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_off_anywhere_is_refused(form):
    content = FORMS[form](tensors(ARRAYS))
    for length in range(2, len(content)):
        with pytest.raises(Unreadable, match="^is (cut off|damaged|a zip file, but)"):
            read_torch(content[:length])


def test_a_flipped_bit_in_a_members_bytes_is_refused():
    content = zip_file(tensors(ARRAYS))
    at = content.index(ARRAYS["conv.weight"].tobytes())
    flipped = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    with pytest.raises(Unreadable, match="^is damaged: the checksum of archive/data/0 is another one"):
        read_torch(flipped)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_with_a_flipped_byte_is_read_or_refused(form):
    content = FORMS[form](tensors(ARRAYS))
    for at in range(len(content)):
        try:
            read_torch(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        except Unreadable as error:
            assert "\n" not in str(error)


def test_the_large_numbers_of_zip64_are_read():
    # torch.save writes them for every file; zipfile for none as small as this.
    content = zip_file(tensors({"a": np.arange(3.0)}))
    count, size, at = struct.unpack("<10xHII2x", content[-22:])
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, at)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(content) - 22, 1)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 2**16 - 1, 2**16 - 1, 2**32 - 1, 2**32 - 1, 0)
    np.testing.assert_array_equal(read_torch(content[:-22] + end64 + locator + end)["a"], np.arange(3.0))


def test_a_directory_of_many_members_is_refused():
    content = zip_file(tensors({"a": np.arange(3.0)}))
    _, size, at = struct.unpack("<10xHII2x", content[-22:])
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 2**40, 2**40, size, at)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(content) - 22, 1)
    with pytest.raises(Unreadable, match="^has 1,099,511,627,776 members: needs at most 65,536"):
        read_torch(content[:-22] + end64 + locator + content[-22:])
