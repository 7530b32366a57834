"""Where encoded photographs come from: TFDS, an archive, a folder, or drawn by the program.

A source lists its examples cheaply and reads their bytes on request; nothing is decoded here.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

from foodjax.config import nearest
from foodjax.data import drawn
from foodjax.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")


class Listing(NamedTuple):
    """What a source holds: class names in label order, and the ids ("class/name") of its two official sets."""

    class_names: tuple[str, ...]
    train: list[str]
    test: list[str]


class Source(Protocol):
    """A place that photographs come from."""

    name: str

    def fingerprint(self) -> Any:
        """Returns JSON that changes when the photographs do; cheap."""
        ...

    def listing(self) -> Listing:
        """Returns classes and ids, or raises UserError."""
        ...

    def class_names(self) -> tuple[str, ...]:
        """Returns all classes in label order, without a download."""
        return self.listing().class_names

    def read(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yields (id, encoded photograph) of each id, in any order."""
        ...


def select_names(known: tuple[str, ...], num_classes: int, names: tuple[str, ...]) -> tuple[str, ...]:
    """Returns `names`, or the first `num_classes` (0: all) of the known classes.

    Raises:
        UserError: a class that does not exist, or more than there are.
    """
    for name in names:
        if name not in known:
            raise UserError(f"data.class_names has {name!r}, not among the {len(known)} classes{nearest(name, known)}")
    if num_classes > len(known) and not names:
        raise UserError(f"data.num_classes is {num_classes}: the data has {len(known)} classes")
    return tuple(names) or known[: num_classes or len(known)]


def select_classes(listing: Listing, num_classes: int, names: tuple[str, ...]) -> Listing:
    """Keeps the named classes, or the first `num_classes` (0: all).

    Raises:
        UserError: a class that does not exist, or one without images.
    """
    chosen = select_names(listing.class_names, num_classes, names)
    kept = set(chosen)
    train = [i for i in listing.train if i.split("/")[0] in kept]
    test = [i for i in listing.test if i.split("/")[0] in kept]
    if len(chosen) < 2:
        raise UserError(f"the data gives {len(chosen)} class(es): needs at least 2")
    for part, ids in (("train", train), ("test", test)):
        empty = sorted(kept - {i.split("/")[0] for i in ids})
        # One set may be missing altogether (evaluation alone); a class missing from a set is a mistake.
        if ids and empty:
            raise UserError(f"class {empty[0]!r} has no {part} images: needs at least one")
    return Listing(chosen, train, test)


def parse_meta(texts: dict[str, str], where: str) -> Listing:
    """Reads meta/classes.txt, train.json and test.json.

    Raises:
        UserError: a file is missing or does not hold {"class": ["class/name", ...]}.
    """
    parts = {}
    for part in ("train", "test"):
        name = f"meta/{part}.json"
        if name not in texts:
            raise UserError(f"{where} has no {name}: needs images/ and meta/ as Food-101 is published")
        try:
            table = json.loads(texts[name])
            parts[part] = [i for ids in table.values() for i in ids]
            if not all(isinstance(i, str) and len(PurePosixPath(i).parts) == 2 and ".." not in i for i in parts[part]):
                raise ValueError("an id is not 'class/name'")
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise UserError(f"{where}/{name} is not the JSON of a Food-101 list: {error}") from None
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


class ClassFolders(Source):
    """A folder with train/<class>/ and test/<class>/: own photographs, or Food-101 after it was moved."""

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


class DrawnSource(Source):
    """Pictures of shapes that the program draws itself."""

    name = "drawn"

    def __init__(self, num_train: int, num_test: int, seed: int):
        self.num_train, self.num_test, self.seed = num_train, num_test, seed

    def fingerprint(self) -> Any:  # noqa: D102
        return ["drawn", drawn.VERSION, self.num_train, self.num_test, self.seed]

    def listing(self) -> Listing:  # noqa: D102
        def ids(first, count):
            return [f"{name}/{k:05}" for name in drawn.CLASS_NAMES for k in range(first, first + count)]

        return Listing(drawn.CLASS_NAMES, ids(0, self.num_train), ids(self.num_train, self.num_test))

    def read(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:  # noqa: D102
        for i in ids:
            name, number = i.split("/")
            yield i, drawn.draw_png(name, int(number), self.seed)


def create_source(config: Any) -> Source:
    """Returns the source that `config.data` names.

    Raises:
        UserError: `data.dir` is no archive, no Food-101 folder and no folder of classes.
    """
    data = config.data
    if not data.dir and data.source == "drawn":
        return DrawnSource(data.drawn_train, data.drawn_test, seed=0)
    if not data.dir:
        try:
            from foodjax.data.tfds_source import TfdsSource  # only who needs TFDS and TensorFlow waits for them
        except ModuleNotFoundError as error:
            raise UserError(f"data.dir is empty and {error.name} is not installed: needs it, or data.dir") from None
        return TfdsSource(data.tfds_name, data.tfds_dir)
    path = Path(data.dir).expanduser().resolve()
    if path.is_file():
        from foodjax.data.archive import Archive

        return Archive(path)
    if (path / "meta").is_dir() or (path / "images").is_dir():
        return Food101Folder(path)
    if (path / "train").is_dir() or (path / "test").is_dir():
        return ClassFolders(path)
    what = "has neither images/ and meta/ nor train/ and test/" if path.is_dir() else "does not exist"
    raise UserError(
        f"data.dir={data.dir} {what}: needs food-101.tar.gz, an extracted food-101/, or a folder with "
        f"train/<class>/ and test/<class>/"
    )


def file_stats(paths: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Returns (path, size, time of the last change) of each file, -1 where it cannot be had."""
    rows = []
    for path in paths:
        try:
            info = os.stat(path)
            rows.append((str(path), info.st_size, info.st_mtime_ns))
        except (OSError, ValueError):  # ValueError: no name that a file can have
            rows.append((str(path), -1, -1))
    return rows


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError):
        return b""  # listed and absent: the decoder will name it
