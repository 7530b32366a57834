"""Decoding of the photographs of a prepared set, by one process or shared out among the processes of a run.

Each process decodes every n-th photograph and writes them to a folder of its own beside the set; the first one makes
the set of them.
"""

import functools
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from foodjax.config.photo_keys import Data
from foodjax.data.decode import decode_as
from foodjax.data.disk_space import create_array
from foodjax.data.identity import digest
from foodjax.data.sources.base import Example, Source
from foodjax.system import files, hosts, shared
from foodjax.system.errors import UserError, first_line
from foodjax.system.ordered_map import ordered_map

_SECONDS = 5.0  # that a shared file system may take to show a new file


class Decoded(NamedTuple):
    """A photograph that was read.

    Attributes:
        row: in the list of all photographs of the part.
        num_bytes: of its file.
        digest: of its file.
        image: uint8 (H, H, 3); None if it does not decode.
        problem: why it does not; "" if it does.
    """

    row: int
    num_bytes: int
    digest: str
    image: np.ndarray | None
    problem: str


@functools.cache
def is_shared(folder: Path) -> bool:
    """Returns whether several processes see one folder of prepared sets, so that they share the work out."""
    return hosts.count() > 1 and all(shared.sees_all(folder, _SECONDS))


def decode(source: Source, examples: Iterable[tuple[int, Example]], data: Data) -> Iterator[Decoded]:
    """Yields photographs, in any order.

    Args:
        source: of the photographs.
        examples: row and example of each.
        data: config.data.

    Raises:
        UserError: a photograph cannot be read now.
    """
    examples = list(examples)
    row_of = {example.id: row for row, example in examples}

    def one(item: tuple[Example, bytes]) -> Decoded:
        example, encoded = item
        found = Decoded(row_of[example.id], len(encoded), digest(encoded), None, "")
        try:
            return found._replace(image=decode_as(data, encoded))
        except ValueError as error:
            return found._replace(problem=first_line(error))
        except MemoryError:
            raise UserError(f"not enough memory to decode {example.file}: needs more free memory") from None

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield from ordered_map(pool, one, source.read(example for _, example in examples))


def write_own(folder: Path, source: Source, examples: Sequence[Example], data: Data) -> None:
    """Decodes the share of this process.

    Args:
        folder: of the set; the shares lie beside it.
        source: of the photographs.
        examples: all, the same in every process.
        data: config.data.

    Raises:
        OSError: it cannot be written.
        UserError: a photograph cannot be read now.
    """
    own = list(enumerate(examples))[hosts.index() :: hosts.count()]
    _write(_place(folder, hosts.index()), decode(source, own, data), len(own), data.image_size)


def read_all(folder: Path) -> Iterator[Decoded]:
    """Yields the photographs of all shares."""
    for process in range(hosts.count()):
        yield from _read(_place(folder, process))


def remove(folder: Path) -> None:
    """Removes the share of this process, when no process reads it any more."""
    shutil.rmtree(_place(folder, hosts.index()), ignore_errors=True)


def _place(folder: Path, process: int) -> Path:
    return folder.with_name(f".{folder.name}.share-{process}")


def _write(place: Path, found: Iterable[Decoded], count: int, size: int) -> None:
    shutil.rmtree(place, ignore_errors=True)  # left by a process that was killed
    place.mkdir()
    rows = []
    images = create_array(place / "images.npy", (count, size, size, 3)) if count else None
    for one in found:
        if one.image is not None and images is not None:
            images[len(rows)] = one.image
        rows.append([one.row, one.num_bytes, one.digest, one.problem])
    if images is not None:
        images.flush()
    files.write_text(place / "rows.json", json.dumps(rows))


def _read(place: Path) -> Iterator[Decoded]:
    rows = files.read_json(place / "rows.json", float("inf"))
    images = np.load(place / "images.npy", mmap_mode="r", allow_pickle=False) if rows else ()
    for (row, num_bytes, file_digest, problem), image in zip(rows, images, strict=True):
        yield Decoded(row, num_bytes, file_digest, None if problem else image, problem)
