"""Maps in threads and in order."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import Any


def ordered_map(pool: Executor, function: Callable, items: Iterable, ahead: int = 64) -> Iterator[Any]:
    """Maps in threads and in order; reads at most `ahead` items in advance, as an archive may not fit in memory."""
    items = iter(items)
    waiting = [pool.submit(function, item) for item in itertools.islice(items, ahead)]
    while waiting:
        yield waiting.pop(0).result()
        waiting += [pool.submit(function, item) for item in itertools.islice(items, 1)]
