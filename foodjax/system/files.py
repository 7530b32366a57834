"""Places that a user gives, as paths. Atomic writes: if the process dies, a file is complete or unchanged."""

import os
from collections.abc import Mapping
from pathlib import Path

from foodjax.system.errors import UserError

PathLike = str | os.PathLike[str]  # what a user may give where a path is needed


def to_path(place: PathLike) -> Path:
    """Returns a place that a user gave as a path; `~` at its start is the user's home, as in a shell."""
    return Path(os.path.expanduser(place))


def write_text(path: Path, text: str) -> None:
    """Writes a text file as `write_bytes` does, in UTF-8."""
    write_bytes(path, _encode(text))


def write_all(folder: Path, contents: Mapping[str, str | bytes]) -> None:
    """Writes files, given as {name: content}, into a folder, and creates the folder.

    Raises:
        UserError: the folder or a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_bytes(folder / name, _encode(content) if isinstance(content, str) else content)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from None


def _encode(text: str) -> bytes:
    # Names of any bytes are escaped where a text is made (text.py, cells.py). One that is not must cost no result.
    return text.encode("utf-8", "backslashreplace")


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a temporary file in the same folder, syncs it to the disk and renames it to `path`.

    Raises:
        OSError: it cannot be written; a file that was there is unchanged.
    """
    temporary = path.with_name(f".{path.name}.tmp")  # a fixed name: the next write replaces what a kill left
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
