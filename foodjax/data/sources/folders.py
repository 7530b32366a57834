"""Source of photographs in a folder of any layout."""

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from foodjax.data.sources.base import PARTS, Example, Listing, Missing, Source, file_stats, signature_of
from foodjax.data.sources.layouts import Options, list_tree
from foodjax.data.sources.tree import Folder, scan
from foodjax.system.errors import UserError
from foodjax.system.files import to_path


class FolderSource(Source):
    """A folder of photographs. It is listed once; later changes are not seen."""

    def __init__(self, root: Path, options: Options = Options(), tree: Folder | None = None):  # noqa: B008, immutable
        self.name, self.root, self.where, self._options, self._tree = root.name, root, str(root), options, tree
        self._fingerprint: Any = None
        self._signature: str | None = None

    def listing(self) -> Listing:  # noqa: D102
        if self.listed is None:
            self._tree = self._tree or scan(self.where)
            self.listed = list_tree(self._tree, self.where, self._text, self._options)
        return self.listed

    def fingerprint(self) -> Any:  # noqa: D102
        if self._fingerprint is None:
            listing = self.listing()
            parts = [getattr(listing, part) for part in PARTS]
            stats = file_stats([self._path(e.location) for examples in parts for e in examples])
            self._signature, each = signature_of(stats), iter(stats)
            rows = [[(e.id, e.class_name, e.location, *next(each)[:2]) for e in examples] for examples in parts]
            self._fingerprint = [listing.class_names, rows]
        return self._fingerprint

    def signature(self) -> str | None:  # noqa: D102
        self.fingerprint()
        return self._signature

    def for_everything(self) -> Source:  # noqa: D102
        return FolderSource(self.root, self._options._replace(everything=True, group=""), self._tree)

    def read(self, examples: Iterable[Example]) -> Iterator[tuple[Example, bytes]]:  # noqa: D102
        for example in examples:
            place = self._path(example.location)
            is_missing = isinstance(example.location, Missing) and not os.path.exists(place)
            yield example, b"" if is_missing else read_file(place)

    def _path(self, location: str) -> str:
        return os.path.join(self.root, location)

    def _text(self, path: str) -> bytes:
        """Returns the content of a file in the folder, or of the table of labels, which may lie elsewhere."""
        inside = self._path(path)
        if path == self._options.labels and not os.path.isfile(inside):
            return read_table(path, str(self.root))
        return read_file(inside)


def read_table(path: str, where: str) -> bytes:
    """Returns the content of a table of labels that is not in the data.

    Raises:
        UserError: it is no file, or cannot be read.
    """
    place = to_path(path)
    if not place.is_file():
        raise UserError(f"data.labels={path} is no file, neither in {where} nor here: needs a CSV of file,label")
    return read_file(str(place))


def read_file(path: str) -> bytes:
    """Returns the content of a file that was listed.

    Raises:
        UserError: it cannot be read: rights, disk or network; or it has vanished. Such a file must not count as broken.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        why = "it was there a moment ago" if error.errno in (errno.ENOENT, errno.ENOTDIR) else error.strerror
        raise UserError(
            f"cannot read {path} ({why}): needs the right to read, a working disk, and files that stay while they are "
            f"prepared; nothing was left out"
        ) from None
