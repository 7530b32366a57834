"""Places that a user gives, as paths. Atomic writes: if the process dies, a file is complete or unchanged."""

import contextlib
import errno
import functools
import json
import math
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from foodjax.system.errors import UserError

PathLike = str | os.PathLike[str]  # what a user may give where a path is needed
MAX_JSON = 2**24  # bytes; as objects it takes up to thirty times as much


def to_path(place: PathLike) -> Path:
    """Returns a place that a user gave as a path; `~` at its start is the user's home, as in a shell.

    Raises:
        UserError: it begins with ~/, and the user has no home.
    """
    path = os.path.expanduser(place)
    if path == "~" or path.startswith("~/"):
        raise UserError(f"{os.fspath(place)} is in a home that is not known: needs HOME set, or a path without ~")
    return Path(path)


def is_home_known() -> bool:
    """Returns whether ~ is a place: HOME is set, or the user has an account. Libraries make a folder "~" otherwise."""
    return os.path.expanduser("~") != "~"


def user_cache() -> Path:
    """Returns foodjax/ in the user's cache folder; without a home, a folder of the user's own among temporary files."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if os.path.isabs(root):
        return Path(root) / "foodjax"
    # JAX loads compiled programs from it, so a folder that somebody else made under this name is not used.
    folder = Path(tempfile.gettempdir()) / f"foodjax-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
        return _private_folder()
    return folder


@functools.cache
def _private_folder() -> Path:
    """Returns a new folder, always the same one in this process."""
    return Path(tempfile.mkdtemp(prefix="foodjax-"))


def read_bytes(path: PathLike, most: float = math.inf) -> bytes:
    """Returns the content of a regular file of at most `most` bytes; a pipe or a device, which may never end, is none.

    Raises:
        OSError: it cannot be read, or is no regular file.
        ValueError: it is larger.
    """
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe without a writer does not wait
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
        if status.st_size > most:
            raise ValueError(f"{os.fspath(path)} has {status.st_size:,} bytes: needs at most {most:,}")
        with open(number, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(number)


def read_text(path: PathLike, errors: str = "strict", most: float = math.inf) -> str:
    """Returns a text file in UTF-8, read as `read_bytes` does; `errors` is for bytes that are none, as in bytes.decode.

    Raises:
        OSError: it cannot be read, or is no regular file.
        ValueError: it is larger, or no UTF-8.
    """
    return read_bytes(path, most).decode("utf-8", errors)


def read_json(path: PathLike, most: float = MAX_JSON) -> Any:
    """Returns what a JSON file holds.

    Raises:
        OSError: it cannot be read, or is no regular file.
        ValueError: it is larger than `most` bytes, or no JSON.
    """
    try:
        return json.loads(read_bytes(path, most))
    except RecursionError:
        raise ValueError(f"{os.fspath(path)} is nested too deeply") from None


def write_text(path: Path, text: str) -> None:
    """Writes a text file as `write_bytes` does, in UTF-8."""
    write_bytes(path, _encode(text))


def append_text(path: Path, text: str) -> None:
    """Adds a text to the end of a file, in UTF-8; follows no link.

    Raises:
        OSError: it cannot be written.
    """
    with open_at(path, os.O_CREAT | os.O_APPEND) as file:
        file.write(_encode(text))


def open_at(path: Path, flags: int) -> BinaryIO:
    """Opens a file to write to it, with flags of os.open; of a link it raises OSError."""
    return os.fdopen(os.open(path, os.O_WRONLY | flags | getattr(os, "O_NOFOLLOW", 0), 0o666), "wb")


def refuse_links(folder: Path) -> None:
    """Checks that no link in a workdir, which anyone may have made, leads out of it.

    The workdir itself may be a link, and links to files in it are allowed.

    Raises:
        UserError: a link at any depth leads out of the folder.
    """
    root = os.path.realpath(folder)
    for place, folders, names in os.walk(root):
        for path in (os.path.join(place, name) for name in (*folders, *names)):
            if os.path.islink(path):
                target = os.path.realpath(path)
                if os.path.commonpath([root, target]) != root:
                    raise UserError(
                        f"{path} is a link to {target}, which is not in {folder}: nothing is written there: needs a "
                        f"folder without such links"
                    )


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
    """Writes a temporary file in the same folder, syncs it to the disk and renames it to `path`; follows no link.

    Raises:
        OSError: it cannot be written; a file that was there is unchanged.
    """
    temporary = path.with_name(f".{path.name}.tmp")  # a fixed name: the next write replaces what a kill left
    temporary.unlink(missing_ok=True)
    with open_at(temporary, os.O_CREAT | os.O_EXCL) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
