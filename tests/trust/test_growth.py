"""Small files that grow: what they expand to is bounded before memory is taken."""

import base64
import bz2
import gzip
import io
import json
import lzma
import math
import os
import shutil
import sys
import tarfile
import zlib

import h5py
import numpy as np
import pytest
import tensorstore as ts
from trust.peak import grown

import foodjax
from foodjax.data.sources.archive import Archive
from foodjax.system.errors import UserError

ERRORS = "from pathlib import Path; from foodjax.system.errors import UserError; "
ARCHIVES = ERRORS + "from foodjax.data.sources.archive import Archive"
LIST = "Archive(Path({!r})).listing()"
MOST = 160  # MiB; a member of an archive may have 256


def tar(*members):
    """Returns the bytes of a tar of (TarInfo, content)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as file:
        for info, content in members:
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def named(name, **pax):
    info = tarfile.TarInfo(name)
    info.pax_headers = pax
    return info


def header(kind, content):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, len(content)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def fields(count):
    """Returns an extended header of many fields."""
    lines = []
    for k in range(count):
        line = f" {k:06d}=\n"
        lines.append(f"{len(line) + 2}{line}")
    return "".join(lines).encode()


def sparse(fields):
    info = named("food/a/1.jpg", **fields)
    return info, b"9999999999\n" + b"1\n" * 2**20


TARS = {
    "a long name": lambda: header(tarfile.GNUTYPE_LONGNAME, b"x" * 2**26),
    "many long names": lambda: b"".join(header(tarfile.GNUTYPE_LONGNAME, b"x" * 2**15) for _ in range(3000)),
    "long names of members": lambda: tar(*[(named(f"food/a/{k:05d}{'x' * 60_000}.jpg"), b"") for k in range(1500)]),
    "a header of many fields": lambda: header(tarfile.XHDTYPE, fields(2_000_000)),
    "headers of many fields": lambda: header(tarfile.XHDTYPE, fields(4000)) * 500,
    "fields for all members": lambda: header(tarfile.XGLTYPE, fields(4000)) + tar((named("a/1.jpg"), b"x")),
    "a map of holes": lambda: tar(sparse({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})),
    "members without end": lambda: tarfile.TarInfo("a/1.jpg").tobuf() * 200_000,
    "deep folders": lambda: b"".join(
        tarfile.TarInfo(f"{k}/" + "a/" * 40 + "1").tobuf() for k in range(60_000)
    ),
    "an empty picture of 250 MiB": lambda: tar((named("food/a/1.jpg"), bytes(250 * 2**20))),
}  # fmt: skip
PACKED = {"": bytes, ".gz": lambda content: gzip.compress(content, 6), ".xz": lzma.compress, ".bz2": bz2.compress}


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind,packing", [*((kind, ".xz") for kind in TARS), (next(iter(TARS)), ".gz"), ("deep folders", ".bz2")]
)
def test_a_tar_that_grows_takes_little_memory(tmp_path, kind, packing):
    path = tmp_path / f"food.tar{packing}"
    path.write_bytes(PACKED[packing](TARS[kind]()))
    taken, problem = grown(ARCHIVES, LIST.format(str(path)))
    assert taken < MOST, problem
    assert problem  # each is refused, or holds no photographs
    assert "\n" not in problem


def test_a_tar_with_what_programs_write_is_read(tmp_path):
    content = tar(
        (named("pax_global_header", comment="of git"), b""),
        (named(f"food/train/a/{'long' * 40}.jpg", **{"SCHILY.xattr.user.note": "x" * 5000, "mtime": "1.5"}), b"1"),
        (named("food/train/b/1.jpg"), b"2"),
    )
    for packing, pack in PACKED.items():
        path = tmp_path / f"food.tar{packing}"
        path.write_bytes(pack(content))
        assert len(Archive(path).listing().train) == 2, packing


def keras_file(path, change):
    """Writes a file of weights as Keras does, of one layer of 1,000 x 10, and lets `change` write its kernel."""
    with h5py.File(path, "w") as file:
        stored = file.create_group("layers/dense/vars")
        change(stored)
        stored.create_dataset("1", data=np.zeros(10, np.float32))


KERNELS = {
    "compressed": lambda group: group.create_dataset(
        "0", data=np.zeros((1000, 10), np.float32), compression="gzip", chunks=(1000, 10)
    ),
    "in large pieces": lambda group: group.create_dataset(
        "0", data=np.zeros((1000, 10), np.float32), maxshape=(None, 10), chunks=(20_000_000, 10)
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KERNELS)
def test_an_array_of_keras_that_is_stored_as_keras_never_does_is_refused(tmp_path, kind):
    path = tmp_path / "w.weights.h5"
    keras_file(path, KERNELS[kind])
    imports = ERRORS + "from foodjax.exchange import keras_file"
    needed = "keras_file.Layer('dense', 'dense', {'kernel': (1000, 10)})"
    taken, problem = grown(imports, f"keras_file.read(Path({str(path)!r}), [{needed}])")
    assert taken < MOST
    assert "compressed" in problem or "larger than the array" in problem


# A header of an HDF5 file of 4,808 bytes in which a fuzzer set a few bytes: HDF5 asks for chunks until memory ends.
ENDLESS = (
    "c-rgqaB<`1lHy_j0S*oZ76t(ZWbhvfP6(m$Ve$!3nh{EOK<O1sFmXn(oCH){5NbZUx{x4OSCH!eXaHu<16Byl!7vI&BJgl^3;@v)"
    "P(Cb`o?t>%my=kDB0ma7!C+3m9jvJ8Qd0AZQ<2J34+`xK_VafEmB6raQ-K+^y!L?dGgwFC2p_;zj|H$p_ywHA)ngxcN9(cCasaa&"
    "n81mut}L;rn1P1nfCf8iIe?yyM*(T&Km<30U%^XUIp86{FxpNTEeGJ`04zPt;6+tu0HqDl`dJQCDhCX>QO!k9$D;sOIlu}DGf2Sw"
    "29~H0aVCfW3sfDfdxFkq2F5r@rJ#a5R8E0GoP$BU9xBfYj3JOb6BEQh4rmHtW}F}hZONgzsA53F1Cp+o;OWYOAHRB7xwk=ZG%cZm"
    "277!ME!_brNV;HTWJF0{l&7-;LfBiX9fLBw01Yj3{r"
)


def test_a_keras_file_that_asks_for_all_memory_is_refused(tmp_path):
    path = tmp_path / "w.weights.h5"
    path.write_bytes(zlib.decompress(base64.b85decode(ENDLESS)))
    imports = ERRORS + "from foodjax.exchange import keras_file"
    taken, problem = grown(
        imports, f"keras_file.read(Path({str(path)!r}), [keras_file.Layer('d', 'dense', {{'kernel': (4, 2)}})])"
    )
    assert taken < MOST
    assert "is not a whole file that Keras wrote" in problem


CONFIGS = {
    "blocks": (lambda c: c["model"].update(blocks=c["model"]["blocks"][:1] * 201), "more than 200 layers"),
    "a deep block": (lambda c: c["model"]["blocks"][0].update(padding=["SAME"] * 10**4), r"needs a tuple of 'SAME'"),
    "a large batch": (lambda c: c["data"].update(eval_batch_size=10**11), "eval_batch_size is 100000000000: needs"),
    "a large picture": (lambda c: c["data"].update(image_size=10**6), "image_size is 1000000: needs an integer in"),
    "many features": (lambda c: c["model"]["head"].update(hidden=[10**9]), "model.head.hidden is"),
    "a network larger than memory": (
        lambda c: c["model"]["head"].update(hidden=[65536] * 60), r"GiB of memory, and .* GiB are free: needs more"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_config_without_measure_is_one_line(tmp_path, workdir, kind):
    change, line = CONFIGS[kind]
    run = tmp_path / "run"
    shutil.copytree(workdir, run)
    config = json.loads((run / "config.json").read_text())
    change(config)
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=line):
        foodjax.Predictor(run)


def test_files_of_a_workdir_that_are_too_large_or_no_files_are_one_line(tmp_path, workdir):
    for name in ("config.json", "dataset.json"):
        run = tmp_path / f"{name}-large"
        shutil.copytree(workdir, run)
        (run / name).write_text("[" * 2**25)
        with pytest.raises(UserError, match="has 33,554,432 bytes: needs at most"):
            foodjax.Predictor(run)
        (run / name).unlink()
        os.mkfifo(run / name)
        with pytest.raises(UserError, match="not a regular file"):
            foodjax.Predictor(run)


def zstd(blocks, size=None):
    """Returns a zstd frame of blocks of 128 KiB of zeros, four bytes each; `size` is what it claims to hold."""
    length = 2**17
    frame = b"\x28\xb5\x2f\xfd" + (b"\x00\x38" if size is None else b"\x80\x38" + size.to_bytes(4, "little"))
    block = ((length << 3) | 2).to_bytes(3, "little") + b"\0"
    return frame + block * (blocks - 1) + ((length << 3) | 3).to_bytes(3, "little") + b"\0"


def forge(item, change):
    """Changes what an item of a checkpoint stores: `change` gets its key-value store and the name of a kernel."""
    store = ts.KvStore.open({"driver": "ocdbt", "base": f"file://{item}/"}).result()
    names = [key.decode() for key in store.list().result()]
    change(store, next(name for name in names if name.endswith("kernel/.zarray")).removesuffix("/.zarray"))


def first_chunk(store, name):
    return next(key for key in store.list().result() if key.startswith(f"{name}/".encode()) and b".z" not in key)


def chunk_that_expands(store, name):
    store.write(first_chunk(store, name), zstd(18_000)).result()  # 72 KB -> 2.4 GB


def chunk_with_a_false_size(store, name):
    store.write(first_chunk(store, name), zstd(18_000, size=4)).result()


def chunk_larger_than_its_array(store, name):
    """A whole chunk of zeros, 73 KB, of which the array is a small part: 2.4 GB."""
    found = json.loads(store.read(f"{name}/.zarray").result().value)
    row = 4 * math.prod(found["shape"][1:])  # bytes
    blocks = math.lcm(row, 2**17) // 2**17
    blocks *= 18_000 // blocks
    store.write(first_chunk(store, name), zstd(blocks)).result()
    found["chunks"][0] = blocks * 2**17 // row
    store.write(f"{name}/.zarray", json.dumps(found).encode()).result()


def array_of_another_shape(store, name):
    found = json.loads(store.read(f"{name}/.zarray").result().value)
    found["shape"] = found["chunks"] = [10**6 * found["shape"][0], *found["shape"][1:]]
    store.write(f"{name}/.zarray", json.dumps(found).encode()).result()


def large_pieces(store, name):
    found = json.loads(store.read(f"{name}/.zarray").result().value)
    found["chunks"] = [2**20, *found["shape"][1:]]
    store.write(f"{name}/.zarray", json.dumps(found).encode()).result()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems keep no limit of memory")
@pytest.mark.parametrize("change,line", [
    (array_of_another_shape, "expand to more than the"), (large_pieces, "expand to more than the"),
    (chunk_larger_than_its_array, "expand to more than the"),
    (chunk_that_expands, "cannot read checkpoint"), (chunk_with_a_false_size, "cannot read checkpoint"),
])  # fmt: skip
def test_a_checkpoint_that_grows_is_one_line(tmp_path, workdir, change, line):
    run = tmp_path / "run"
    shutil.copytree(workdir, run)
    item = next((run / "checkpoints").glob("*/metrics")).parent / "weights"
    forge(item, change)
    imports = ERRORS + "import foodjax, jax, orbax.checkpoint; jax.devices()"
    taken, problem = grown(imports, f"foodjax.Predictor({str(run)!r})")
    assert taken < 400, problem
    assert line in problem


def test_a_long_list_of_arrays_is_refused(tmp_path, workdir):
    run = tmp_path / "run"
    shutil.copytree(workdir, run)
    item = next((run / "checkpoints").glob("*/metrics")).parent / "weights"
    (item / "_METADATA").write_text("[" * 2**23)
    with pytest.raises(UserError, match="_METADATA has 8,388,608 bytes: needs at most 4,194,304"):
        foodjax.Predictor(run)
