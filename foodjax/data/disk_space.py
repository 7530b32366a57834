"""The space of a prepared set: claimed before the first picture is decoded, so that a full disk is told at once."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np

from foodjax.system.errors import UserError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disk, quota and the process's limit of a file's size


def create_array(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """Creates an array of uint8 in a file and claims its space on the disk.

    Without that the file would have holes, and writing to a mapped hole of a full disk kills the process.

    Args:
        path: of the new .npy file.
        shape: of the array, without a 0.

    Raises:
        UserError: there is no room for it.
        OSError: the file cannot be written for another reason.
    """
    needed = int(np.prod(shape, dtype=np.int64))
    try:
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        claim(path)
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise no_room(path.parent.parent, needed, error) from None
        raise
    return array


def no_room(folder: Path, needed: int, error: OSError) -> UserError:
    """Returns the error for a disk without room for prepared pictures.

    Args:
        folder: where they go.
        needed: bytes of the pictures.
        error: what the system says.
    """
    try:
        free = f"{show_size(shutil.disk_usage(folder).free)} are free"
    except OSError:
        free = "it is not known how much is free"
    return UserError(
        f"the prepared pictures need {show_size(needed)} in {folder}, where {free} ({error.strerror}): make room, or "
        f"set data.cache_dir to a folder on a larger disk"
    )


def is_full(error: OSError) -> bool:
    """Returns whether an error of the system says that there is no room."""
    return error.errno in _NO_SPACE


def claim(path: Path) -> None:
    """Claims the blocks of a file, as far as its length goes.

    Raises:
        OSError: there is no room for them.
    """
    with path.open("r+b") as file:
        length = os.fstat(file.fileno()).st_size
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), 0, length)
                return
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                    raise
        if shutil.disk_usage(path.parent).free < length:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def show_size(number: int) -> str:
    """Returns a number of bytes with its unit, such as 3.5 MB."""
    value, unit = float(number), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if unit != "bytes" else f"{number} bytes"
