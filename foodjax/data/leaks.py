"""The duplicates of an experiment's data, within and between its parts: searched once, told, and left out of train.

The search compares whole prepared sets. Its result is a small file beside them in the cache, named by their checksums,
so it holds for every split of these sets and a second start reads it.
"""

import contextlib
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock

from foodjax.config.keys import Config
from foodjax.data.cache import cache_root
from foodjax.data.duplicate_groups import rows_to_drop
from foodjax.data.duplicates import Pair, Part, find_duplicates
from foodjax.data.prepared import Prepared
from foodjax.data.split import Indices, first_of_each
from foodjax.system import files
from foodjax.system.errors import UserError

VERSION = 1  # of the search and of the file; another one searches again
WHERE = ("between parts", "across classes", "within a class")  # the worst first
_LINES = 5  # pairs named on the terminal
_MANY = 5_000  # photographs whose search takes so long that it is told


class Picture(NamedTuple):
    """A photograph of a pair: its part, id and class, and its pixels, uint8 (H, H, 3)."""

    part: str
    id: str
    class_name: str
    pixels: np.ndarray

    def __str__(self) -> str:
        return f"{self.id!r} of {self.part}"


class Duplicates(NamedTuple):
    """The duplicates among the photographs that an experiment uses.

    Attributes:
        pairs: by the parts of the split, the worst first; rows are those of `sets`.
        sets: part of the split -> the prepared set that its rows are of.
        num_dropped: how many photographs were left out of train; their pairs are among `pairs`.
        originals: (part as the data has it, id) -> "PART/ID" of the first photograph that it duplicates.
    """

    pairs: tuple[Pair, ...]
    sets: dict[str, Prepared]
    num_dropped: int = 0
    originals: Mapping[tuple[str, str], str] = {}

    def __str__(self) -> str:
        """Returns the counts in a few words."""
        if not self.pairs:
            return "no duplicates"
        kinds, places = Counter(p.kind for p in self.pairs), Counter(p.where for p in self.pairs)
        text = f"{kinds['exact']:,} exact, {kinds['near']:,} near duplicates: "
        text += ", ".join(f"{places[where]:,} {where}" for where in reversed(WHERE))
        return text + (f"; {self.num_dropped:,} left out of train" if self.num_dropped else "")

    def pictures(self, pair: Pair) -> tuple[Picture, Picture]:
        """Returns the two photographs of a pair."""
        return self._picture(pair.part, pair.row), self._picture(pair.other_part, pair.other_row)

    def _picture(self, part: str, row: int) -> Picture:
        of = self.sets[part]
        return Picture(part, of.ids[row], of.class_names[of.labels[row]], of.images[row])

    def num_leaks(self, part: str = "test") -> int:
        """Returns how many photographs of a part are in another part too."""
        return len(rows_to_drop(self.pairs, part))

    def lines(self) -> list[str]:
        """Returns the first pairs and what to do about them, as lines for the terminal."""
        if not self.pairs:
            return []
        lines = ["photographs that the data has twice:"]
        for pair in self.pairs[:_LINES]:
            one, other = self.pictures(pair)
            lines.append(f"  {one} and {other}: {pair.kind}, {pair.where}")
        if len(self.pairs) > _LINES:
            lines.append(f"  and {len(self.pairs) - _LINES:,} more pairs: foodjax inspect shows them")
        if self.num_dropped:
            lines.append(f"{self.num_dropped:,} photographs that validation or test holds too are left out of train")
        elif len(rows_to_drop(self.pairs)):
            lines.append("data.duplicates=drop leaves those that validation or test holds out of train")
        return lines


def is_exempt(config: Config) -> bool:
    """Returns whether the photographs are shapes that the program draws: these are not searched for duplicates."""
    return config.data.source == "drawn" and not config.data.dir and not config.data.labels


def search(sets: Mapping[str, Prepared], config: Config) -> list[Pair]:
    """Finds the duplicates in and between prepared sets, or reads what an earlier search of the same sets found.

    Args:
        sets: by their part in the data, in the order in which a group's first one is chosen.
        config: the experiment; names the cache, where the result is kept if the sets have checksums.
    """
    parts = {name: Part(of.images, of.labels) for name, of in sets.items()}
    if not all(of.checksum for of in sets.values()):
        return find_duplicates(parts)
    key = json.dumps([VERSION, [(name, of.checksum) for name, of in sets.items()]])
    path = cache_root(config) / f"duplicates-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    if (found := _read(path)) is not None:
        return found
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # of a cache that cannot be written
            stack.enter_context(FileLock(path.with_name(f".{path.name}.lock")))  # waits for one who searches the same
        if (found := _read(path)) is not None:
            return found
        if (total := sum(len(of.images) for of in sets.values())) >= _MANY:
            print(f"searching {total:,} photographs for duplicates, once", flush=True)
        found = find_duplicates(parts)
        text = json.dumps(found)
        with contextlib.suppress(OSError):
            files.write_text(path, json.dumps({"checksum": _checksum(text), "pairs": text}))
    return found


def _read(path: Path) -> list[Pair] | None:
    try:
        stored = files.read_json(path, math.inf)
        if stored["checksum"] != _checksum(stored["pairs"]):
            return None
        return [Pair(*row) for row in json.loads(stored["pairs"])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # not there, or damaged: searched again


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def rows_of(parts: Indices) -> dict[str, tuple[str, np.ndarray]]:
    """Returns part of the split -> (the set, its rows). The tutorial's validation images are test images: no part."""
    chosen = {"train": ("train", parts.train)}
    if not parts.validation_is_from_test:
        chosen["validation"] = ("validation" if parts.validation_is_given else "train", parts.validation)
    return chosen | {"test": ("train" if parts.test_is_from_train else "test", parts.test)}


def apply(
    config: Config, parts: Indices, sets: Mapping[str, Prepared], pairs: Sequence[Pair]
) -> tuple[Indices, Duplicates]:
    """Leaves out of train what `config.data` says, and returns the duplicates of the photographs that are used.

    Args:
        config: the experiment; reads data.duplicates and data.train_per_class.
        parts: of the split; only `train` changes.
        sets: train, validation (where it is given) and test.
        pairs: of `search` in these sets.

    Raises:
        UserError: a class loses all its training images.
    """
    data, labels = config.data, sets["train"].labels

    def limited(rows: np.ndarray) -> np.ndarray:
        return first_of_each(rows, labels, data.train_per_class) if data.train_per_class else rows

    whole = limited(parts.train)
    dropped = rows_to_drop(among(pairs, rows_of(parts), sets)) if data.duplicates == "drop" else np.zeros(0, np.int64)
    kept = parts.train[~np.isin(parts.train, dropped)]
    for label in np.setdiff1d(labels[parts.train], labels[kept]):
        raise UserError(
            f"class {sets['train'].class_names[label]!r} has no train images: validation or test holds all "
            f"{int((labels[parts.train] == label).sum()):,} of them too, and data.duplicates=drop leaves these out: "
            f"needs at least one, or data.duplicates=tell"
        )
    # What is left out is told with the rest, and with what takes its place under train_per_class.
    shown = among(pairs, rows_of(parts._replace(train=np.union1d(whole, limited(kept)))), sets)
    of_parts = {name: sets[of] for name, (of, _) in rows_of(parts).items()}
    found = Duplicates(shown, of_parts, int(np.isin(whole, dropped).sum()), originals(pairs, sets))
    return parts._replace(train=limited(kept)), found


def among(
    pairs: Iterable[Pair], chosen: Mapping[str, tuple[str, np.ndarray]], sets: Mapping[str, Prepared]
) -> tuple[Pair, ...]:
    """Returns the pairs among some rows, by other names of parts; the worst first.

    A picture that is not chosen connects those that it is a duplicate of: the first of them takes its place.

    Args:
        pairs: of `search`.
        chosen: name -> (the set, its rows); the rows of two names are distinct.
        sets: by the names that `pairs` has.
    """
    name_of = {(of, int(row)): name for name, (of, rows) in chosen.items() for row in rows}
    order = {name: k for k, name in enumerate(chosen)}
    links: dict[tuple[str, int], dict[tuple[str, int], bool]] = {}  # place -> place -> whether exact

    def link(a: tuple[str, int], b: tuple[str, int], exact: bool) -> None:
        if a != b:
            links.setdefault(a, {})[b] = links.setdefault(b, {})[a] = exact or links.get(a, {}).get(b, False)

    for pair in pairs:
        link((pair.part, pair.row), (pair.other_part, pair.other_row), pair.kind == "exact")
    for place in [place for place in links if place not in name_of]:
        around = links.pop(place)
        for other in around:
            del links[other][place]
        # The chosen ones first, and among them those that are exact.
        ordered = sorted(around, key=lambda other: (other not in name_of, not around[other], other))
        for other in ordered[1:]:
            link(ordered[0], other, around[ordered[0]] and around[other])
    found = []
    for a, around in links.items():
        for b, exact in around.items():
            (part, row), (other_part, other_row) = sorted(
                [(name_of[a], a[1]), (name_of[b], b[1])], key=lambda at: (order[at[0]], at[1])
            )
            if (name_of[a], a[1]) == (part, row):
                labels = [int(sets[of].labels[r]) for of, r in (a, b)]
                where = WHERE[0] if part != other_part else WHERE[2] if labels[0] == labels[1] else WHERE[1]
                found.append(Pair(part, row, other_part, other_row, "exact" if exact else "near", where))
    return tuple(sorted(found, key=lambda p: (WHERE.index(p.where), p.kind, order[p.part], p.row, p[2:4])))


def originals(pairs: Sequence[Pair], sets: Mapping[str, Prepared]) -> dict[tuple[str, str], str]:
    """Returns (part, id) -> "PART/ID" of the first photograph that it duplicates.

    Args:
        pairs: of `search`.
        sets: by the names that `pairs` has.
    """
    found: dict[tuple[str, str], str] = {}
    for pair in pairs:
        place = pair.other_part, sets[pair.other_part].ids[pair.other_row]
        found.setdefault(place, f"{pair.part}/{sets[pair.part].ids[pair.row]}")
    return found
