"""The photographs behind a prepared set, for pages: as a viewer shows them, with their aspect ratio, and small.

A prepared set has pictures of the network's size. The files themselves may have moved, changed or lie in an archive
that takes minutes to unpack: then the page goes without, and says why.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from zipfile import is_zipfile

import numpy as np

from foodjax.config.keys import Config
from foodjax.data.decode import thumbnail
from foodjax.data.identity import digest
from foodjax.data.prepared import Prepared
from foodjax.data.sources.archive import Archive
from foodjax.data.sources.base import Example, Source
from foodjax.data.sources.find import create_source
from foodjax.system.errors import UserError, first_line

SIDE = 256  # of the longer side, pixels
MAX_PACKED = 128 * 2**20  # bytes of a tar archive, which is unpacked from its beginning


class Originals:
    """Reads the photographs of prepared sets.

    Attributes:
        problem: why not one can be read; "" if there is no such reason.
        missing: how many photographs were asked for and could not be read, or have changed since they were prepared.
    """

    def __init__(self, config: Config):
        """Takes the config that names the photographs; reads nothing."""
        self.problem, self.missing, self._source = "", 0, None
        if not config.data.dir and not config.data.labels and config.data.source == "tfds":
            self.problem = "TFDS has them as records, not as files"
            return
        try:
            self._source = create_source(config)
        except UserError as error:
            self.problem = first_line(error)
            return
        if isinstance(self._source, Archive) and not is_zipfile(self._source.path):
            packed = self._source.path.stat().st_size
            if packed > MAX_PACKED:
                self.problem = f"{self._source.path.name} has {packed / 1e6:,.0f} MB, which is too much to unpack here"

    def read(self, prepared: Prepared, rows: Iterable[int], side: int = SIDE) -> dict[int, np.ndarray]:
        """Returns row of a prepared set -> its photograph, uint8 (h, w, 3), where it can be read and is still the same.

        Args:
            prepared: the set.
            rows: of the set, in any order; some may come twice.
            side: of the longer side, pixels; smaller photographs stay as they are.
        """
        wanted = sorted({int(row) for row in rows})
        found = {}
        if not (prepared.digests and prepared.found.files):
            self.problem = self.problem or "the pictures were given as arrays"
        if self._source is not None and not self.problem:
            places: dict[str, list[int]] = {}
            for row in wanted:
                places.setdefault(prepared.found.files[row], []).append(row)
            for example, encoded in _read(self._source, [_example(prepared, of[0]) for of in places.values()]):
                same = [row for row in places[example.location] if digest(encoded) == prepared.digests[row]]
                with contextlib.suppress(ValueError, MemoryError):  # it was decoded before, but at another size
                    found |= dict.fromkeys(same, thumbnail(encoded, side) if same else None)
        self.missing += len(wanted) - len(found)
        return found

    def sentence(self) -> str:
        """Returns why photographs are missing on a page, as a sentence; "" if none is."""
        if not self.missing:
            return ""
        if self.problem:
            return f"The photographs themselves are not shown: {self.problem}."
        return f"{self.missing} of the photographs themselves are not shown: their files are gone or have changed."


def _example(prepared: Prepared, row: int) -> Example:
    return Example(prepared.ids[row], prepared.class_names[prepared.labels[row]], prepared.found.files[row])


def _read(source: Source, examples: list[Example]) -> Iterator[tuple[Example, bytes]]:
    """Yields the examples that can be read: an archive's in one pass, others one by one."""
    inside = [e for e in examples if not (PurePosixPath(e.location).is_absolute() or ".." in Path(e.location).parts)]
    for some in [inside] if isinstance(source, Archive) else [[example] for example in inside]:
        try:
            yield from source.read(some)
        except (UserError, ValueError, LookupError):  # gone; or a set of another source
            continue
