"""Standard output whose reader may go away, as in `foodjax train | head`."""

import contextlib
import errno
import os
import sys
from typing import Any

from foodjax.system.errors import UserError


class OutputClosed(BaseException):
    """The reader of standard output is gone. It is no Exception, so that no handler of file errors catches it."""


class _Stream:
    """A text stream that notices when nobody reads it any more."""

    def __init__(self, stream: Any, *, goes_on: bool):
        self._stream, self._goes_on = stream, goes_on

    def write(self, text: str) -> int:
        """Writes a text; without a reader drops it, or raises OutputClosed; with a full disk raises UserError."""
        with self._noticing():
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Writes what is buffered, as `write` does."""
        with self._noticing():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _noticing(self):
        try:
            yield
        except OSError as error:
            # What is buffered, and what the interpreter flushes at its end, goes nowhere.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            if error.errno not in (errno.EPIPE, errno.EIO):  # no pipe without a reader, no terminal that was closed
                raise UserError(f"cannot write the output ({error.strerror}): needs space where it goes") from None
            if not self._goes_on:
                raise OutputClosed from None


def watch_output(*, goes_on: bool) -> None:
    """Replaces sys.stdout and sys.stderr by streams that handle a reader who goes away.

    Args:
        goes_on: the program goes on, and its output is dropped; if False, the next write to stdout raises OutputClosed.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:  # closed: the next file would get its number, and what C code prints
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "w"))
    sys.stdout = _Stream(sys.stdout, goes_on=goes_on)
    sys.stderr = _Stream(sys.stderr, goes_on=True)
