"""Checks that the processes of a run, on several machines, see the same folders."""

import contextlib
import os
import time
import uuid
from pathlib import Path

from foodjax.system import hosts
from foodjax.system.errors import UserError

_SECONDS = 30.0  # that a shared file system may take to show a new file


def check_shared(folder: Path, what: str, advice: str) -> None:
    """Checks that every process sees the same folder; it may not exist yet, and then the one above it counts.

    Args:
        folder: of the run.
        what: names it in the message.
        advice: what is needed.

    Raises:
        UserError: in every process, where one sees another folder, or it cannot be written.
    """
    if hosts.count() == 1:
        return
    seen = sees_all(folder)
    if not all(seen):
        others = ", ".join(str(process) for process, one in enumerate(seen) if not one)
        raise UserError(f"{what} {folder.absolute()} of process 0 is not there in process {others}: needs {advice}")


def sees_all(folder: Path, seconds: float = _SECONDS) -> list[bool]:
    """Returns for each process whether it sees a file that the first one writes into a folder, or above it.

    Args:
        folder: as this process names it.
        seconds: that it waits for the file.

    Raises:
        UserError: the first process cannot write the file.
    """
    mine: list[Path] = []

    def write() -> list[str]:
        place, below = folder.absolute(), []
        while not place.is_dir():
            below.append(place.name)
            place = place.parent
        mine.append(place / f".hosts-{uuid.uuid4().hex}.tmp")
        try:
            mine[0].write_text("")
        except OSError as error:
            raise UserError(f"cannot write to {place}: {error.strerror}") from None
        return [mine[0].name, *below]

    name, *below = hosts.by_first(write)
    place = folder.absolute().parents[len(below) - 1] if below else folder.absolute()
    deadline = time.monotonic() + (0 if hosts.is_first() else seconds)
    while not (found := (place / name).exists()) and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            os.listdir(place)  # asks the server again
        time.sleep(0.5)
    try:
        return hosts.gathered(found)
    finally:
        for path in mine:
            path.unlink(missing_ok=True)
        hosts.wait()  # nobody finds the file and wonders
