"""Signal handling: Ctrl-C and SIGTERM are remembered, and the loop checks for them between steps.

A KeyboardInterrupt would be raised at any line of the program, and is lost if that line is in a finalizer.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SIGTERM = signal.SIGTERM
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """A signal asked the run to end; the run saves its state before it ends.

    Attributes:
        signum: SIGINT or SIGTERM.
    """

    def __init__(self, signum: int):
        super().__init__(signum)
        self.signum = signum


def end_at_once(*, sigterm_status: int, line: str) -> None:
    """Makes both signals end the process at once with one line; for the time before there is anything to save.

    Args:
        sigterm_status: exit status after SIGTERM: 0 if the same command continues, as preempting schedulers expect,
            143 if a result is missing. After Ctrl-C it is 130, as shells expect.
        line: what is printed.
    """
    shown = f"{line}\n".encode()

    def end(signum: int, frame: FrameType | None) -> None:  # no print(): the signal may have interrupted one
        os.write(1, shown)
        os._exit(sigterm_status if signum == signal.SIGTERM else 128 + signal.SIGINT)

    for signum in _SIGNALS:
        signal.signal(signum, end)


def announce(tell: Callable[[int], None]) -> None:
    """Calls a function with the signal before one of the handlers of now ends the process."""
    for signum in _SIGNALS:
        before = signal.getsignal(signum)

        def handle(signum: int, frame: FrameType | None, before=before) -> None:
            tell(signum)
            if callable(before):
                before(signum, frame)
            else:
                os._exit(128 + signum)

        signal.signal(signum, handle)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Holds both signals back; they arrive at the end, also in a program that took this one's place meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


class Interrupt:
    """Context manager that remembers the first signal; a second one ends the process at once, as by default.

    At its end the handlers are those of before. Outside the main thread, where Python sets none, it does nothing.

    Attributes:
        signum: of the first signal; None before.
    """

    def __enter__(self) -> "Interrupt":
        self.signum: int | None = None
        is_main = threading.current_thread() is threading.main_thread()
        # None: a handler that was not set from Python, and could not be put back from here.
        free = [signum for signum in _SIGNALS if is_main and signal.getsignal(signum) is not None]
        self._before = {signum: signal.signal(signum, self._remember) for signum in free}
        return self

    def __exit__(self, *error: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def check(self) -> None:
        """Raises Interrupted if there was a signal."""
        if self.signum is not None:
            raise Interrupted(self.signum)

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        self.signum = signum
        for known in self._before:
            signal.signal(known, signal.SIG_DFL)
