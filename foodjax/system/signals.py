"""Ctrl-C and SIGTERM as a wish that the loop reads between steps.

A KeyboardInterrupt would be raised wherever Python happens to be, and is lost when that is a finalizer.
"""

import os
import signal
import threading
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """A signal asked the run to end; everything it wants to keep is saved.

    Attributes:
        signum: SIGINT or SIGTERM.
    """

    def __init__(self, signum: int):
        super().__init__(signum)
        self.signum = signum


def end_at_once(*, sigterm_status: int) -> None:
    """Makes both signals end the process with one line, for as long as nothing is to be saved.

    Args:
        sigterm_status: exit status after SIGTERM: 0 where the same command continues, as a scheduler that preempts
            wants it, 143 where a result would be missing. After Ctrl-C it is 130, as shells expect.
    """

    def end(signum: int, frame: FrameType | None) -> None:
        os.write(1, b"interrupted; the same command continues\n")  # print() may be what was interrupted
        os._exit(sigterm_status if signum == signal.SIGTERM else 128 + signal.SIGINT)

    for signum in _SIGNALS:
        signal.signal(signum, end)


class Interrupt:
    """Context manager: inside, the first signal is remembered and a second one acts at once, as by default.

    At the end the handlers are those of before. Outside the main thread, where Python sets none, it does nothing.
    """

    def __enter__(self) -> "Interrupt":
        self._signum: int | None = None
        is_main = threading.current_thread() is threading.main_thread()
        # None: a handler that was not set from Python, and could not be put back from here.
        free = [signum for signum in _SIGNALS if is_main and signal.getsignal(signum) is not None]
        self._before = {signum: signal.signal(signum, self._remember) for signum in free}
        return self

    def __exit__(self, *error: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def check(self) -> None:
        """Raises Interrupted if a signal has come."""
        if self._signum is not None:
            raise Interrupted(self._signum)

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        self._signum = signum
        for known in self._before:
            signal.signal(known, signal.SIG_DFL)
