"""Source whose train part is the train and the validation part of another source: the photographs of its folds."""

from collections.abc import Iterable, Iterator
from typing import Any

from foodjax.data.sources.base import Example, Listing, Source


class Joined(Source):
    """The photographs of another source, those of train and validation in one part, train.

    The ids begin with the part, since two parts may have one name. The test part stays.
    """

    def __init__(self, source: Source):
        self.name, self.where, self.source = source.name, source.where, source

    def fingerprint(self) -> Any:  # noqa: D102
        return ["joined", self.source.fingerprint()]

    def signature(self) -> str | None:  # noqa: D102
        return self.source.signature()

    def for_everything(self) -> Source:  # noqa: D102
        return self.source.for_everything()

    def listing(self) -> Listing:  # noqa: D102
        if self.listed is None:
            whole = self.source.listing()
            parts = {"train": whole.train, "validation": whole.validation}
            both = [e._replace(id=f"{part}/{e.id}") for part, examples in parts.items() for e in examples]
            note = f"folds: of train and validation together, {len(both):,} photographs"
            self.listed = whole._replace(train=both, validation=[], notes=(*whole.notes, note))
        return self.listed

    def class_names(self) -> tuple[str, ...]:  # noqa: D102
        return self.source.class_names()

    def read(self, examples: Iterable[Example]) -> Iterator[tuple[Example, bytes]]:  # noqa: D102
        return self.source.read(examples)


def of_folds(source: Source) -> Source:
    """Returns the source of the photographs of folds: the same one where it has no validation part."""
    return Joined(source) if source.listing().validation else source
