"""Ctrl-C and SIGTERM as a wish that the loop reads between steps.

A KeyboardInterrupt would be raised wherever Python happens to be, and is lost when that is a finalizer.
"""

import signal
from types import FrameType


class Interrupted(Exception):
    """A signal asked the run to end; everything it wants to keep is saved.

    Attributes:
        signum: SIGINT or SIGTERM.
    """

    def __init__(self, signum: int):
        super().__init__(signum)
        self.signum = signum


class Interrupt:
    """Context manager: inside, the first signal is remembered and a second one acts at once, as by default."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __enter__(self) -> "Interrupt":
        self._signum: int | None = None
        self._before = {signum: signal.signal(signum, self._remember) for signum in self._SIGNALS}
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
        for known in self._SIGNALS:
            signal.signal(known, signal.SIG_DFL)
