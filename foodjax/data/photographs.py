"""photographs.csv: every photograph of a data set, and what became of it."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from foodjax.data import exclude
from foodjax.data.leaks import Duplicates
from foodjax.data.prepared import Prepared
from foodjax.data.sets import Data
from foodjax.data.sources.base import Unused
from foodjax.system.cells import read_csv, to_csv

FILE = "photographs.csv"
HEADER = ("part", "class", "file", "used", "reason", "bytes", "duplicate_of")
_NOT_SPLIT = "the split leaves it out (data.protocol, data.train_per_class)"
DUPLICATE = "validation or test holds it too (data.duplicates=drop)"
_NOT_EVALUATED = "not evaluated"

# (the part that the data has a photograph in, its id) -> the photograph that it repeats, as `Duplicates.originals`.
Originals = Mapping[tuple[str, str], str]


class Photograph(NamedTuple):
    """A line of photographs.csv.

    Attributes:
        part: train, validation or test; "test and validation" where it is in both; "" if it lies in none.
        class_name: its class; "" if it has none.
        file: its path in the data.
        reason: why it is not used; "" if it is.
        size: of the file, in bytes; None if it was not read.
        duplicate_of: PART/ID of the photograph that it repeats; "" if there is none.
    """

    part: str
    class_name: str
    file: str
    reason: str
    size: int | None
    duplicate_of: str = ""


def of_data(data: Data) -> list[Photograph]:
    """Returns all photographs of an experiment's data, those that are not used last."""
    parts, found, rows, sizes = data.parts, data.duplicates, [], {}
    dropped = _dropped(found) if found else {}
    originals = {**found.originals, **{("train", i): other for i, other in dropped.items()}} if found else {}
    is_own, is_from_test = parts.validation_is_given, parts.validation_is_from_test
    for name, prepared in data.sets.items():
        roles: dict[str, Iterable[int]] = {name: getattr(parts, name)} if name != "validation" or is_own else {}
        if name == ("test" if is_from_test else "train") and not is_own:
            roles["validation"] = parts.validation
        if parts.test_is_from_train:
            roles["test"] = parts.test
        sizes |= prepared.found.broken_sizes
        of_set = _of_set(name, prepared, roles, originals, _NOT_SPLIT)
        if name == "train":
            pairs = zip(prepared.ids, of_set, strict=True)
            of_set = [p._replace(reason=DUPLICATE) if p.reason and i in dropped else p for i, p in pairs]
        for row in data.exclusion.rows.get(name, ()) if data.exclusion else ():
            of_set[row] = of_set[row]._replace(reason=exclude.REASON)
        rows += of_set
    return rows + of_unused(data.unused, sizes)


def _dropped(found: Duplicates) -> dict[str, str]:
    """Returns the ids of training photographs that were left out as duplicates -> "PART/ID" of what they repeat."""
    ids: dict[str, str] = {}
    for pair in found.pairs if found.num_dropped else ():
        if pair.part == "train" != pair.other_part:
            one, other = found.pictures(pair)
            ids.setdefault(one.id, f"{other.part}/{other.id}")
    return ids


def of_evaluation(
    test_set: Prepared, rows: Iterable[int], originals: Originals, name: str = "test"
) -> list[Photograph]:
    """Returns the photographs of an evaluation: the rows of a prepared set, and the files that are not used.

    Args:
        test_set: the prepared set.
        rows: those that are evaluated.
        originals: duplicates, of `Duplicates.originals`.
        name: of the set in the data; of a fold, train.
    """
    found = test_set.found
    others = of_unused([*found.left_out, *found.unused], found.broken_sizes)
    return _of_set(name, test_set, {"test": rows}, originals, _NOT_EVALUATED) + others


def of_unused(rows: Iterable[Unused], sizes: Mapping[str, int]) -> list[Photograph]:
    """Returns files that are not used; `sizes` has the bytes of those that were read."""
    return [Photograph(row.part, row.class_name, row.file, row.reason, sizes.get(row.file)) for row in rows]


def to_files(photographs: Sequence[Photograph]) -> dict[str, str]:
    """Returns the file as {name: content}."""
    lines = [
        (p.part, p.class_name, p.file, "no" if p.reason else "yes", p.reason, p.size, p.duplicate_of)
        for p in photographs
    ]
    return {FILE: to_csv(HEADER, lines)}


def read(folder: Path) -> list[Photograph]:
    """Reads photographs.csv of a folder; an older run has none, and gives an empty list."""
    try:
        return [
            Photograph(
                row["part"], row["class"], row["file"], row["reason"], int(row["bytes"]) if row["bytes"] else None,
                row["duplicate_of"],
            )
            for row in read_csv(folder / FILE)
        ]  # fmt: skip
    except (OSError, ValueError, KeyError, csv.Error):
        return []


def _of_set(
    name: str, prepared: Prepared, roles: Mapping[str, Iterable[int]], originals: Originals, reason: str
) -> list[Photograph]:
    """Returns the photographs of a prepared set; `reason` is that of those in none of the roles."""
    found, count = prepared.found, len(prepared.ids)
    role_of: list[list[str]] = [[] for _ in range(count)]
    for role, rows in roles.items():
        for row in np.asarray(rows, int).tolist():
            role_of[row].append(role)
    paths, sizes = found.files or prepared.ids, found.sizes or [None] * count
    photographs = []
    for row, label in enumerate(prepared.labels.tolist()):
        other = originals.get((name, prepared.ids[row]), "")
        why = "" if role_of[row] else reason
        part = " and ".join(role_of[row]) or name
        photographs.append(Photograph(part, prepared.class_names[label], paths[row], why, sizes[row], other))
    return photographs
