"""Reads a table of labels (CSV): a column of files, one of labels, perhaps one of parts.

Columns are known by the names that people give them. Files are named by their paths, by their last names, or without
suffix, as in Kaggle's train.csv.
"""

import csv
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from foodjax.data.formats import is_picture, why_unused
from foodjax.data.sources import refuse
from foodjax.data.sources.base import Example, Unused
from foodjax.data.sources.locate import WHOLE, Located
from foodjax.data.sources.part_names import part_of
from foodjax.data.sources.tables import FILE_COLUMNS, column_name, end_of, to_rows, to_text, without_suffix
from foodjax.data.sources.tree import MAX_DEPTH, Folder
from foodjax.system.errors import UserError, first_line

# In the order of preference; as `column_name` has them.
_LABEL = (
    "label", "labels", "class", "classname", "classes", "category", "categoryname", "target", "species", "breed",
    "tag", "y", "labelname", "classid", "labelid", "categoryid",
)  # fmt: skip
_SPLIT = ("split", "part", "set", "subset", "partition", "dataset", "usage")


class _Columns(NamedTuple):
    """Numbers of the columns; `split` and `group` are -1 where there is none. `first` is the first row of data."""

    file: int
    label: int
    split: int
    first: int
    group: int = -1


class _Files:
    """The pictures of a tree, found by what a table calls them.

    A table may have been written on another machine, where the photographs lay in other folders. If no path of the
    table fits one of the tree beyond the last name, last names alone decide; if one does, a path without its file
    means that the file is missing, not that one of the same name in another folder is meant.
    """

    def __init__(self, root: Folder):
        self.problems = {f.inside(name): problem for f in root.walk() for name, problem in f.files.items()}
        self._exact: dict[str, str] = {}
        self._names: dict[str, list[str]] = {}  # by 0.png and bars/0.png
        self._stems: dict[str, list[str]] = {}  # by 0 and bars/0
        self._folders_fit = False
        for path in self.problems:
            if is_picture(path.rsplit("/", 1)[-1]):
                plain = _plain(path)
                self._exact[plain] = path
                for end in {end_of(plain, 1), end_of(plain, 2)}:
                    self._names.setdefault(end, []).append(path)
                    self._stems.setdefault(without_suffix(end), []).append(path)

    def learn(self, names: Iterable[str]) -> bool:
        """Takes all names of a table; returns whether its paths fit no folder here, so that last names decide."""
        paths = [plain for name in names if "/" in (plain := _plain(name))]
        self._folders_fit = any(path in self._exact or self._ending(end_of(path, 2)) for path in paths)
        return bool(paths) and not self._folders_fit

    def _ending(self, end: str) -> list[str]:
        return self._names.get(end) or self._stems.get(end) or []

    def find(self, called: str, hints: tuple[str, ...] = ()) -> list[str]:
        """Returns the paths that `called` may mean: the best ones, more than one where it is ambiguous.

        Args:
            called: a path, whole or from any folder on, or a name, with or without suffix.
            hints: parts and names of folders to choose by.
        """
        called = _plain(called)
        if called in self._exact:
            return [self._exact[called]]
        found = self._ending(end_of(called, 2))
        if not found and not self._folders_fit:
            found = self._ending(end_of(called, 1))
        for count in range(min(called.count("/") + 1, MAX_DEPTH), 2, -1):  # as much of the path as fits
            end = end_of(called, count)
            if fitting := [path for path in found if end in (end_of(_plain(path), count), end_of(_bare(path), count))]:
                return fitting
        if len(found) > 1 and hints:  # train.csv means train/0.jpg, not test/0.jpg
            parts = [p for p in found if any(word in hints or part_of(word) in hints for word in p.split("/")[:-1])]
            found = parts or found
        return found


def _plain(path: str) -> str:
    path = unicodedata.normalize("NFC", path.strip().replace("\\", "/"))
    return path[2:] if path.startswith("./") else path


def _bare(path: str) -> str:
    return without_suffix(_plain(path))


def read_labels(content: bytes, name: str, root: Folder, where: str, group: str = "") -> Located:
    """Finds the photographs that a table names.

    Args:
        content: of the table.
        name: of the table, for messages; train.csv prefers files in a folder train/.
        root: the tree of the photographs.
        where: its path.
        group: name of the column of groups; "" for none.

    Raises:
        UserError: the table lacks a column, names no file that is there, or contradicts itself.
    """
    for folder in root.walk():
        if folder.problem:  # another file of the same name might be taken for one in it
            raise refuse.unreadable(folder, where)
    rows, files = _rows(content, name), _Files(root)
    columns = _columns(rows, name, files, group)
    by_last_name = files.learn(row[columns.file] for row in rows[columns.first :] if len(row) > columns.file)
    found, taken = Located({}, [], []), {}
    stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    for number, row in enumerate(rows[columns.first :], start=columns.first + 1):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) <= max(columns.file, columns.label, columns.split, columns.group):
            needs = f"a file, a label and a {group}" if group else "a file and a label"
            raise UserError(f"{name}: row {number} has {len(row)} cells: needs {needs} in each row")
        called, label = row[columns.file].strip(), row[columns.label].strip()
        part = _part(row[columns.split], name, number) if columns.split >= 0 else WHOLE
        paths = files.find(called, (part,) if part else (stem, part_of(stem)) if part_of(stem) else (stem,))
        if len(paths) > 1:
            raise UserError(
                f"{name}: row {number} names {called!r}, which may be {paths[0]!r} or {paths[1]!r}: needs its path"
            )
        path = paths[0] if paths else called
        reason = (files.problems[path] or why_unused(path)) if paths else f"named in {name}, but not there"
        if not label:
            reason = f"has no label in {name}"
        of = row[columns.group].strip() if columns.group >= 0 else ""
        if taken.setdefault(path, (label, part, of)) != (label, part, of):
            was, now = taken[path], (label, part, of)
            raise UserError(
                f"{name}: {called!r} is {_words(was)} and, in row {number}, {_words(now)}: needs one of them"
            )
        if reason:
            found.unused.append(Unused(part, label, path, reason))
        else:
            found.parts.setdefault(part, []).append(Example(path, label, path, of))
    unique = {part: list(dict.fromkeys(examples)) for part, examples in found.parts.items()}
    if not unique:
        example = found.unused[0] if found.unused else None
        said = f"; {example.file!r}: {example.reason}" if example else ""
        raise UserError(
            f"{name} names no picture that can be used in {where}{said}: needs paths from {where}, or data.labels='' "
            f"where folders are the classes"
        )
    beside = [p for p in files.problems if p not in taken and is_picture(p)]
    unused = [*dict.fromkeys(found.unused), *(Unused("", "", p, f"not in {name}") for p in beside)]
    notes = [f"labels from {name}: {sum(map(len, unique.values())):,} photographs"]
    if by_last_name:
        notes.append(f"the folders in {name} are not those of {where}: files are found by their last names")
    return Located(unique, notes, unused)


def _words(said: tuple[str, str, str]) -> str:
    label, part, group = said
    return repr(label) + (f" of {part}" if part else "") + (f" in the group {group!r}" if group else "")


def _rows(content: bytes, name: str) -> list[list[str]]:
    try:
        rows = to_rows(to_text(content))
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{name} is not a table ({first_line(error)}): needs CSV with the columns file,label") from None
    if not rows:
        raise UserError(f"{name} is empty: needs the columns file,label")
    return rows


def _columns(rows: list[list[str]], name: str, files: _Files, group: str) -> _Columns:
    of_groups = _group_column(rows[0], name, group) if group else -1
    head = [column_name(cell) for cell in rows[0]]

    def finds(column: int) -> bool:
        return any(len(row) > column and files.find(row[column]) for row in rows[1:50])

    of_files = sorted(
        (k for k, cell in enumerate(head) if cell in FILE_COLUMNS), key=lambda k: FILE_COLUMNS.index(head[k])
    )
    file = next(filter(finds, of_files), of_files[0] if of_files else -1)
    split = next((k for k, cell in enumerate(head) if cell in _SPLIT), -1)
    of_labels = sorted((k for k, cell in enumerate(head) if cell in _LABEL), key=lambda k: _LABEL.index(head[k]))
    others = [k for k, cell in enumerate(head) if cell and k not in (file, split, of_groups)]
    label = of_labels[0] if of_labels else others[0] if len(others) == 1 and file >= 0 else -1
    if file >= 0 and label >= 0:
        return _Columns(file, label, split, 1, of_groups)
    if not of_labels and not of_files and len(rows[0]) in (2, 3) and files.find(rows[0][0]):  # no line of names
        return _Columns(0, 1, 2 if len(rows[0]) == 3 else -1, 0)
    missing = "file" if file < 0 else "label"
    raise UserError(f"{name} has the columns {', '.join(map(repr, rows[0][:8]))}: needs one named {missing!r}")


def _group_column(head: list[str], name: str, group: str) -> int:
    """Returns the number of the column of groups, by its name as it is, or in lower case."""
    cells = [cell.strip() for cell in head]
    for known, wanted in ((cells, group), ([cell.lower() for cell in cells], group.lower())):
        if wanted in known:
            return known.index(wanted)
    raise UserError(f"data.group is {group!r}, but {name} has the columns {', '.join(map(repr, cells[:8]))}: needs one")


def _part(cell: str, name: str, number: int) -> str:
    part = part_of(cell) if cell.strip() else "train"
    if not part:
        raise UserError(f"{name}: row {number} has the part {cell!r}: needs train, validation or test")
    return part
