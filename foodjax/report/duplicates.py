"""Pairs of duplicate photographs for a page."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from foodjax.data.duplicates import Pair
from foodjax.data.leaks import WHERE, Duplicates
from foodjax.data.originals import Originals
from foodjax.report import pictures

_PAIRS = 24  # on a page
_OF_EACH = 6  # between parts, across classes and within a class, at least
_SIDE = 160  # of each photograph, pixels


def choose(pairs: Sequence[Pair]) -> list[Pair]:
    """Returns the pairs that a page shows, in their order: the first ones, and some of each place if there are any."""
    wanted: dict[Pair, None] = {}
    for where in WHERE:
        wanted |= dict.fromkeys([pair for pair in pairs if pair.where == where][:_OF_EACH])
    wanted |= dict.fromkeys(pairs)
    kept = set(list(wanted)[:_PAIRS])
    return [pair for pair in pairs if pair in kept]


def _text(name: str) -> str:
    """Returns a name as a page can hold it: bytes that are not UTF-8 are written as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def section(found: Duplicates | None, originals: Originals) -> dict[str, Any] | None:
    """Returns what duplicates.html.j2 shows, or None where the photographs were not searched.

    Args:
        found: the duplicates, the worst first; a part of the pairs is shown.
        originals: reads the photographs; those that it cannot read are shown as they were prepared.
    """
    if found is None:
        return None
    chosen = choose(found.pairs)
    rows: dict[str, list[int]] = {}
    for pair in chosen:
        rows.setdefault(pair.part, []).append(pair.row)
        rows.setdefault(pair.other_part, []).append(pair.other_row)
    read = {part: originals.read(found.sets[part], of_part, _SIDE) for part, of_part in rows.items()}

    def uri(part: str, row: int, pixels: np.ndarray) -> str:
        original = read[part].get(row)
        prepared = pictures.enlarge(pixels, _SIDE) if original is None else original
        return pictures.photo_uri(prepared)

    def photos(pair: Pair) -> list[tuple[str, str, str, str]]:
        places = ((pair.part, pair.row), (pair.other_part, pair.other_row))
        return [
            (uri(*place, one.pixels), one.part, _text(one.class_name), _text(one.id))
            for place, one in zip(places, found.pictures(pair), strict=True)
        ]

    return {
        "counts": str(found),
        "num_pairs": len(found.pairs),
        "leaks": found.num_leaks(),
        "pairs": [
            {"number": number, "kind": pair.kind, "where": pair.where, "photos": photos(pair)}
            for number, pair in enumerate(chosen, start=1)
        ],
    }
