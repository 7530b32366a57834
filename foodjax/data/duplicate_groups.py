"""Groups of duplicates: photographs that pairs of duplicates connect, of all parts of a data set."""

from collections.abc import Sequence

import numpy as np

from foodjax.data.duplicates import Pair, components


def rows_to_drop(pairs: Sequence[Pair], train: str = "train") -> np.ndarray:
    """Returns the rows of the training part whose picture another part holds.

    Duplicates of duplicates count: where a training picture is a duplicate of a second one and that one is a duplicate
    of a test picture, both are left out.

    Args:
        pairs: of `find_duplicates`.
        train: the name of the part that gives way.

    Returns:
        int64, sorted, each row once.
    """
    found = _group_of(pairs)
    held = {group for (part, _), group in found.items() if part != train}
    return np.array([row for (part, row), group in found.items() if part == train and group in held], np.int64)


def group_numbers(pairs: Sequence[Pair], part: str, rows: np.ndarray) -> np.ndarray:
    """Returns the group of each photograph of a part; one without a duplicate is a group of its own.

    Args:
        pairs: of `find_duplicates`, or those of `leaks.Duplicates`.
        part: the name that `pairs` has for it.
        rows: of the part, int (N,).

    Returns:
        int64 (N,), equal within a group alone.
    """
    return groups_of(pairs, [(part, row) for row in np.asarray(rows).tolist()])


def groups_of(pairs: Sequence[Pair], places: Sequence[tuple[str, int]]) -> np.ndarray:
    """Returns the group of each photograph of several parts; one without a duplicate is a group of its own.

    Duplicates of duplicates are in one group, also where a photograph that is not asked for connects them.

    Args:
        pairs: of `find_duplicates`, or those of `leaks.Duplicates`.
        places: part, as `pairs` names it, and row of each of N photographs.

    Returns:
        int64 (N,), equal within a group alone.
    """
    found = _group_of(pairs)
    own = 1 + max(found.values(), default=-1)
    return np.array([found.get(place, own + i) for i, place in enumerate(places)], np.int64)


def joined(groups: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the groups that two ways to group the same N photographs make together.

    Photographs that either puts together are in one group, and so is what a chain of such photographs connects.

    Args:
        groups: int (N,), equal within a group.
        others: int (N,), the same of the other way.

    Returns:
        int64 (N,), numbered in the order of their first photographs.
    """
    links = []
    for one in (groups, others):
        first: dict[int, int] = {}
        links += [(first.setdefault(number, k), k) for k, number in enumerate(np.asarray(one).tolist())]
    found, number = components(links, len(groups)).tolist(), {}
    return np.array([number.setdefault(group, len(number)) for group in found], np.int64)


def _group_of(pairs: Sequence[Pair]) -> dict[tuple[str, int], int]:
    """Returns (part, row) -> the number of its group, sorted, of all photographs in pairs."""
    places = sorted({place for p in pairs for place in ((p.part, p.row), (p.other_part, p.other_row))})
    number = {place: i for i, place in enumerate(places)}
    links = [(number[p.part, p.row], number[p.other_part, p.other_row]) for p in pairs]
    return dict(zip(places, components(links, len(places)).tolist(), strict=True))
