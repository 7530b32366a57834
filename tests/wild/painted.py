"""Pictures of one colour each, which says the part, the class and the number that they were written for."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from experiments import demo
from foodjax.config.check import checked
from foodjax.data.sets import Data, load_data
from foodjax.data.sources.base import PARTS, Listing
from foodjax.data.sources.find import create_source, select_classes

CLASSES = ("bars", "cross", "ring")
COUNTS = {"train": 6, "test": 4}
_CODES = {"train": 40, "test": 120, "validation": 200, "all": 240}


def colour(part: str, name: str, k: int) -> tuple[int, int, int]:
    """Returns the colour of picture k of a class in a part."""
    return _CODES[part], 10 * sum(map(ord, name)) % 256, k


def paint(path: Path, rgb: tuple[int, int, int], **options) -> Path:
    """Writes a picture of one colour and creates its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 5), rgb).save(path, **options)
    return path


def folders(root: Path, parts: Mapping[str, str] | None = None, classes=CLASSES, counts=COUNTS) -> Path:
    """Writes FOLDER/CLASS/K.png; `parts` says which part each FOLDER is, the names themselves without it."""
    for folder, part in (parts or {part: part for part in counts}).items():
        for name in classes:
            for k in range(counts.get(part, 5)):
                paint(root / folder / name / f"{k}.png", colour(part, name, k))
    return root


def config_of(place: Path, cache: Path, **changes):
    """Returns a small experiment on the photographs of a place, checked."""
    config = demo.get_config()
    config.data.update(dir=str(place), cache_dir=str(cache), num_classes=0, image_size=2, batch_size=2)
    config.data.update({"validation_fraction": 0.4} | changes)
    return checked(config)


def listing(place: Path, *, everything: bool = False, **changes) -> Listing:
    """Returns the listing of a place, with all its classes."""
    source = create_source(config_of(place, place, **changes), everything=everything)
    return select_classes(source.listing(), 0, ())


def counts(found: Listing) -> dict[str, dict[str, int]]:
    """Returns part -> class -> number of examples; parts without examples are left out."""
    result: dict[str, dict[str, int]] = {}
    for part in PARTS:
        for example in getattr(found, part):
            of_part = result.setdefault(part, {})
            of_part[example.class_name] = of_part.get(example.class_name, 0) + 1
    return result


def load(place: Path, cache: Path, **changes) -> Data:
    """Prepares the photographs of a place."""
    return load_data(config_of(place, cache, **changes))


def seen(prepared, rows=None) -> set[tuple[str, tuple[int, ...]]]:
    """Returns (class, colour) of the pictures of a prepared set, as their pixels say."""
    rows = range(len(prepared.ids)) if rows is None else rows
    for row in rows:
        assert (np.asarray(prepared.images[row]) == prepared.images[row][0, 0]).all()
    return {(prepared.class_names[prepared.labels[r]], tuple(prepared.images[r][0, 0].tolist())) for r in rows}


def written(*parts: str, classes=CLASSES, counts=COUNTS) -> set[tuple[str, tuple[int, ...]]]:
    """Returns (class, colour) of the pictures that `folders` wrote for these parts."""
    return {(n, colour(p, n, k)) for p in parts for n in classes for k in range(counts.get(p, 5))}
