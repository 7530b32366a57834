"""Small files that are either whole or as they were, whenever the process dies."""

import os
from collections.abc import Mapping
from pathlib import Path

from foodjax.system.errors import UserError


def write_text(path: Path, text: str) -> None:
    """Writes a text as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_all(folder: Path, contents: Mapping[str, str | bytes]) -> None:
    """Writes texts and bytes by their names into a folder, which it makes.

    Raises:
        UserError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_bytes(folder / name, content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from None


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file beside its place and puts it there when it is whole and on the disk.

    Raises:
        OSError: it cannot be written; what was there before is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp")  # one name: what a kill leaves is overwritten the next time
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
