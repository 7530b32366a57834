"""Source of the first few photographs of each class of another source, to try a run out."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from foodjax.data.sources.base import PARTS, Example, Listing, Source


class FewOfEach(Source):
    """The first `count` photographs of each class in each part."""

    def __init__(self, source: Source, count: int):
        self.name, self.where, self.source, self.count = source.name, source.where, source, count

    def fingerprint(self) -> Any:  # noqa: D102
        return ["few", self.count, self.source.fingerprint()]

    def signature(self) -> str | None:  # noqa: D102
        return self.source.signature()

    def listing(self) -> Listing:  # noqa: D102
        whole = self.source.listing()
        return whole._replace(**{part: self._first(getattr(whole, part)) for part in PARTS})

    def class_names(self) -> tuple[str, ...]:  # noqa: D102
        return self.source.class_names()

    def read(self, examples: Iterable[Example]) -> Iterator[tuple[Example, bytes]]:  # noqa: D102
        return self.source.read(examples)

    def _first(self, examples: list[Example]) -> list[Example]:
        seen: Counter[str] = Counter()
        kept = []
        for example in sorted(examples, key=lambda example: example.id):
            seen[example.class_name] += 1
            if seen[example.class_name] <= self.count:
                kept.append(example)
        return kept
