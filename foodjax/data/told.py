"""What is printed of the files of a data set: how they were found, and which are not used."""

from collections.abc import Sequence

from foodjax.data.found import Found, group
from foodjax.data.sources.base import Unused
from foodjax.system.console import say

_LINES = 10  # on the terminal, about files that are not used


def tell(found: Found, unused: Sequence[Unused] | None = None) -> None:
    """Prints how the photographs were found, and the files that are not used, grouped by class and reason.

    Args:
        found: of one prepared set.
        unused: the files; None: those that `found` has.
    """
    for note in found.notes:
        say(note)
    unused = [*found.left_out, *found.unused] if unused is None else unused
    groups = group(unused)
    if groups:
        say(f"{len(unused):,} files are not used:")
    for part, name, reason, count, first in groups[:_LINES]:
        place = ", ".join(filter(None, (part, f"class '{name}'" if name else "")))
        say(f"  {place + ': ' if place else ''}{count:,}, {reason}; '{first}'")
    if len(groups) > _LINES:
        say(f"  and {len(groups) - _LINES} more groups")
