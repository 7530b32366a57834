"""Locks on a folder that processes of several machines share.

filelock alone decides between the processes of one machine, and the system releases it when one dies. Some shared file
systems keep the locks of each machine apart. So the owner also writes a file, OWNER beside the lock, with its machine,
its process and a beat that rises. One that rises is alive, wherever it is; no clocks are compared.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock

from foodjax.system import files

BEAT = 5.0  # seconds between two beats
DEAD = 30.0  # seconds without a beat of an owner on another machine
_AGAIN = 0.2  # seconds between two attempts
_seen: dict[Path, tuple[dict[str, Any], float]] = {}  # lock -> its owner on another machine, and since when
_TURN = 1.0  # seconds in which two machines that take a folder at once see each other


class Owner:
    """A lock on a folder, held or not.

    Attributes:
        path: of the file of filelock.
    """

    def __init__(self, path: Path):
        """Locks nothing yet.

        Args:
            path: of the file of filelock; the owner's file is PATH.owner.
        """
        self.path, self._file = path, path.with_name(path.name + ".owner")
        self._lock, self._own = filelock.FileLock(path), uuid.uuid4().hex
        self._stop, self._thread = threading.Event(), None

    def acquire(self, wait: float = DEAD + 1, poll: float = 0.5) -> str:
        """Takes the lock; returns "", or else the owner that has it: "HOST (pid 1)".

        Args:
            wait: seconds to watch the beat of an owner on another machine. It is dead once this process has seen the
                same beat for DEAD seconds, in this call or since an earlier one; until then it lives.
            poll: seconds between two looks.

        Raises:
            OSError: the folder cannot be written.
        """
        try:
            self._lock.acquire(blocking=False)
        except filelock.Timeout:
            return _name(self._read()) or "another process"
        try:
            living = self._take_over(wait, poll)
        except BaseException:
            self._lock.release()
            raise
        if living:
            self._lock.release()
            return living
        self._thread = threading.Thread(target=self._beat, name="owner", daemon=True)
        self._thread.start()
        return ""

    def release(self) -> None:
        """Gives the lock back, if it is held."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None
            if self.is_own():
                self._file.unlink(missing_ok=True)
        self._lock.release()

    def is_own(self) -> bool:
        """Returns whether the owner's file is still the one that this lock wrote."""
        return (self._read() or {}).get("token") == self._own

    def _take_over(self, wait: float, poll: float) -> str:
        """Writes the owner's file; returns the name of an owner on another machine that lives, else ""."""
        found, begin = self._read(), time.monotonic()
        # Of this machine the system has released its lock, so it is dead.
        while found is not None and found["machine"] != machine():
            known, since = _seen.get(self.path, (None, 0.0))
            if known is not None and known != found and known["token"] == found["token"]:
                _seen[self.path] = found, time.monotonic()
                return _name(found)  # its beat has risen
            if known != found:
                _seen[self.path] = found, time.monotonic()
            elif time.monotonic() - since > DEAD:
                break
            if time.monotonic() - begin >= wait:
                return _name(found)
            time.sleep(poll)
            found = self._read()
        is_shared = found is not None and found["machine"] != machine()
        self._write(0)
        if is_shared:
            time.sleep(_TURN)  # another machine may have found the same dead owner
        now = self._read()
        return "" if now is None or now["token"] == self._own else _name(now)

    def _read(self) -> dict[str, Any] | None:
        try:
            found = files.read_json(self._file)
            return {key: found[key] for key in ("host", "pid", "machine", "token", "beat")}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, beat: int) -> None:
        own = {"host": socket.gethostname(), "pid": os.getpid(), "machine": machine(), "token": self._own, "beat": beat}
        files.write_text(self._file, json.dumps(own) + "\n")

    def _beat(self) -> None:
        beat = 0
        while not self._stop.wait(BEAT):
            beat += 1
            with contextlib.suppress(OSError):  # a full disk ends the run elsewhere
                if self.is_own():
                    self._write(beat)


@contextlib.contextmanager
def owned(path: Path) -> Iterator[None]:
    """Context manager that holds a lock; waits for whoever has it.

    Args:
        path: of the file of filelock.

    Raises:
        OSError: the folder cannot be written.
    """
    owner = Owner(path)
    while owner.acquire():
        time.sleep(_AGAIN)
    try:
        yield
    finally:
        owner.release()


def machine() -> str:
    """Returns what one machine has, and no other, until it starts again."""
    try:
        return files.read_text("/proc/sys/kernel/random/boot_id").strip()
    except OSError:
        return f"{socket.gethostname()}-{uuid.getnode():x}"


def _name(owner: dict[str, Any] | None) -> str:
    return f"{owner['host']} (pid {owner['pid']})" if owner else ""
