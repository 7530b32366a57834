"""Ends a process with a line and a status when another one of its run has ended or died.

Otherwise it would wait for ever for the other one's part of a step. A process that ends says so; one that dies is known
by its beat, which stops.
"""

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from foodjax.system import hosts
from foodjax.system.console import say

DEAD = 20.0  # seconds without a beat
_GONE = 10.0  # seconds that the first process waits for the others: the service ends with it
DIED = 1  # status of those that another one's death ends


class End(NamedTuple):
    """The end of a process before the others.

    Attributes:
        process: its number.
        status: its exit status.
        line: what it says.
    """

    process: int
    status: int
    line: str


class Watch:
    """Beats for this process and watches the others. At the end of one the process ends, from a thread.

    Attributes:
        names: host and process id of each process, by its number.
    """

    def __init__(self, names: list[str]):
        """Begins to beat.

        Args:
            names: host and process id of each process, by its number.
        """
        self.names = names
        self._number, self._lock, self._is_ending = 0, threading.Lock(), False
        now = time.monotonic()
        self._beats = {process: ("", now) for process in range(len(names))}  # process -> (its last beat, since when)
        self._answered = now
        self._stop = hosts.every(self._beat)
        self._alarm = threading.Event()
        threading.Thread(target=self._watch_service, name="watch", daemon=True).start()

    def close(self) -> None:
        """Ends the watch, before the processes leave each other."""
        self._stop()
        self._alarm.set()

    def fail(self, tell: Callable[[], int], line: str) -> None:
        """Ends this process, after the others know of it.

        Args:
            tell: prints why, and returns the exit status, of all processes.
            line: why, for the others.
        """
        if not self._take():
            self.wait_for_end()  # the end of another one came first
        status = tell()
        self._set_end(status, f"has ended ({line})")
        self._exit(status, ended=hosts.index())

    def announce(self, status: int) -> None:
        """Lets the others know of a signal that ends this process at once.

        Args:
            status: exit status, of all processes.
        """
        if self._take():
            self._set_end(status, "was interrupted")

    def _set_end(self, status: int, line: str) -> None:
        with contextlib.suppress(Exception):
            hosts.set_value(f"end/{hosts.index()}", json.dumps({"status": status, "line": line}))

    def wait_for_end(self) -> None:
        """Waits until the watch has found out who has died, after an error that this may explain; it ends the process.

        Returns if nobody has.
        """
        deadline = time.monotonic() + DEAD + 3
        while time.monotonic() < deadline and not self._is_ending:
            time.sleep(0.2)
        while self._is_ending:
            time.sleep(1)

    def _take(self) -> bool:
        """Returns whether this thread is the one that ends the process."""
        with self._lock:
            taken, self._is_ending = not self._is_ending, True
        return taken

    def _beat(self) -> None:
        try:
            self._number += 1
            hosts.set_value(f"beat/{hosts.index()}", str(self._number))
            beats, ends = hosts.values_in("beat"), hosts.values_in("end")
        except Exception:
            return  # `_watch_service` counts the seconds
        now = self._answered = time.monotonic()
        for process, text in ends.items():
            if int(process) != hosts.index():
                self._end(End(int(process), **json.loads(text)))
        for process, (last, since) in self._beats.items():
            beat = beats.get(str(process), "")
            if beat != last:
                self._beats[process] = (beat, now)
            elif process != hosts.index() and now - since > DEAD:
                self._end(End(process, DIED, f"has died: no sign of it for {DEAD:.0f} s"))

    def _watch_service(self) -> None:
        while not self._alarm.wait(1):
            if time.monotonic() - self._answered > DEAD:
                self._end(End(0, DIED, f"cannot be reached for {DEAD:.0f} s"))

    def _end(self, end: End) -> None:
        if self._take():
            name = f"process {end.process} of {len(self.names)} ({self.names[end.process]})"
            more = "" if end.status == 0 else "; the same command continues"
            with contextlib.suppress(Exception):
                say(f"{hosts.name()}: {name} {end.line}{more}", file=sys.stderr, flush=True)
            self._exit(end.status, ended=end.process)

    def _exit(self, status: int, ended: int) -> None:
        with contextlib.suppress(Exception):
            hosts.set_value(f"left/{hosts.index()}", "")
            deadline = time.monotonic() + _GONE
            others = {str(process) for process in range(len(self.names)) if process not in (ended, hosts.index())}
            while hosts.is_first() and time.monotonic() < deadline and not others <= set(hosts.values_in("left")):
                time.sleep(0.1)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(status)
