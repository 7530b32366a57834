"""Source of shapes that the program draws, for the demo and for tests."""

from collections.abc import Iterable, Iterator
from typing import Any

from foodjax.data.sources import shapes
from foodjax.data.sources.base import Listing, Source


class DrawnSource(Source):
    """A source that draws `num_train` and `num_test` pictures of each class in shapes.py."""

    name = "drawn"

    def __init__(self, num_train: int, num_test: int, seed: int):
        self.num_train, self.num_test, self.seed = num_train, num_test, seed

    def fingerprint(self) -> Any:  # noqa: D102
        return ["drawn", shapes.VERSION, self.num_train, self.num_test, self.seed]

    def listing(self) -> Listing:  # noqa: D102
        def ids(first, count):
            return [f"{name}/{k:05}" for name in shapes.CLASS_NAMES for k in range(first, first + count)]

        return Listing(shapes.CLASS_NAMES, ids(0, self.num_train), ids(self.num_train, self.num_test))

    def read(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:  # noqa: D102
        for i in ids:
            name, number = i.split("/")
            yield i, shapes.draw_png(name, int(number), self.seed)
