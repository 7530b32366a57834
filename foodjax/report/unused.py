"""The files that are not used, for the pages: their numbers by reason, and a list."""

from collections.abc import Sequence
from typing import NamedTuple

from foodjax.data.found import group
from foodjax.data.photographs import Photograph
from foodjax.data.sources.base import Unused
from foodjax.system.text import shorten

_MOST = 2000  # lines of the list on a page
_LONGEST = 120  # characters of a path


class UnusedFiles(NamedTuple):
    """What a page shows of the files that are not used.

    Attributes:
        known: whether there is a list of photographs at all.
        used: number of photographs that are used.
        total: number of files that are not.
        groups: (count, part, class, reason), the largest count first.
        rows: (file, part, class, reason, bytes) of the first files.
    """

    known: bool
    used: int
    total: int
    groups: list[tuple[str, str, str, str]]
    rows: list[tuple[str, str, str, str, str]]


def unused_files(photographs: Sequence[Photograph]) -> UnusedFiles:
    """Returns what a page shows of a list of photographs."""
    unused = [p for p in photographs if p.reason]
    groups = group(Unused(p.part, p.class_name, p.file, p.reason) for p in unused)
    return UnusedFiles(
        bool(photographs),
        len(photographs) - len(unused),
        len(unused),
        [(f"{count:,}", part, name, reason) for part, name, reason, count, _ in groups[:_MOST]],
        [
            (shorten(p.file, _LONGEST), p.part, p.class_name, p.reason, "" if p.size is None else f"{p.size:,}")
            for p in unused[:_MOST]
        ],
    )
