"""The interface of a source of encoded photographs, and functions that the sources share.

A source lists its examples cheaply and reads their bytes on request; it decodes nothing.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from foodjax.config.check import nearest
from foodjax.system.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")


class Listing(NamedTuple):
    """The content of a source: class names in label order, and the ids ("class/name") of its two official sets."""

    class_names: tuple[str, ...]
    train: list[str]
    test: list[str]


class Source(Protocol):
    """A source of encoded photographs."""

    name: str

    def fingerprint(self) -> Any:
        """Returns JSON that changes when the photographs change; cheap."""
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
        UserError: a name is not among the known classes, or num_classes exceeds their number.
    """
    for name in names:
        if name not in known:
            raise UserError(f"data.class_names has {name!r}, none of the {len(known)} classes{nearest(name, known)}")
    if num_classes > len(known) and not names:
        raise UserError(
            f"data.num_classes is {num_classes}, but the data has {len(known)} classes: use at most {len(known)}"
        )
    return tuple(names) or known[: num_classes or len(known)]


def file_stats(paths: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Returns (path, bytes, time of the last change in ns) of each file; -1 for a file that cannot be read."""
    rows = []
    for path in paths:
        try:
            info = os.stat(path)
            rows.append((str(path), info.st_size, info.st_mtime_ns))
        except (OSError, ValueError):  # ValueError: not a possible file name
            rows.append((str(path), -1, -1))
    return rows


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError):
        return b""  # listed but missing: the decoder reports it
