"""What a run records of its photographs: data.json, with the digest of each, and digests of each part in run.json.

Runs of older versions have run.json alone, with digests of ids and prepared pixels in the order of the ids.
"""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from foodjax.data import identity
from foodjax.data.identity import Photograph
from foodjax.data.prepared import Prepared
from foodjax.data.sets import Data
from foodjax.data.sources.base import PARTS
from foodjax.system import files
from foodjax.workdir import run_record

FILE = "data.json"
UNUSED = "unused"  # photographs of the train set that are in no part of the run
EXCLUDED = "excluded"  # those that data.exclude names; they are among the unused ones, or of the validation set


class Recorded(NamedTuple):
    """The photographs of a run.

    Attributes:
        digests: part -> what `run_record.digests` returned; without "content" in runs of older versions.
        photographs: part, or UNUSED -> its photographs, in the run's order; empty in runs of older versions.
        is_whole: whether these are all photographs of the data.
        excluded: those that data.exclude names.
    """

    digests: dict[str, dict[str, Any]]
    photographs: dict[str, list[Photograph]] = {}
    is_whole: bool = False
    excluded: tuple[Photograph, ...] = ()


def sets_of(data: Data) -> dict[str, tuple[Prepared, np.ndarray]]:
    """Returns part -> (prepared set, rows)."""
    sets = {"train": data.train, "validation": data.validation, "test": data.test}
    return {part: (prepared, getattr(data.parts, part)) for part, prepared in sets.items()}


def all_of(data: Data) -> dict[str, tuple[Prepared, np.ndarray]]:
    """Returns what `sets_of` does, and UNUSED."""
    sets = sets_of(data)
    used = [rows for prepared, rows in sets.values() if prepared is data.train]
    return sets | {UNUSED: (data.train, np.setdiff1d(np.arange(len(data.train.ids)), np.concatenate(used)))}


def excluded(data: Data) -> list[Photograph]:
    """Returns the photographs that data.exclude names, of the train set and of the data's own validation set."""
    sets, rows = {"train": data.train, "validation": data.own_validation}, data.exclusion.rows if data.exclusion else {}
    return [one for part, of in sets.items() if of and part in rows for one in identity.photographs(of, rows[part])]


def _columns(photographs: list[Photograph]) -> dict[str, Any]:
    columns = list(zip(*photographs, strict=True)) or [()] * len(Photograph._fields)
    return dict(zip(Photograph._fields, columns, strict=True))


def write(workdir: Path, data: Data) -> None:
    """Writes data.json, unless it is there with this content.

    Raises:
        OSError: it cannot be written.
    """
    found: dict[str, Any] = {}
    for part, (prepared, rows) in all_of(data).items():
        found[part] = _columns(identity.photographs(prepared, rows))
    num_known = sum(len(found[part]["id"]) for group in groups(data) for part in group)
    if data.exclusion:
        num_known += len(data.exclusion.rows.get("validation", ()))
        found[EXCLUDED] = _columns(excluded(data))
    counts = data.train.found.counts
    # The test part of the data is none of a fold's run.
    of_run = (n for part, n in counts.items() if part != "test") if data.parts.test_is_from_train else counts.values()
    found["is_whole"] = num_known == sum(of_run)
    text, path = json.dumps(found) + "\n", workdir / FILE
    if not path.exists() or files.read_text(path) != text:
        files.write_text(path, text)


def read(workdir: files.PathLike) -> Recorded | None:
    """Returns what a run recorded of its photographs; None where it recorded nothing, or its files are damaged."""
    workdir = files.to_path(workdir)
    sessions = [session.get("data") for session in run_record.read(workdir)["sessions"] if isinstance(session, dict)]
    last: dict[str, dict[str, Any]] = next((one for one in reversed(sessions) if are_digests(one)), {})
    try:
        stored = files.read_json(workdir / FILE, math.inf)
        found = {part: _photographs(stored[part]) for part in (*PARTS, UNUSED)}
        own = {part: {"images": len(found[part]), "content": identity.content(found[part])} for part in PARTS}
        whole = stored["is_whole"] is True
        left_out = tuple(_photographs(stored[EXCLUDED])) if EXCLUDED in stored else ()
    except (OSError, ValueError, KeyError, TypeError):
        return Recorded(last) if last else None
    # A start that ended between the two files leaves digests of other photographs in run.json: they count for nothing.
    if last and all(last[part].get("content") == own[part]["content"] for part in PARTS):
        own = last
    return Recorded(own, found, whole, left_out)


def _photographs(stored: Any) -> list[Photograph]:
    rows = [Photograph(*row) for row in zip(*(stored[name] for name in Photograph._fields), strict=True)]
    if not all(isinstance(value, str) for row in rows for value in row):
        raise TypeError("the id, class or digest of a photograph is no text")
    return rows


def are_digests(found: Any) -> TypeGuard[dict[str, dict[str, Any]]]:
    """Returns whether a value of run.json has the digests of all parts."""
    try:
        return all(
            type(found[part][name]) is kind
            for part in PARTS
            for name, kind in (("images", int), ("ids", str), ("pixels", str))
        )
    except (KeyError, TypeError):
        return False


def is_same(known: dict[str, Any], prepared: Prepared, rows: np.ndarray) -> bool:
    """Returns whether rows of a prepared set are the photographs of a part.

    They are if the files are the same, or the names, and the pixels that the network gets.

    Args:
        known: digests of the part.
        prepared: the set.
        rows: of it.
    """
    if known["images"] != len(rows):
        return False
    if known.get("content") == identity.content(identity.photographs(prepared, rows)):
        return True
    if "pixels" not in known:
        return False
    now = run_record.digests(prepared, rows)
    return all(known[name] == now[name] for name in ("ids", "pixels"))


def as_recorded(recorded: Recorded, data: Data) -> Data | None:
    """Returns the data with the run's own parts and order, whatever the names of the files are now.

    None: these are not the photographs of the run.
    """
    if recorded.photographs and not same_excluded(recorded, data):
        return None
    if recorded.photographs and (found := _by_content(recorded.photographs, data)):
        return found
    same = all(is_same(recorded.digests[part], *of) for part, of in sets_of(data).items())
    return data if same else None


def same_excluded(recorded: Recorded, data: Data) -> bool:
    """Returns whether data.exclude names the photographs that it named then, whatever the list is called."""
    return Counter(map(_key, recorded.excluded)) == Counter(map(_key, excluded(data)))


def _by_content(then: dict[str, list[Photograph]], data: Data) -> Data | None:
    from_test, rows = data.parts.validation_is_from_test, {}
    for parts in groups(data):
        now = [pair for part in parts for pair in _with_rows(*all_of(data)[part])]
        if Counter(_key(one) for part in parts for one in then[part]) != Counter(_key(one) for one, _ in now):
            return None
        for taken in (parts, ("validation",)) if from_test and parts == ("test",) else (parts,):
            places: dict[tuple[str, str], list[int]] = {}
            for one, row in reversed(now):
                places.setdefault(_key(one), []).append(row)
            for part in taken:
                if not all(_key(one) in places for one in then[part]):
                    return None
                rows[part] = np.array([places[_key(one)].pop() for one in then[part]], np.int64)
    return data._replace(parts=data.parts._replace(**{part: rows[part] for part in PARTS}))


def groups(data: Data) -> list[tuple[str, ...]]:
    """Returns the parts that the data itself has; a group is a part and what is held out of it by the names alone."""
    if data.parts.test_is_from_train:
        return [("train", "validation", "test", UNUSED)]
    if data.parts.validation_is_from_test:
        return [("train", UNUSED), ("test",)]
    if data.parts.validation_is_given:
        return [("train", UNUSED), ("validation",), ("test",)]
    return [("train", "validation", UNUSED), ("test",)]


def _with_rows(prepared: Prepared, rows: np.ndarray) -> list[tuple[Photograph, int]]:
    return list(zip(identity.photographs(prepared, rows), rows.tolist(), strict=True))


def _key(one: Photograph) -> tuple[str, str]:
    return one.class_name, one.digest
