"""data.exclude: a list of photographs that are left out of training and validation, such as those with wrong labels."""

import csv
import unicodedata
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from foodjax.data.prepared import Prepared
from foodjax.data.sources.tables import (
    FILE_COLUMNS,
    column_name,
    delimiter_of,
    end_of,
    to_rows,
    to_text,
    without_suffix,
)
from foodjax.data.split import Indices
from foodjax.system import files
from foodjax.system.cells import from_cell
from foodjax.system.errors import UserError, first_line

REASON = "named in data.exclude"
_MOST = 2**28  # bytes of a list
_NAMED = 3  # photographs, in a line


class Exclusion(NamedTuple):
    """What a list leaves out.

    Attributes:
        place: of the list, as data.exclude has it.
        rows: "train" and "validation", as the data has them -> rows of the prepared set, sorted; (N,).
        tested: names in the list of photographs of the test part, which stays whole.
        unknown: names in the list that fit no photograph.
    """

    place: str
    rows: Mapping[str, np.ndarray]
    tested: tuple[str, ...]
    unknown: tuple[str, ...]

    def lines(self, before: Indices, after: Indices) -> list[str]:
        """Returns what it does as lines for the terminal.

        Args:
            before: the parts without it.
            after: the parts with it.
        """
        train, validation = (len(getattr(before, p)) - len(getattr(after, p)) for p in ("train", "validation"))
        lines = [f"data.exclude={self.place}: {train:,} train and {validation:,} validation images are left out"]
        if self.tested:
            lines.append(f"  {len(self.tested):,} in it are of the test part, which stays whole: {_some(self.tested)}")
        if self.unknown:
            lines.append(f"  {len(self.unknown):,} in it are not in the data: {_some(self.unknown)}")
        return lines


def read(place: str) -> list[str]:
    """Returns the names in a list: a line for each photograph, or CSV with a column such as file or id.

    Raises:
        UserError: it cannot be read, or names nothing.
    """
    flag = f"data.exclude={place}"
    try:
        text = to_text(files.read_bytes(files.to_path(place), _MOST))
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or first_line(error)
        raise UserError(f"{flag} cannot be read ({reason}): needs a list of photographs, text or CSV") from None
    cells = [column_name(cell) for cell in text.split("\n", 1)[0].split(delimiter_of(text))]
    column = next((cells.index(name) for name in FILE_COLUMNS if name in cells), None)
    if column is None:
        names = text.splitlines()
    else:
        try:
            rows = to_rows(text)[1:]
        except csv.Error as error:
            raise UserError(f"{flag} is no table ({first_line(error)}): needs CSV with a column file") from None
        names = [from_cell(row[column]) for row in rows if len(row) > column]
    found = list(dict.fromkeys(filter(None, map(_plain, names))))
    if not found:
        raise UserError(f"{flag} names no photograph: needs a name in each line, or CSV with a column file")
    return found


def find(place: str, names: Iterable[str], sets: Mapping[str, Prepared]) -> Exclusion:
    """Finds the photographs that a list names.

    A name is a path in the data, an id as tables have it, or the end of a path: folder and file, with suffix or not.

    Args:
        place: of the list.
        names: in it.
        sets: the prepared sets, by their part in the data.

    Raises:
        UserError: a name fits two photographs.
    """
    exact: dict[str, dict[tuple[str, int], str]] = {}
    loose: dict[str, dict[tuple[str, int], str]] = {}
    for part, of in sets.items():
        for row, example in enumerate(of.ids):
            path = of.found.files[row] if of.found.files else example
            for name in {_plain(path), _plain(example)}:
                exact.setdefault(name, {})[part, row] = path
                loose.setdefault(_end(name), {})[part, row] = path
    rows: dict[str, set[int]] = {part: set() for part in sets if part != "test"}
    tested, unknown = [], []
    for name in names:
        fitting = exact.get(name) or loose.get(_end(name)) or {}
        own = {at: path for at, path in fitting.items() if at[0] != "test"}
        if len(own) > 1:
            one, other = list(own.values())[:2]
            raise UserError(f"data.exclude={place} names {name!r}, which may be {one!r} or {other!r}: needs its path")
        for part, row in own:
            rows[part].add(row)
        if not own:
            (tested if fitting else unknown).append(name)
    arrays = {part: np.array(sorted(found), np.int64) for part, found in rows.items()}
    return Exclusion(place, arrays, tuple(tested), tuple(unknown))


def apply(found: Exclusion, parts: Indices, train_set: Prepared) -> Indices:
    """Returns the parts without the photographs of a list.

    Raises:
        UserError: a class keeps no train image, or there is no validation image left.
    """
    labels, train = train_set.labels, parts.train[~np.isin(parts.train, found.rows["train"])]
    for label in np.setdiff1d(labels[parts.train], labels[train]):
        raise UserError(
            f"data.exclude={found.place} names all {int((labels[parts.train] == label).sum()):,} train images of class "
            f"{train_set.class_names[label]!r}: needs to leave at least one"
        )
    validation = parts.validation
    if not parts.validation_is_from_test:
        excluded = found.rows["validation" if parts.validation_is_given else "train"]
        validation = validation[~np.isin(validation, excluded)]
        if len(parts.validation) and not len(validation):
            raise UserError(
                f"data.exclude={found.place} names all {len(parts.validation):,} validation images: needs to leave one"
            )
    return parts._replace(train=train, validation=validation)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip()).removeprefix("./")


def _end(name: str) -> str:
    """Returns the last folder and the file of a path, without suffix."""
    return without_suffix(end_of(name.replace("\\", "/"), 2))


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(map(repr, names[:_NAMED])) + more
