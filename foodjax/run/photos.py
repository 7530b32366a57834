"""Finds the photographs that a user names: files, and the pictures in folders."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from foodjax.data.sources.base import IMAGE_SUFFIXES
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike, to_path


def _many(places: PathLike | Iterable[PathLike]) -> Iterable[PathLike]:
    return [places] if isinstance(places, str | os.PathLike) else places


def _pictures_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())


def each_photo(places: PathLike | Iterable[PathLike], leave_out: Callable[[Path, str], None]) -> Iterator[Path]:
    """Yields the files among `places`, and the pictures in the folders among them.

    Args:
        places: files and folders, one or many; a file need not exist.
        leave_out: called with each folder that holds no picture, and with that problem.
    """
    for path in map(to_path, _many(places)):
        found = _pictures_in(path) if path.is_dir() else [path]
        if not found:
            leave_out(path, "no picture in this folder")
        yield from found


def find_photos(places: PathLike | Iterable[PathLike]) -> list[Path]:
    """Returns the files among `places`, and the pictures in the folders among them, each once.

    Raises:
        UserError: a place that does not exist, or no picture at all.
    """
    found: dict[Path, None] = {}
    places = list(_many(places))
    for place in places:
        path = to_path(place)
        if path.is_dir():
            found |= dict.fromkeys(_pictures_in(path))
        elif path.exists():
            found[path] = None
        else:
            raise UserError(f"--images {place} does not exist: needs photographs or folders of them")
    if not found:
        given = ",".join(map(str, places))
        raise UserError(f"--images {given} holds no picture: needs files such as {' '.join(IMAGE_SUFFIXES)}")
    return list(found)
