"""Source of shapes that the program draws, for the demo and for tests."""

from collections.abc import Iterable, Iterator
from typing import Any

from foodjax.data.sources import shapes
from foodjax.data.sources.base import Example, Listing, Source


class DrawnSource(Source):
    """A source that draws `num_train` and `num_test` pictures of each class in shapes.py."""

    name = "drawn"

    def __init__(self, num_train: int, num_test: int, seed: int):
        self.num_train, self.num_test, self.seed = num_train, num_test, seed

    def fingerprint(self) -> Any:  # noqa: D102
        return ["drawn", shapes.VERSION, self.num_train, self.num_test, self.seed]

    def listing(self) -> Listing:  # noqa: D102
        def examples(first: int, count: int) -> list[Example]:
            named = [(name, f"{name}/{k:05}") for name in shapes.CLASS_NAMES for k in range(first, first + count)]
            return [Example(example_id, name, example_id) for name, example_id in named]

        return Listing(shapes.CLASS_NAMES, examples(0, self.num_train), [], examples(self.num_train, self.num_test))

    def read(self, examples: Iterable[Example]) -> Iterator[tuple[Example, bytes]]:  # noqa: D102
        return ((e, shapes.draw_png(e.class_name, int(e.location.split("/")[1]), self.seed)) for e in examples)
