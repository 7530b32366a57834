"""What is fuzzed: each target reads bytes that may come from anybody, as the program would read them.

A target is a function of (an empty folder of its own, the bytes). It returns whether they could be used, False when
they were refused in the project's own way, and raises anything else, which is a finding. `seeds` are good files to
start from. Parts of one input stand between zero bytes.
"""

import functools
import gzip
import io
import json
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import strangers
from PIL import Image

from experiments import food10
from foodjax import cli
from foodjax.commands import arguments, configs
from foodjax.config import check as config_lib
from foodjax.config import stored as stored_config_lib
from foodjax.config.variants import apply
from foodjax.data.decode import decode
from foodjax.data.sources.archive import Archive
from foodjax.data.sources.find import select_classes
from foodjax.data.sources.folders import FolderSource
from foodjax.system.errors import UserError
from foodjax.workdir import description as workdir_lib
from foodjax.workdir.metrics import read_metrics
from foodjax.workdir.wandb_file import records

META = {"bars": ["bars/1", "bars/2"], "ring": ["ring/1"]}
PROGRESS = {"best_loss": 1.5, "best_epoch": 1, "num_bad": 0, "epoch": 1, "rows": [{"epoch": 1, "val_loss": 1.5}]}
PROGRESS |= {"weights": "0" * 64, "training": "1" * 64}
PROGRESS["total"] = dict.fromkeys(("loss_sum", "num_correct", "num_examples"), 0.0)


def decoder(_: Path, content: bytes) -> bool:
    """A photograph behind one byte that says how it is decoded and becomes square."""
    first = content[0] if content else 0
    geometry, decoding = ("stretch", "crop", "pad")[first % 3], "viewer" if first > 127 else "plain"
    try:
        picture = decode(content[1:], 8, "bilinear", geometry=geometry, decoding=decoding, max_pixels=2**22)
    except ValueError as error:
        assert str(error)
        return False
    assert picture.shape == (8, 8, 3)
    assert picture.dtype == np.uint8
    return True


def meta(folder: Path, content: bytes) -> bool:
    """Food-101's train.json, test.json and classes.txt; what is missing is not there."""
    (folder / "meta").mkdir()
    for name, part in zip(("train.json", "test.json", "classes.txt"), content.split(b"\0", 2), strict=False):
        (folder / "meta" / name).write_bytes(part)
    source = FolderSource(folder)
    try:
        listing = select_classes(source.listing(), 0, ())
    except UserError:
        return False
    assert all(not encoded for _, encoded in source.read(listing.train + listing.test))
    json.dumps(source.fingerprint())
    return True


def archive(folder: Path, content: bytes) -> bool:
    """A food-101.tar.gz, as a tar of any compression."""
    found = Archive(folder / "food-101.tar.gz")
    found.path.write_bytes(content)
    return strangers.is_read(found)


def variant(_: Path, content: bytes) -> bool:
    """What stands behind a config file and a colon."""
    try:
        config_lib.checked(apply(food10.get_config(), content.decode(errors="replace")))
    except UserError as error:
        assert str(error)
        return False
    return True


def override(_: Path, content: bytes) -> bool:
    """What stands behind `--config.` on the command line."""
    try:
        configs.load(arguments.read(["--config", "food10", "--config." + content.decode(errors="replace")], cli.VERBS))
    except UserError as error:
        assert str(error)
        return False
    return True


def stored_config(_: Path, content: bytes) -> bool:
    """A workdir's config.json."""
    try:
        config = stored_config_lib.from_json(content.decode(errors="replace"))
    except UserError:
        return False
    assert (
        config_lib.difference(config, stored_config_lib.from_json(stored_config_lib.to_json(config)), ignore=()) is None
    )
    return True


def workdir(folder: Path, content: bytes) -> bool:
    """config.json, dataset.json and finished.json; an empty one is a good one."""
    good = (CONFIG, b'{"class_names": ["a", "b"]}', b"{}")
    parts = content.split(b"\0", 2) + [b""] * 3
    for name, part, whole in zip(("config.json", "dataset.json", "finished.json"), parts, good, strict=False):
        (folder / name).write_bytes(part or whole)
    assert isinstance(workdir_lib.read_finished(folder, TRAIN), workdir_lib.Finished | None)
    try:
        _, names = workdir_lib.read_description(folder)
    except UserError:
        return False
    assert names
    assert all(isinstance(class_name, str) for class_name in names)
    return True


def metrics(folder: Path, content: bytes) -> bool:
    """A metrics.jsonl."""
    (folder / "metrics.jsonl").write_bytes(content)
    rows = read_metrics(folder / "metrics.jsonl")
    assert all(type(row["epoch"]) is int for row in rows)
    return bool(rows)


@functools.cache
def _checkpoints(folder: Path):
    from foodjax.workdir.checkpoints import Checkpoints  # only this target waits for jax and orbax

    return Checkpoints(folder)


def progress(folder: Path, content: bytes) -> bool:
    """What a checkpoint holds beside the state."""
    path = folder / "checkpoints/1/progress/metadata"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    checkpoints = _checkpoints(folder)
    assert checkpoints.steps() == [1]
    assert checkpoints.best_step() is None
    try:
        found = checkpoints.restore_loop_state(1, patience=3)
    except UserError as error:
        assert "cannot read checkpoint" in str(error)
        return False
    assert found.stopping.patience == 3
    return True


def events(folder: Path, content: bytes) -> bool:
    """A TensorBoard event file: what is kept of it is whole, and is kept again."""
    from foodjax.workdir.tensorboard import EventFile

    (folder / "events.out.tfevents.1").write_bytes(content)
    steps = []
    for _ in range(2):
        found = EventFile(folder, step=5)
        found.close()
        steps.append(found.steps)
    assert steps[0] == steps[1]
    assert all(step <= 5 for step in steps[0])
    return bool(steps[0])


def wandb_file(_: Path, content: bytes) -> bool:
    """A file of W&B's, which a run that continues offline reads."""
    found = list(records(content))
    assert sum(map(len, found)) <= len(content)
    return bool(found)


def _pictures() -> list[bytes]:
    rng, found = np.random.default_rng(0), []
    for kind, mode in (("JPEG", "RGB"), ("PNG", "P"), ("PNG", "I;16"), ("GIF", "P"), ("WEBP", "RGB"), ("TIFF", "CMYK")):
        image = Image.fromarray(rng.integers(0, 256, (24, 31, 3), dtype=np.uint8))
        image = Image.new("I;16", (31, 24), 300) if mode == "I;16" else image.convert(mode)
        buffer = io.BytesIO()
        image.save(buffer, kind)
        found += [b"\x00" + buffer.getvalue(), b"\xff" + buffer.getvalue()]
    return found


def _archives() -> list[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("meta/train.json", "meta/test.json", "images/bars/1.jpg", "images/" + "long" * 30 + ".jpg"):
            info, text = tarfile.TarInfo(f"food-101/{name}"), json.dumps(META).encode()
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    plain = buffer.getvalue()
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 5
    chain = (long_name.tobuf(tarfile.GNU_FORMAT) + b"name".ljust(512, b"\0")) * 3
    return [plain, chain + plain, gzip.compress(plain, mtime=0)]


def _events() -> list[bytes]:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    for step in (0, 3, 9):
        summary = Summary(value=[Summary.Value(tag="loss", simple_value=1.0)])
        writer.write(Event(step=step, wall_time=1.0, summary=summary).SerializeToString())
    return [buffer.getvalue()]


def _wandb_files() -> list[bytes]:
    def piece(kind: int, body: bytes) -> bytes:
        head = bytes([kind])
        return zlib.crc32(head + body).to_bytes(4, "little") + len(body).to_bytes(2, "little") + head + body

    short = b":W&B\xe1\xbe\x00" + piece(1, b"one") + piece(2, b"tw") + piece(3, b"") + piece(4, b"o")
    room = 2**15 - len(short) - 7
    return [short, short + piece(2, b"x" * room) + piece(4, b"y")]


def _lists() -> list[bytes]:
    text = json.dumps(META).encode()
    return [text + b"\0" + text, text + b"\0" + text + b"\0bars\nring\n"]


TRAIN = config_lib.checked(food10.get_config()).train
CONFIG = stored_config_lib.to_json(config_lib.checked(food10.get_config())).encode()
ROW = b'{"epoch": 1, "step": 4, "loss": 1.5, "val_loss": NaN}\n'
VARIANTS = [
    b"lr={[]:1}",
    b"lr=3e-4,drop_block=4",
    b"model.blocks[3].kernel=3,pool=avg",
    b"train.sizes=((0,32),(10,48)),seed=1",
]
OVERRIDES = [b"optimizer.learning_rate=3e-4", b"model.blocks[3].kernel=3", b"train.sizes=((0,32),(10,48))"]


class Target(NamedTuple):
    """A function that is fed, and a function that makes the inputs it starts from."""

    check: Callable[[Path, bytes], bool]
    seeds: Callable[[], list[bytes]]

    def feed(self, folder: Path, content: bytes) -> bool:
        """Feeds one input; empties the folder before. Returns whether it could be used."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return self.check(folder, content)


TARGETS = {
    "decoder": Target(decoder, _pictures),
    "meta": Target(meta, _lists),
    "archive": Target(archive, _archives),
    "variant": Target(variant, lambda: VARIANTS),
    "override": Target(override, lambda: OVERRIDES),
    "stored_config": Target(stored_config, lambda: [CONFIG]),
    "workdir": Target(
        workdir, lambda: [b"", CONFIG, b'\0{"class_names": ["a"]}\0{"reason": "last epoch", "epoch": 1}']
    ),
    "metrics": Target(metrics, lambda: [ROW * 2]),
    "progress": Target(progress, lambda: [json.dumps(PROGRESS).encode()]),
    "events": Target(events, _events),
    "wandb_file": Target(wandb_file, _wandb_files),
} | {name: Target(check, seeds) for name, (check, seeds) in strangers.TARGETS.items()}
