"""Source of the first few photographs of each class of another source, to try a run out."""

from collections.abc import Iterable, Iterator
from typing import Any

from foodjax.data.sources.base import Listing, Source


class FewOfEach(Source):
    """The first `count` photographs of each class in each part."""

    def __init__(self, source: Source, count: int):
        self.name, self.source, self.count = source.name, source, count

    def fingerprint(self) -> Any:  # noqa: D102
        return ["few", self.count, self.source.fingerprint()]

    def listing(self) -> Listing:  # noqa: D102
        whole = self.source.listing()
        return whole._replace(train=self._first(whole.train), test=self._first(whole.test))

    def class_names(self) -> tuple[str, ...]:  # noqa: D102
        return self.source.class_names()

    def read(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:  # noqa: D102
        return self.source.read(ids)

    def _first(self, ids: list[str]) -> list[str]:
        seen: dict[str, int] = {}
        kept = []
        for i in sorted(ids):
            name = i.split("/")[0]
            seen[name] = seen.get(name, 0) + 1
            if seen[name] <= self.count:
                kept.append(i)
        return kept
