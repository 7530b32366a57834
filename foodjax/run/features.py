"""The cache of features: what a frozen network computed for the photographs of a prepared set, kept in its folder.

The features of one network and one set are one file, features-HASH.f32. Its name is a hash of everything that they
depend on. It contains the numbers, little-endian float32, row by row, and after them a line of JSON: what they depend
on, their shape and their checksum. It is written under a temporary name and renamed when complete. It goes with its
set: who deletes that, or damages it so that it is prepared again, leaves no features of it behind.
"""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from foodjax.data.disk_space import claim, show_size
from foodjax.system import files
from foodjax.system.console import say
from foodjax.system.errors import first_line

VERSION = 1  # of the file; another one computes the features again
_DTYPE = np.dtype("<f4")


def load_or_compute(
    folder: Path, key: dict[str, Any], num_rows: int, dim: int, compute: Callable[[], np.ndarray]
) -> np.ndarray:
    """Returns the features of a prepared set, from the cache if they are there.

    A file that is damaged is told and computed again. Where the cache cannot be written or has no room, a line says so
    and the features are computed for this time. A process that computes the same features is waited for.

    Args:
        folder: of the prepared set in the cache.
        key: everything that the features depend on, as JSON has it: the digest of the weights, the network's name, the
            side of the pictures and how they are shown, the type of the numbers, the prepared set's checksum.
        num_rows: number of photographs, N.
        dim: number of features, D.
        compute: returns the features (N, D); any floats, kept as float32.

    Returns:
        float32 (N, D), read-only.

    Raises:
        ValueError: `compute` returns another shape.
        TypeError: the key has something that JSON has not.
    """
    about = {"version": VERSION, "key": key, "shape": [num_rows, dim]}
    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"features-{name}.f32"
    features, problem = _read(path, about)
    if features is not None:
        return features
    if problem:
        say(f"the features {path} are damaged ({problem}): computing them again")
    with contextlib.ExitStack() as stack:
        temporary = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Waits for a process that computes the same features.
            stack.enter_context(FileLock(path.with_name(f".{path.name}.lock")))
            features, _ = _read(path, about)
            if features is not None:
                return features
            temporary = stack.enter_context(_new_file(path, num_rows * dim * _DTYPE.itemsize))
        except OSError as error:
            _tell_not_kept(path, num_rows * dim, error)
        features = np.ascontiguousarray(compute(), _DTYPE)
        if features.shape != (num_rows, dim):
            raise ValueError(f"the features are {features.shape}: needs {(num_rows, dim)}")
        if temporary is not None:
            try:
                _write(temporary, features, about)
                temporary.replace(path)
            except OSError as error:
                _tell_not_kept(path, num_rows * dim, error)
    features = features.view()
    features.flags.writeable = False  # as when they are read
    return features


@contextlib.contextmanager
def _new_file(path: Path, num_bytes: int):
    """Yields a temporary file for `path` whose space on the disk is claimed; removes it at the end if it is there."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)  # left by a process that was killed
    try:
        with files.open_at(temporary, os.O_CREAT | os.O_EXCL) as file:
            file.truncate(num_bytes)
        claim(temporary)
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write(path: Path, features: np.ndarray, about: dict[str, Any]) -> None:
    numbers = features.reshape(-1).view(np.uint8).data
    with files.open_at(path, 0) as file:
        file.write(numbers)
        file.write(_end(about, numbers))
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path, about: dict[str, Any]) -> tuple[np.ndarray | None, str]:
    """Returns the features of a file, or None and what is wrong with it; "" where there is no file."""
    size = math.prod(about["shape"]) * _DTYPE.itemsize
    try:
        content = memoryview(files.read_bytes(path, size + len(_end(about, b""))))
        if content[size:] != _end(about, content[:size]):
            raise ValueError("its checksum is wrong")
    except (FileNotFoundError, NotADirectoryError):
        return None, ""
    except (OSError, ValueError) as error:
        return None, first_line(error)
    return np.frombuffer(content[:size], _DTYPE).reshape(about["shape"]), ""


def _end(about: dict[str, Any], numbers: bytes | memoryview) -> bytes:
    """Returns the last line of a file. It is compared as a whole, so nothing of a file is interpreted."""
    return json.dumps(about | {"sha256": hashlib.sha256(numbers).hexdigest()}, sort_keys=True).encode() + b"\n"


def _tell_not_kept(path: Path, count: int, error: OSError) -> None:
    size = show_size(count * _DTYPE.itemsize)
    say(f"the features ({size}) are not kept in {path.parent} ({error.strerror or first_line(error)})")
