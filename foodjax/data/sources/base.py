"""Where encoded photographs come from: TFDS, an archive, a folder, or drawn by the program.

A source lists its examples cheaply and reads their bytes on request; nothing is decoded here.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from foodjax.config.check import nearest
from foodjax.system.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")


class Listing(NamedTuple):
    """What a source holds: class names in label order, and the ids ("class/name") of its two official sets."""

    class_names: tuple[str, ...]
    train: list[str]
    test: list[str]


class Source(Protocol):
    """A place that photographs come from."""

    name: str

    def fingerprint(self) -> Any:
        """Returns JSON that changes when the photographs do; cheap."""
        ...

    def listing(self) -> Listing:
        """Returns classes and ids, or raises UserError."""
        ...

    def class_names(self) -> tuple[str, ...]:
        """Returns all classes in label order, without a download."""
        return self.listing().class_names

    def read(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yields (id, encoded photograph) of each id, in any order."""
        ...


def select_names(known: tuple[str, ...], num_classes: int, names: tuple[str, ...]) -> tuple[str, ...]:
    """Returns `names`, or the first `num_classes` (0: all) of the known classes.

    Raises:
        UserError: a class that does not exist, or more than there are.
    """
    for name in names:
        if name not in known:
            raise UserError(f"data.class_names has {name!r}, not among the {len(known)} classes{nearest(name, known)}")
    if num_classes > len(known) and not names:
        raise UserError(f"data.num_classes is {num_classes}: the data has {len(known)} classes")
    return tuple(names) or known[: num_classes or len(known)]


def file_stats(paths: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Returns (path, size, time of the last change) of each file, -1 where it cannot be had."""
    rows = []
    for path in paths:
        try:
            info = os.stat(path)
            rows.append((str(path), info.st_size, info.st_mtime_ns))
        except (OSError, ValueError):  # ValueError: no name that a file can have
            rows.append((str(path), -1, -1))
    return rows


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError):
        return b""  # listed and absent: the decoder will name it
