"""Which axes a reshape turns into which."""

import math
from collections.abc import Sequence


def groups(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Returns which axes a reshape turns into which, in groups as small as can be; axes of length 1 are left out.

    Args:
        before: the shape.
        after: the shape that it becomes.

    Raises:
        ValueError: the shapes have no such groups, as some with an axis of length 0.

    Example:
        >>> groups((2, 3, 8), (2, 3, 1, 4, 2))
        [([0], [0]), ([1], [1]), ([2], [3, 4])]
    """
    old = [i for i, size in enumerate(before) if size != 1]
    new = [i for i, size in enumerate(after) if size != 1]
    found = []
    while old and new:
        group, parts = [old.pop(0)], [new.pop(0)]
        while (a := math.prod(before[i] for i in group)) != (b := math.prod(after[i] for i in parts)):
            shorter = (group, old) if a < b else (parts, new)
            if not shorter[1]:
                raise ValueError(f"no groups of axes: {tuple(before)} and {tuple(after)}")
            shorter[0].append(shorter[1].pop(0))
        found.append((group, parts))
    return found
