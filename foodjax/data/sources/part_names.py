"""Names of the parts of a data set: train, validation and test under all their usual names, in any case."""

import re
from collections.abc import Iterable

_WORDS = {
    "train": "train", "training": "train", "trainset": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "valset": "validation", "test": "test", "testing": "test", "testset": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip


def part_of(name: str) -> str:
    """Returns the part that a folder, a split or a cell names: train, validation, test, or "" for none."""
    return _WORDS.get(name.strip().lower(), "")


def parts_among(names: Iterable[str]) -> dict[str, list[str]]:
    """Returns the names that name a part, by part.

    Where none does by itself, names such as seg_train and seg_test do, which are the same but for the part.
    """
    exact: dict[str, list[str]] = {}
    groups: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for name in names:
        if part := part_of(name):
            exact.setdefault(part, []).append(name)
        words = re.findall(r"[^\W_]+", name.lower())
        if len(naming := [word for word in words if word in _WORDS]) == 1:
            rest = tuple(word for word in words if word != naming[0])
            groups.setdefault(rest, {}).setdefault(_WORDS[naming[0]], []).append(name)
    several = [group for group in groups.values() if len(group) > 1]
    return exact or (several[0] if len(several) == 1 else {})
