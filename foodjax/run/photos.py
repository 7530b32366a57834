"""Finds the photographs that a user names: files, and the pictures in folders."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from foodjax.data.formats import SUFFIXES, is_picture, why_unused
from foodjax.data.sources.tree import scan
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike, to_path

LeaveOut = Callable[[Path, str], None]


def _many(places: PathLike | Iterable[PathLike]) -> Iterable[PathLike]:
    return [places] if isinstance(places, str | os.PathLike) else places


def _pictures_in(folder: Path, leave_out: LeaveOut) -> list[Path]:
    """Returns the pictures at any depth; `leave_out` gets those that cannot be opened, each with its problem."""
    found = []
    for inner in scan(str(folder)).walk():
        if inner.problem:
            leave_out(folder / inner.path, inner.problem)
        for name, problem in inner.files.items():
            if not (problem or why_unused(name)):
                found.append(folder / inner.path / name)
            elif is_picture(name):
                leave_out(folder / inner.path / name, problem or why_unused(name))
    return sorted(found)


def each_photo(places: PathLike | Iterable[PathLike], leave_out: LeaveOut) -> Iterator[Path]:
    """Yields the files among `places`, and the pictures in the folders among them.

    Args:
        places: files and folders, one or many; a file need not exist.
        leave_out: called with each folder that holds no picture, and each picture in a folder that cannot be opened,
            and with the problem.
    """
    for path in map(to_path, _many(places)):
        found = _pictures_in(path, leave_out) if path.is_dir() else [path]
        if not found:
            leave_out(path, "no picture in this folder")
        yield from found


def find_photos(places: PathLike | Iterable[PathLike], bad: dict[Path, str] | None = None) -> list[Path]:
    """Returns the files among `places`, and the pictures in the folders among them, each once.

    Args:
        places: photographs and folders, one or many.
        bad: gets the problem of each picture in a folder that cannot be opened.

    Raises:
        UserError: a place that does not exist or cannot be listed, or no picture at all.
    """
    found: dict[Path, None] = {}
    problems: dict[Path, str] = {} if bad is None else bad
    places = list(_many(places))
    for place in places:
        path = to_path(place)
        if path.is_dir():
            found |= dict.fromkeys(_pictures_in(path, problems.__setitem__))
        elif path.is_file():
            found[path] = None
        else:
            what = "is neither a file nor a folder" if path.exists() else "does not exist"
            raise UserError(f"--images {place} {what}: needs photographs or folders of them")
    if not found:
        given = ",".join(map(str, places))
        first = next((f"; {path}: {problem}" for path, problem in problems.items()), "")
        raise UserError(f"--images {given} holds no picture{first}: needs files such as {' '.join(SUFFIXES[:8])}")
    return list(found)
