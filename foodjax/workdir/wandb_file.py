"""Reads which steps are in the files that W&B writes beside a run, where no server can be asked.

A file is a log in LevelDB's format behind seven bytes of W&B's own, and each of its records a protocol buffer.
"""

import contextlib
import zlib
from collections.abc import Iterator
from pathlib import Path

from foodjax.system import files

_BEGIN, _BLOCK = b":W&B", 2**15  # the first bytes of a file, and the bytes of a block of its log
_BEGIN_LENGTH, _HEAD = 7, 7  # bytes before the first record of a file, and before each piece of a record
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4  # kinds of pieces


def read_steps(folder: Path, identity: str) -> set[int]:
    """Returns the steps of which the files of a run have numbers.

    Args:
        folder: `wandb/` of a workdir.
        identity: the run's id.
    """
    steps = set()
    for path in sorted(folder.glob(f"*run-*/run-{identity}.wandb")):
        with contextlib.suppress(OSError):
            steps |= set(_steps(files.read_bytes(path)))
    return steps


def _steps(content: bytes) -> Iterator[int]:
    """Yields the steps of the records of numbers up to the first damaged one, such as one cut short by a kill."""
    from google.protobuf.message import DecodeError
    from wandb.proto.wandb_internal_pb2 import Record  # pyright: ignore[reportAttributeAccessIssue]

    for body in records(content):
        try:
            history = Record.FromString(body).history
        except DecodeError:
            return
        if history.item:
            yield history.step.num


def records(content: bytes) -> Iterator[bytes]:
    """Yields the records of a file up to its end, or up to the first piece that is damaged or cut short."""
    if not content.startswith(_BEGIN):
        return
    at, body = _BEGIN_LENGTH, b""
    while at + _HEAD <= len(content):
        left = _BLOCK - at % _BLOCK
        if left < _HEAD:  # no room for a piece: the block is filled with zeros
            at += left
            continue
        checksum = int.from_bytes(content[at : at + 4], "little")
        length = int.from_bytes(content[at + 4 : at + 6], "little")
        kind, piece = content[at + 6], content[at + _HEAD : at + _HEAD + length]
        if len(piece) < length or zlib.crc32(bytes([kind]) + piece) != checksum:
            return
        body = piece if kind in (_FULL, _FIRST) else body + piece
        if kind in (_FULL, _LAST):
            yield body
        at += _HEAD + length
