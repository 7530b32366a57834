"""What is fuzzed of strangers' files and requests: tables, zip files, names, HTTP, links, variables, stored records.

As `targets`, which has the photographs, the tar archives and the configs.
"""

import asyncio
import csv
import functools
import io
import json
import logging
import os
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import h5py
import jax
import jax.numpy as jnp
import numpy as np
import uvicorn
from models.weights import torch_files
from PIL import Image
from uvicorn.server import ServerState

from experiments import demo
from foodjax import cli
from foodjax.config.check import checked
from foodjax.data.sources.archive import Archive
from foodjax.data.sources.base import Listing
from foodjax.data.sources.labels import read_labels
from foodjax.data.sources.layouts import Options, list_tree
from foodjax.data.sources.tree import from_files
from foodjax.evaluation import temperature
from foodjax.exchange import keras_file
from foodjax.models.torch_weights import to_blocks
from foodjax.models.weights import source as weights
from foodjax.run.evaluate import choose_folder
from foodjax.run.wiring import Engine
from foodjax.serve import app as serve
from foodjax.serve.connections import Connection
from foodjax.steps.early_stopping import EarlyStopping
from foodjax.steps.metrics import Metrics
from foodjax.system import cells, files, text
from foodjax.system.errors import UserError
from foodjax.workdir import data_record, run_record
from foodjax.workdir.checkpoint_content import LoopState
from foodjax.workdir.checkpoints import Checkpoints

PICTURES = ("train/bars/0.png", "train/bars/1.jpg", "train/ring/0.png", "test/bars/0.png", "test/ring/2.png", "a.txt")
TABLES = [
    b"file,label\ntrain/bars/0.png,bars\nring/2.png,ring\n",
    b"id;class;split\n0;bars;train\n2;ring;test\n",
    "\ufeffname\tlabel\n1.jpg\tb\u00e4r\n".encode(),
    "image,label\r\ntrain\\bars\\0.png,=1+1\r\n".encode("utf-16"),
    b'file,label\n"train/ring/0.png","a ""quoted"" name"\n',
]


def table(_: Path, content: bytes) -> bool:
    """A table of labels beside a few pictures."""
    tree = from_files("photos", PICTURES)
    try:
        found = read_labels(content, "labels.csv", tree, "photos")
    except UserError as error:
        assert "\n" not in str(error)
        return False
    listed = {example.location for examples in found.parts.values() for example in examples}
    assert listed <= set(PICTURES)
    return True


def zip_file(folder: Path, content: bytes) -> bool:
    """An archive of photographs, .zip."""
    found = Archive(folder / "photos.zip")
    found.path.write_bytes(content)
    return is_read(found)


def is_read(found: Archive) -> bool:
    """Reads all pictures of an archive; returns whether it could be used."""
    try:
        listing: Listing = found.listing()
        for part in (listing.train, listing.validation, listing.test):
            read = [example for example, _ in found.read(part)]
            assert {e.location for e in read} == {e.location for e in part}
    except UserError as error:
        assert str(error)
        return False
    return True


def names(folder: Path, content: bytes) -> bool:
    """Paths between zero bytes: of photographs, classes and parts; what is shown, written and read back of them."""
    paths = [os.fsdecode(part) for part in content.split(b"\0")]
    shown = [text.printable(path) for path in paths]
    for path, line in zip(paths, shown, strict=True):
        line.encode()
        assert line.isprintable() or any(c in line for c in "\u200c\u200d") or text.printable(line) == line
        assert len(text.cut(path, 40).encode("utf-8", "surrogatepass")) <= 40
        assert len(text.shorten(path, 20)) <= 20
    (folder / "names.csv").write_bytes(cells.to_csv(["name"], [[path] for path in paths]).encode())
    assert [row["name"] for row in cells.read_csv(folder / "names.csv")] == paths
    kept = [path for path in paths if path and not path.startswith("/") and ".." not in path.split("/")]
    try:
        listing = list_tree(from_files("photos", {"/".join(filter(None, p.split("/"))) for p in kept} - {""}),
                            "photos", lambda _: b"", Options())  # fmt: skip
    except UserError as error:
        text.printable(str(error)).encode()
        return False
    return bool(listing.train)


COLUMNS = ("id", "true", "predicted")


def csv_file(folder: Path, content: bytes) -> bool:
    """A predictions.csv of a workdir."""
    (folder / "predictions.csv").write_bytes(content)
    try:
        rows = cells.read_csv(folder / "predictions.csv")
    except csv.Error as error:
        assert str(error)
        return False
    if rows:
        again = cells.to_csv(COLUMNS, [[row.get(name, "") for name in COLUMNS] for row in rows])
        (folder / "predictions.csv").write_bytes(again.encode())
        read = cells.read_csv(folder / "predictions.csv")
        assert [list(row.values()) for row in read] == [[row.get(name, "") for name in COLUMNS] for row in rows]
    return bool(rows)


def records(folder: Path, content: bytes) -> bool:
    """run.json, data.json, calibration.json and evaluation.json of a workdir; each is the whole input."""
    (folder / "evaluation-photos").mkdir()
    for name in ("run.json", "data.json", "calibration.json", "evaluation-photos/evaluation.json"):
        (folder / name).write_bytes(content)
    record, used = run_record.read(folder), False
    assert isinstance(record["sessions"], list)
    assert isinstance(data_record.read(folder), data_record.Recorded | None)
    assert choose_folder(folder, "photos", {"content": "0"}).parent == folder
    try:
        used = temperature.read(folder, 3) is not None
    except UserError as error:
        assert "is damaged" in str(error)
    return used or bool(record["sessions"])


def links(folder: Path, content: bytes) -> bool:
    """Links of a workdir: names and targets between zero bytes. Whatever they are, nothing outside is written."""
    outside, run = folder / "outside", folder / "run"
    outside.mkdir()
    run.mkdir()
    (outside / "precious").write_text("precious")
    parts = content.split(b"\0")
    for name, target in zip(parts[::2], parts[1::2], strict=False):
        place = os.path.normpath(os.path.join(os.fsencode(run), name.lstrip(b"/")))
        if not place.startswith(os.fsencode(run) + b"/"):
            continue
        try:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            os.symlink(target, place)
        except (OSError, ValueError):
            continue
    refused = False
    try:
        files.refuse_links(run)
    except UserError as error:
        refused = True
        assert str(error)
    for write in (
        lambda: files.write_all(run / "evaluation", {"predictions.csv": "ours"}),
        lambda: files.write_text(run / "report.html", "ours"),
        lambda: files.append_text(run / "metrics.jsonl", "ours"),
    ):
        if not refused:
            try:
                write()
            except (OSError, UserError):
                continue
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_text() == "precious"
    return not refused


VARIABLES = ("HOME", "XDG_CACHE_HOME", "TMPDIR", "JAX_ENABLE_X64", "COLUMNS", "TERM", "NO_COLOR", "JAX_PLATFORMS")


def environment(folder: Path, content: bytes) -> bool:
    """Values of environment variables between zero bytes, in the order of VARIABLES."""
    before = dict(os.environ)
    try:
        for name, value in zip(VARIABLES, content.split(b"\0"), strict=False):
            os.environ[name] = os.fsdecode(value).replace("{folder}", str(folder))
        os.chdir(folder)
        cli._leave_float64()
        assert os.environ.get("JAX_ENABLE_X64", "0").lower() not in ("1", "true", "on", "yes", "t", "y")
        place = files.user_cache()
        assert place.name.startswith("foodjax")
        try:
            files.to_path("~/runs")
        except UserError:
            return False
        return True
    except OSError:
        return False  # a place for temporary files that is none: one line on the command line
    finally:
        os.chdir("/")
        os.environ.clear()
        os.environ.update(before)


class _Transport(asyncio.Transport):
    """Keeps what is written to it."""

    def __init__(self):
        super().__init__({"sockname": ("127.0.0.1", 80), "peername": ("127.0.0.1", 5000)})
        self.written, self.closed = b"", False

    def write(self, data):
        self.written += bytes(data)

    def close(self):
        self.closed = True

    abort = close

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass

    def set_protocol(self, protocol):
        self.protocol = protocol


class _Guesser:
    """Decodes photographs as the server does, and knows one answer."""

    class predictor:  # noqa: N801
        class_names = ("bars", "ring")

    def read(self, encoded):
        from foodjax.data.decode import decode

        decode(encoded, 8, "bilinear", geometry="stretch", decoding="viewer", max_pixels=2**20)
        return {"top": []}


@functools.cache
def _server() -> Any:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app = serve.create_app(_Guesser(), "fuzz", ["127.0.0.1"])  # pyright: ignore[reportArgumentType]
    config = uvicorn.Config(app, http=Connection, log_level="error", access_log=False, lifespan="off")
    config.load()

    async def fill() -> None:
        app.state.decoding, app.state.uploads = anyio.CapacityLimiter(2), serve._Uploads()

    loop.run_until_complete(fill())
    problems: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: problems.append(record.getMessage())
    logging.getLogger("uvicorn.error").addHandler(handler)
    loop.set_exception_handler(lambda _, context: problems.append(str(context)))
    return loop, config, ServerState(), problems


def http(_: Path, content: bytes) -> bool:
    """The bytes that a client sends, in two pieces; the first byte says where they are parted, and if odd, that the
    client does not wait for the answer."""
    loop, config, state, problems = _server()
    problems.clear()
    first, content = (content[0] if content else 0), content[1:]
    transport = _Transport()

    async def exchange() -> None:
        connection = config.http_protocol_class(config=config, server_state=state, app_state={}, _loop=loop)
        connection.connection_made(transport)
        at = len(content) * first // 256
        for piece in (content[:at], content[at:]):
            if piece and not transport.closed:
                connection.data_received(piece)
            await asyncio.sleep(0)
        while first % 2 == 0 and not transport.closed and connection._is_busy and not connection.cycle.more_body:
            await asyncio.sleep(0.001)
        connection.connection_lost(None)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if tasks:
            await asyncio.wait(tasks, timeout=4)

    loop.run_until_complete(exchange())
    unexpected = [problem for problem in problems if "Invalid HTTP request" not in problem]
    assert not unexpected, unexpected
    assert not transport.written or transport.written.startswith(b"HTTP/1.1 ")
    return b" 200 " in transport.written[:16]


def keras(folder: Path, content: bytes) -> bool:
    """A file of weights that Keras wrote."""
    path = folder / "w.weights.h5"
    path.write_bytes(content)
    needed = [keras_file.Layer("dense", "dense", {"kernel": (4, 2)})]
    try:
        ((kernel, bias),), _ = keras_file.read(path, needed)
    except UserError as error:
        assert str(error)
        return False
    assert (kernel.shape, bias.shape) == ((4, 2), (2,))
    return True


def torch(folder: Path, content: bytes) -> bool:
    """Weights that torch.save wrote, .pth, in both of its forms."""
    return _are_weights(folder / "w.pth", content)


def _are_weights(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    try:
        found = weights.load(path, "model.init_from")
    except UserError as error:
        assert str(error).startswith(f"model.init_from={path} ")
        assert text.printable(str(error)) == str(error)
        return False
    assert sum(array.nbytes for array in found.arrays.values()) <= 8 * len(content) + 2**20
    assert all(isinstance(name, str) for name in found.arrays)
    return bool(found.arrays)


def safetensors(folder: Path, content: bytes) -> bool:
    """Weights of a ResNet, .safetensors."""
    path = folder / "w.safetensors"
    _are_weights(path, content)
    try:
        found = to_blocks(weights.load(path, "model.init_from").arrays, str(path))
    except UserError as error:
        assert str(error)
        return False
    return bool(found["params"])


@functools.cache
def _checkpoint() -> tuple[Any, Any, dict[str, bytes]]:
    """Returns a reader, the shapes of the weights and the files of a good checkpoint of step 3."""
    config = demo.get_config("blocks=1")
    config.data.image_size = 8
    config.model.blocks[0].features = 2
    config.model.head.hidden = ()
    engine = Engine(checked(config), ("a", "b"), batch_size=jax.device_count())
    state = engine.create_state().replace(step=jnp.int32(3))
    with tempfile.TemporaryDirectory() as folder:
        kept = Checkpoints(folder)
        kept.save(state, LoopState(EarlyStopping(3), Metrics.zeros()), 1.0)
        kept.close()
        root = Path(folder) / "checkpoints/3"
        found = {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
    return jax.eval_shape(lambda: state.variables), engine.mesh, found


def checkpoint(folder: Path, content: bytes) -> bool:
    """The files of a checkpoint's weights and its progress, each behind its length; those that are missing are good."""
    like, mesh, good = _checkpoint()
    given = list(_unpack(content))
    for number, name in enumerate(_changeable(good)):
        path = folder / "checkpoints/3" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(given[number] if number < len(given) else good[name])
    found = Checkpoints(folder)
    try:
        found.restore_weights(3, like, mesh)
    except UserError as error:
        assert "checkpoint" in str(error)
        return False
    finally:
        found.close()
    return True


def _changeable(good: dict[str, bytes]) -> list[str]:
    return [name for name in good if name.startswith(("weights/", "progress/"))]


def _unpack(content: bytes) -> Iterator[bytes]:
    while len(content) >= 4:
        (length,) = struct.unpack("<I", content[:4])
        yield content[4 : 4 + length]
        content = content[4 + length :]


def _packed() -> list[bytes]:
    good = _checkpoint()[2]
    return [b"".join(struct.pack("<I", len(good[name])) + good[name] for name in _changeable(good))]


def _zips() -> list[bytes]:
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as file:
            for name in ("photos/bars/1.jpg", "photos/ring/2.jpg", "photos/ring/3.png", "__MACOSX/._1.jpg"):
                file.writestr(name, b"picture" * 20)
        found.append(buffer.getvalue())
    return found


def _requests() -> list[bytes]:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(buffer, "PNG")
    photo = buffer.getvalue()
    host = b"Host: 127.0.0.1\r\n"
    kind = b"Content-Type: application/octet-stream\r\n"
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(photo), photo)
    return [
        b"\x00GET / HTTP/1.1\r\n" + host + b"\r\n",
        b"\x80POST /predict HTTP/1.1\r\n" + host + kind + b"Content-Length: %d\r\n\r\n" % len(photo) + photo,
        b"\xffPOST /predict HTTP/1.1\r\n" + host + kind + b"Transfer-Encoding: chunked\r\n\r\n" + chunked,
        b"\x40POST /predict HTTP/1.1\r\n" + host + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        b"\x10GET / HTTP/1.1\r\n" + host + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ]


def _keras_files() -> list[bytes]:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.create_dataset("0", data=np.ones((4, 2), np.float32))
        group.create_dataset("1", data=np.ones(2, np.float32))
    return [buffer.getvalue()]


def _torch_files() -> list[bytes]:
    rng = np.random.default_rng(0)
    state = torch_files.tensors({"fc.weight": rng.normal(size=(2, 3)), "fc.bias": np.ones(2, np.float32)})
    shared = torch_files.stored(np.arange(6, dtype=np.int64), "7")
    state["module.a"] = torch_files.View(shared, (2, 2), (3, 1), 1, parameter=True)
    half = torch_files.stored(np.arange(4, dtype=np.uint16), kind="BFloat16")
    state["flag"] = torch_files.tensor(True, "8")
    checkpoint = {"epoch": 3, "model": {"a": torch_files.View(half, (4,), (1,)), "b": torch_files.View(half, (), ())}}
    values, forms = (state, checkpoint), (torch_files.zip_file, torch_files.legacy_file)
    return [write(value, protocol) for value in values for write in forms for protocol in (2, 4)]


def _safetensors() -> list[bytes]:
    head = {"conv1.weight": {"dtype": "F32", "shape": [1, 1, 1, 1], "data_offsets": [0, 4]}}
    encoded = json.dumps(head).encode()
    return [struct.pack("<Q", len(encoded)) + encoded + bytes(4)]


FITTED = {"step": 3, "temperature": 1.5, "num_examples": 9, "loss_before": 2.0, "loss_after": 1.0}
FITTED |= {"calibration_error_before": 0.1, "calibration_error_after": 0.0}
RECORD = {"result": None, "sessions": [{"data": {"test": {"images": 1, "content": "0"}}, "outcome": "finished"}]}

TARGETS = {
    "table": (table, lambda: TABLES),
    "zip": (zip_file, _zips),
    "names": (names, lambda: [b"a/1.jpg\0b/2", "train/\u00e9/1.jpg\0test/=1+1/2.jpg".encode(), b"\xe9/\x1b[2J.jpg"]),
    "csv": (csv_file, lambda: [b"id,true,predicted\r\n1,a,b\r\n", b"id,true\n'=1+1,\\xe9\n"]),
    "records": (records, lambda: [json.dumps(FITTED).encode(), json.dumps(RECORD).encode(), b"[]"]),
    "links": (links, lambda: [b"report.html\0../outside/precious", b"evaluation\0/tmp", b"a/b\0c\0d\0a", b"events\0x"]),
    "environment": (environment, lambda: [b"{folder}\0{folder}/c\0/tmp\x001\x0040\0dumb\0", b"\0\0\0true", b"x"]),
    "http": (http, _requests),
    "keras": (keras, _keras_files),
    "safetensors": (safetensors, _safetensors),
    "torch": (torch, _torch_files),
    "checkpoint": (checkpoint, _packed),
}  # fmt: skip
