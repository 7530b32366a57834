"""The interface of a source of encoded photographs, and functions that the sources share.

A source lists its examples cheaply and reads their bytes on request; it decodes nothing.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

from foodjax.config.check import nearest
from foodjax.data.sources import alike
from foodjax.system.errors import UserError

PARTS = ("train", "validation", "test")
_THREADS = 32  # that ask for the state of files: they wait for the disk or the network


class Example(NamedTuple):
    """A photograph of a part.

    Attributes:
        id: its name in tables and messages; unique within its part, and there alone.
        class_name: its class.
        location: where its source finds it; means something to that source alone.
        group: what the column `data.group` of a table of labels says of it; "" for nothing.
    """

    id: str
    class_name: str
    location: Any
    group: str = ""

    @property
    def file(self) -> str:
        """Its path in the data; for data without files, what stands for it."""
        if isinstance(self.location, tuple):
            return "/".join(map(str, self.location))
        return self.location if isinstance(self.location, str) else self.id


class Missing(str):
    """The path of a photograph that a list names, and that is not there. Any other that is not there has vanished."""


class Unused(NamedTuple):
    """A file that is not used.

    Attributes:
        part: train, validation or test; "" if it lies in none.
        class_name: its class; "" if it has none.
        file: its path in the data.
        reason: why it is not used.
    """

    part: str
    class_name: str
    file: str
    reason: str


class Listing(NamedTuple):
    """The content of a source.

    Attributes:
        class_names: in label order.
        train: examples to train on.
        validation: examples of the data's own validation part; empty if it has none.
        test: examples to test on.
        notes: lines that say how the parts were found and made.
        unused: the files that are not used.
    """

    class_names: tuple[str, ...]
    train: list[Example]
    validation: list[Example]
    test: list[Example]
    notes: tuple[str, ...] = ()
    unused: tuple[Unused, ...] = ()


class Source(Protocol):
    """A source of encoded photographs.

    Attributes:
        name: of the folders in the cache.
        where: its path, as notes of its listing name it; "" without one.
        listed: its listing, if that was made already.
    """

    name: str
    where: str = ""
    listed: "Listing | None" = None

    def fingerprint(self) -> Any:
        """Returns JSON that changes when the photographs or their parts change; cheap. A move changes nothing."""
        ...

    def signature(self) -> str | None:
        """Returns what any change of a file changes, even one that keeps its size and time; cheap.

        A copy has another signature. None: the fingerprint says all.
        """
        return None

    def for_everything(self) -> "Source":
        """Returns the same source for photographs that are not a run's own, see `create_source`."""
        return self

    def listing(self) -> Listing:
        """Returns classes and examples, or raises UserError."""
        ...

    def class_names(self) -> tuple[str, ...]:
        """Returns all classes in label order, without a download."""
        return self.listing().class_names

    def read(self, examples: Iterable[Example]) -> Iterator[tuple[Example, bytes]]:
        """Yields (example, encoded photograph) of each example of one part, in any order; b"" for a Missing one.

        Raises:
            UserError: a photograph cannot be read now, or has vanished since the listing.
        """
        ...


def select_names(known: tuple[str, ...], num_classes: int, names: tuple[str, ...]) -> tuple[str, ...]:
    """Returns `names`, or the first `num_classes` (0: all) of the known classes.

    Raises:
        UserError: a name is not among the known classes, or num_classes exceeds their number.
    """
    some = ",".join(known[:5]) + (",..." if len(known) > 5 else "")
    among = set(known)
    for name in names:
        if name not in among:
            like = alike.hint(name, known) or nearest(name, known)
            raise UserError(
                f"data.class_names has {name!r}, none of the {len(known)} classes{like}: needs some of {some}"
            )
    if num_classes > len(known) and not names:
        raise UserError(
            f"data.num_classes is {num_classes}, but the data has {len(known)} classes: use --config photos, or "
            f"--config.data.num_classes=0, which takes them all"
        )
    return tuple(names) or known[: num_classes or len(known)]


def file_stats(paths: Sequence[str]) -> list[tuple[int, int, int]]:
    """Returns (bytes, time of the last change, that of its record) of each file, ns; -1 for one that is not there.

    Programs may set the first time; the system alone sets the second.
    """

    def of_some(some: Sequence[str]) -> list[tuple[int, int, int]]:
        return [_stat(path) for path in some]

    chunks = [paths[first : first + 256] for first in range(0, len(paths), 256)]
    if len(chunks) <= 1:
        return of_some(paths)
    with ThreadPoolExecutor(_THREADS) as pool:
        return [row for rows in pool.map(of_some, chunks) for row in rows]


def signature_of(stats: Iterable[tuple[int, int, int]]) -> str:
    """Returns a digest of when the records of files changed last."""
    return hashlib.sha256(repr([times for _, _, times in stats]).encode()).hexdigest()[:32]


def _stat(path: str) -> tuple[int, int, int]:
    try:
        info = os.stat(path)
        return info.st_size, info.st_mtime_ns, info.st_ctime_ns
    except (OSError, ValueError):  # ValueError: not a possible file name
        return -1, -1, -1
