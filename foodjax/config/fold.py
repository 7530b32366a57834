"""A fold of cross-validation as text, 2/5 for the second of five: the value of `data.fold`."""

import re
from typing import NamedTuple

MOST = 1000  # folds; a config may come from a stranger
NEEDS = f"K/N, the fold K of N, from 1/2 to {MOST}/{MOST}, such as 2/5, or nothing"


class Fold(NamedTuple):
    """A fold: its number, from 1, and how many there are."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse(text: str) -> Fold | None:
    """Returns the fold that a text names; None for "", which is no fold.

    Raises:
        ValueError: it names none.

    Example:
        >>> parse("2/5")
        Fold(number=2, count=5)
    """
    if not text:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]) <= MOST or int(found[2]) < 2:
        raise ValueError(f"{text!r}: needs {NEEDS}")
    return Fold(int(found[1]), int(found[2]))


def is_fold(text: str) -> bool:
    """Returns whether a text names a fold, or none: ""."""
    try:
        parse(text)
    except ValueError:
        return False
    return True
