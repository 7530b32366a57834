"""What a run tells: lines and a progress bar on the terminal, metrics.jsonl, and TensorBoard."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

console = Console(soft_wrap=True, highlight=False)


def progress(title: str, total: int, items: Iterator, unit: int = 1) -> Iterator:
    """Passes `items` on and shows how far it is, how fast, and how long it will take.

    A terminal gets a bar; a pipe or a log file gets a plain line every 30 seconds and no control characters.

    Args:
        title: what is being done.
        total: number of items.
        items: the items.
        unit: images per item.
    """
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(title, total=total, rate="")
            start = time.monotonic()
            for done, item in enumerate(items, start=1):
                yield item
                rate = done * unit / (time.monotonic() - start)
                bar.update(task, completed=done, rate=f"{rate:.0f} images/s")
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last > 30:
            last = now
            rate = done / (now - start)
            left = (total - done) / rate
            print(f"{title}: {done}/{total}, {rate * unit:.1f} images/s, {left:.0f} s left", flush=True)


class WaitClock:
    """An iterator that passes items on and adds up how long its consumer stood waiting for them.

    Attributes:
        seconds: the sum so far. A device still at work on the last item hides a part of it: an upper bound of the loss.
    """

    def __init__(self, items: Iterator):
        self._items, self.seconds = iter(items), 0.0

    def __iter__(self) -> "WaitClock":
        return self

    def __next__(self) -> Any:
        start = time.monotonic()
        try:
            return next(self._items)
        finally:
            self.seconds += time.monotonic() - start


class MetricsLog:
    """The numbers of each epoch, as lines of metrics.jsonl and as TensorBoard scalars.

    Attributes:
        rows: one dict for each epoch so far, oldest first.
    """

    def __init__(self, workdir: Path, epoch: int):
        """Opens the log of a run that continues after `epoch`; later lines, if any, are dropped."""
        self.path = workdir / "metrics.jsonl"
        self.rows: list[dict[str, Any]] = [row for row in read_metrics(self.path) if row["epoch"] <= epoch]
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(row) + "\n" for row in self.rows))
        temporary.replace(self.path)
        try:
            from foodjax.event_file import EventFile  # only who trains waits for tensorboard

            self._events = EventFile(workdir / "tensorboard")
        except ImportError:
            print("tensorboard is not installed: its curves are left out")
            self._events = None

    def write(self, row: dict[str, Any]) -> None:
        """Appends the numbers of one epoch; `row` has "epoch" and "step"."""
        self.rows.append(row)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        if self._events:
            self._events.write_scalars(row["step"], {k: v for k, v in row.items() if k != "step"})

    def line(self, epochs: int) -> str:
        """Returns the last epoch in a line: loss and accuracy now, with (min, max) over all epochs."""
        row = self.rows[-1]
        parts = [f"epoch {row['epoch']}/{epochs}"]
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            values = [r[name] for r in self.rows]
            parts.append(f"{name} {row[name]:.4f} ({min(values):.4f}, {max(values):.4f})")
        parts.append(f"{row['images_per_second']:.1f} images/s, {row['data_wait']:.1%} waiting for data")
        return "  ".join(parts)

    def close(self) -> None:
        """Finishes writing."""
        if self._events:
            self._events.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Returns the whole lines of a metrics.jsonl; a last line cut short by a kill is left out."""
    rows = []
    if path.exists():
        for text in path.read_text(errors="replace").splitlines():
            try:
                row = json.loads(text)
            except ValueError:
                break
            if not isinstance(row, dict) or "epoch" not in row:
                break
            rows.append(row)
    return rows


def fail(message: str) -> None:
    """Prints a user's mistake as one line on stderr."""
    print("error: " + " ".join(str(message).split()), file=sys.stderr)
