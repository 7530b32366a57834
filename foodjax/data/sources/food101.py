"""Source of an extracted food-101/ in the layout of the official archive."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from foodjax.data.sources.base import Listing, Source, _read_bytes, file_stats
from foodjax.system.errors import UserError


def parse_meta(texts: dict[str, str], where: str) -> Listing:
    """Returns the listing of meta/classes.txt, train.json and test.json.

    Raises:
        UserError: a file is missing or does not contain {"class": ["class/name", ...]}.
    """
    parts = {}
    for part in ("train", "test"):
        name = f"meta/{part}.json"
        if name not in texts:
            raise UserError(f"{where} has no {name}: needs images/ and meta/ as in the published Food-101")
        try:
            table = json.loads(texts[name])
            parts[part] = [i for ids in table.values() for i in ids]
            if not all(isinstance(i, str) and len(PurePosixPath(i).parts) == 2 and ".." not in i for i in parts[part]):
                raise ValueError("an id is not 'class/name'")
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise UserError(
                f'{where}/{name} is not the JSON of a Food-101 list ({error}): needs {{"class": ["class/name", ...]}}'
            ) from None
    if "meta/classes.txt" in texts:
        names = tuple(line.strip() for line in texts["meta/classes.txt"].splitlines() if line.strip())
    else:
        names = tuple(sorted({i.split("/")[0] for ids in parts.values() for i in ids}))
    return Listing(names, parts["train"], parts["test"])


class Food101Folder(Source):
    """An extracted food-101/ with images/ and meta/."""

    def __init__(self, root: Path):
        self.name, self.root = root.name, root

    def listing(self) -> Listing:  # noqa: D102
        texts = {}
        for path in sorted((self.root / "meta").glob("*")):
            if path.suffix in (".json", ".txt"):
                try:
                    texts[f"meta/{path.name}"] = path.read_text()
                except (OSError, UnicodeDecodeError) as error:
                    raise UserError(f"cannot read {path}: {error}") from None
        return parse_meta(texts, str(self.root))

    def fingerprint(self) -> Any:  # noqa: D102
        listing = self.listing()
        return [listing.class_names, file_stats(self._path(i) for i in listing.train + listing.test)]

    def read(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:  # noqa: D102
        return ((i, _read_bytes(self._path(i))) for i in ids)

    def _path(self, example_id: str) -> Path:
        return self.root / "images" / f"{example_id}.jpg"
