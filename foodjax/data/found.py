"""What was found of a data set beside its prepared pictures: its files, and which of them are not used."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from foodjax.data.formats import FORMATS, has_heif
from foodjax.data.sources.base import Example, Listing, Unused
from foodjax.system.errors import UserError

OTHER_CLASS = "its class is not used"
_NAMED = 10  # photographs that do not decode, in a message
_LONGEST = 80  # characters of a reason in it


class Found(NamedTuple):
    """What a source's listing says beside the examples of one part.

    Attributes:
        counts: number of photographs of each part.
        notes: lines that say how parts and classes were found.
        unused: files of all parts that are no photographs of a class.
        where: the path of the source, as the notes name it.
        files: path in the data of each row of the prepared set.
        sizes: bytes of each row's file.
        left_out: photographs of this part that are not used: those that do not decode, and those of other classes.
        broken_sizes: bytes of each file that does not decode.
    """

    counts: dict[str, int] = {}
    notes: tuple[str, ...] = ()
    unused: tuple[Unused, ...] = ()
    where: str = ""
    files: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    left_out: tuple[Unused, ...] = ()
    broken_sizes: dict[str, int] = {}

    @classmethod
    def from_info(cls, info: dict[str, Any]) -> "Found":
        """Returns what info.json of a prepared set holds.

        Raises:
            KeyError, TypeError: it is damaged.
        """
        unused, left_out = (tuple(Unused(*row) for row in info[name]) for name in ("unused", "left_out"))
        notes, files, sizes = (tuple(info[name]) for name in ("notes", "files", "sizes"))
        return cls(info["counts"], notes, unused, info["where"], files, sizes, left_out, info["broken_sizes"])


class UndecodedError(UserError):
    """Photographs do not decode, and none may be left out: `unused`; `sizes` has the bytes of their files."""

    def __init__(self, unused: Sequence[Unused], sizes: dict[str, int], part: str, total: int):
        listed = ", ".join(f"{row.file} ({row.reason[:_LONGEST]})" for row in unused[:_NAMED])
        more = f" and {len(unused) - _NAMED:,} more" if len(unused) > _NAMED else ""
        super().__init__(
            f"{len(unused):,} of {total:,} {part} images do not decode: {listed}{more}: repair them, or leave them out "
            f"with data.on_error=skip"
        )
        self.unused, self.sizes = unused, sizes


def of_other_classes(part: str, whole: Listing, chosen: Listing) -> list[Unused]:
    """Returns the photographs of a part whose class is not among the chosen ones, but those that `chosen` names."""
    used, named = set(chosen.class_names), {(row.part, row.file) for row in chosen.unused}
    others = [e for e in getattr(whole, part) if e.class_name not in used and (part, e.file) not in named]
    return [Unused(part, e.class_name, e.file, OTHER_CLASS) for e in others]


def of_broken(
    part: str, examples: Sequence[Example], bad: Mapping[int, str], sizes: np.ndarray
) -> tuple[list[Unused], dict[str, int]]:
    """Returns the photographs of a part that do not decode, and the bytes of each file.

    Args:
        part: its name.
        examples: all of it.
        bad: row among them -> why it does not decode.
        sizes: (N,), bytes of each file; below 0 where none came.

    Raises:
        UserError: no bytes came of a photograph. It must not be taken for a broken one.
    """
    if (sizes < 0).any():
        raise UserError(
            f"no bytes came of {examples[int(sizes.argmin())].file}: needs all photographs that were listed"
        )
    rows = sorted(bad)
    broken = [Unused(part, examples[row].class_name, examples[row].file, bad[row]) for row in rows]
    return broken, {examples[row].file: int(sizes[row]) for row in rows}


def decoders() -> list[str]:
    """Returns the formats that are decoded here: of a photograph that did not decode, another Pillow may know more."""
    return [*FORMATS, *(["HEIF"] if has_heif() else [])]


def group(rows: Iterable[Unused]) -> list[tuple[str, str, str, int, str]]:
    """Returns (part, class, reason, count, first file) of files that are not used, the largest count first."""
    counts: Counter[tuple[str, str, str]] = Counter()
    first: dict[tuple[str, str, str], str] = {}
    for row in rows:
        key = (row.part, "" if row.reason == OTHER_CLASS else row.class_name, row.reason)
        counts[key] += 1
        first.setdefault(key, row.file)
    return [(*key, count, first[key]) for key, count in counts.most_common()]
