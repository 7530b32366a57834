"""Terminal output: the console, progress bars and the one line of an error."""

import sys
import time
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from foodjax.system.text import printable

# A notebook gets plain text as a pipe does: rich's own output there is HTML, of which `show` captures nothing, and its
# stdout claims to be a terminal.
_terminal = False if "ipykernel" in sys.modules else None
console = Console(soft_wrap=True, highlight=False, force_jupyter=False, force_terminal=_terminal)
_NARROW = 80  # columns of what is no terminal


def columns() -> int:
    """Returns the columns of the terminal; 80 for a file or a pipe, however wide the terminal beside it is."""
    return console.width if console.is_terminal else _NARROW


class Bar:
    """A progress bar with rate and remaining time; a context manager.

    A terminal gets a bar; a pipe or a log file gets a plain line every 30 seconds and no control characters.
    """

    def __init__(self, title: str, total: int, unit: int = 1, done: int = 0):
        """Prepares the bar.

        Args:
            title: name of the task.
            total: number of items.
            unit: images per item.
            done: number of items that are finished already.
        """
        self._title, self._total, self._unit, self._first = title, total, unit, done
        self._start = self._last = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> "Bar":
        if console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=console, transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=self._total, completed=self._first, rate="")
        self._start = self._last = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int) -> None:
        """Shows that `done` items are finished."""
        now = time.monotonic()
        rate = (done - self._first) / max(now - self._start, 1e-9)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, rate=f"{rate * self._unit:.0f} images/s")
        elif now - self._last > 30 and rate:
            self._last = now
            left = (self._total - done) / rate
            print(
                f"{self._title}: {done}/{self._total}, {rate * self._unit:.1f} images/s, {left:.0f} s left", flush=True
            )


def track(title: str, total: int, items: Iterator, unit: int = 1) -> Iterator:
    """Yields `items` and shows their progress in a Bar."""
    with Bar(title, total, unit) as bar:
        for done, item in enumerate(items, start=1):
            yield item
            bar.update(done)


def say(line: object, *, file: TextIO | None = None, flush: bool = False) -> None:
    """Prints one line that may hold names of files and classes, which may hold anything.

    Args:
        line: what is printed; a line's end in it is shown as an escape.
        file: stdout, or another stream.
        flush: whether it is shown at once.
    """
    stream: TextIO = file or sys.stdout
    print(_encodable(printable(str(line)), stream), file=stream, flush=flush)


def cell(name: str) -> Text:
    """Returns a name for a table of rich, which would read `[red]` in a plain text as markup."""
    return Text(_encodable(printable(name), sys.stdout))


def show(table: Table) -> None:
    """Prints a table of rich; its names are those of `cell`."""
    with console.capture() as captured:
        console.print(table)
    print(_encodable(captured.get(), sys.stdout), end="")


def fail(message: str) -> None:
    """Prints a user's mistake as one line on stderr."""
    say("error: " + " ".join(line.strip() for line in str(message).splitlines()), file=sys.stderr)


def _encodable(text: str, file: TextIO) -> str:
    """Returns a text with escapes for what the stream's encoding does not have."""
    encoding = getattr(file, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
