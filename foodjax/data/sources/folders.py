"""Source of photographs in folders: train/<class>/ and test/<class>/."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from foodjax.data.sources.base import IMAGE_SUFFIXES, Listing, Source, _read_bytes, file_stats
from foodjax.system.errors import UserError


class ClassFolders(Source):
    """A folder with train/<class>/ and test/<class>/: your own photographs, or Food-101 sorted like that."""

    def __init__(self, root: Path):
        self.name, self.root = root.name, root

    def listing(self) -> Listing:  # noqa: D102
        parts = {}
        names: set[str] = set()
        for part in ("train", "test"):
            parts[part] = []
            folders = sorted(p for p in (self.root / part).glob("*") if p.is_dir())
            for folder in folders:
                files = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in IMAGE_SUFFIXES]
                if not files:
                    raise UserError(
                        f"class folder {folder} has no images: needs at least one ({' '.join(IMAGE_SUFFIXES)})"
                    )
                names.add(folder.name)
                parts[part] += [f"{folder.name}/{p.name}" for p in files]
        return Listing(tuple(sorted(names)), parts["train"], parts["test"])

    def fingerprint(self) -> Any:  # noqa: D102
        listing = self.listing()
        return [
            file_stats(self.root / part / i for i in ids)
            for part, ids in (("train", listing.train), ("test", listing.test))
        ]

    def read(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:  # noqa: D102
        for i in ids:
            path = self.root / "train" / i
            yield i, _read_bytes(path if path.exists() else self.root / "test" / i)
