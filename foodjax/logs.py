"""What a run tells: lines and a progress bar on the terminal, metrics.jsonl, and TensorBoard."""

import io
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from foodjax import files
from foodjax.errors import UserError

console = Console(soft_wrap=True, highlight=False)


class Bar:
    """How far a task is, how fast, and how long it will take: a context manager.

    A terminal gets a bar; a pipe or a log file gets a plain line every 30 seconds and no control characters.
    """

    def __init__(self, title: str, total: int, unit: int = 1, done: int = 0):
        """Prepares the bar.

        Args:
            title: what is being done.
            total: number of items.
            unit: images per item.
            done: items that were done before.
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
        """Tells that `done` items are done now."""
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


def progress(title: str, total: int, items: Iterator, unit: int = 1) -> Iterator:
    """Passes `items` on and shows a Bar of them."""
    with Bar(title, total, unit) as bar:
        for done, item in enumerate(items, start=1):
            yield item
            bar.update(done)


class MetricsLog:
    """The numbers of each epoch: lines of metrics.jsonl and timing.jsonl, and TensorBoard scalars.

    Two runs of an experiment have the same metrics.jsonl to the byte. What the clock says is in timing.jsonl.

    Attributes:
        rows: one dict for each epoch so far, oldest first.
    """

    def __init__(self, workdir: Path, rows: Sequence[dict[str, Any]], step: int):
        """Opens the log of a run that continues at `step` with the rows of the epochs before.

        Later lines and points, of an epoch that will be done again, are dropped; missing ones are written again.
        """
        self._metrics, self._timing = workdir / "metrics.jsonl", workdir / "timing.jsonl"
        self.rows = list(rows)
        self._times = [time for time in read_metrics(self._timing) if time["epoch"] <= len(self.rows)]
        for path, lines in ((self._metrics, self.rows), (self._timing, self._times)):
            files.write_text(path, "".join(json.dumps(line) + "\n" for line in lines))
        try:
            from foodjax.event_file import EventFile  # only who trains waits for tensorboard

            self._events = EventFile(workdir / "tensorboard", step)
            for row in self.rows:
                if row["step"] not in self._events.steps:
                    self._write_events(row)
        except ImportError:
            print("tensorboard is not installed: its curves are left out")
            self._events = None

    def write(self, row: dict[str, Any], timing: dict[str, float]) -> None:
        """Appends one epoch.

        Args:
            row: its numbers, with "epoch" and "step".
            timing: its images_per_second and data_wait, the share of the time spent waiting for data. After a
                continued epoch they are of the steps that were taken in this process.
        """
        self.rows.append(row)
        self._times.append({"epoch": row["epoch"], "step": row["step"], **timing})
        for path, rows in ((self._metrics, self.rows), (self._timing, self._times)):
            with path.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
        self._write_events(row | timing)

    def _write_events(self, row: dict[str, Any]) -> None:
        if self._events:
            self._events.write_scalars(row["step"], {k: v for k, v in row.items() if k != "step"})

    def write_text(self, step: int, tag: str, markdown: str) -> None:
        """Shows a text in TensorBoard."""
        if self._events:
            self._events.write_text(step, tag, markdown)

    def write_image(self, step: int, tag: str, pixels: np.ndarray) -> None:
        """Shows a picture, uint8 (H, W, 3), in TensorBoard."""
        if self._events:
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            self._events.write_image(step, tag, buffer.getvalue(), *pixels.shape[:2])

    def line(self, epochs: int) -> str:
        """Returns the last epoch in a line: loss and accuracy now, with (min, max) over all epochs."""
        row, timing = self.rows[-1], self._times[-1]
        parts = [f"epoch {row['epoch']}/{epochs}"]
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            values = [r[name] for r in self.rows]
            parts.append(f"{name} {row[name]:.4f} ({min(values):.4f}, {max(values):.4f})")
        parts.append(f"{timing['images_per_second']:.1f} images/s, {timing['data_wait']:.1%} waiting for data")
        return "  ".join(parts)

    def close(self) -> None:
        """Finishes writing."""
        if self._events:
            self._events.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a metrics.jsonl up to the first line that is none, such as one cut short by a kill.

    Raises:
        UserError: the file is there and cannot be read.
    """
    rows = []
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return rows
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(row, dict) or type(row.get("epoch")) is not int:
            break
        rows.append(row)
    return rows


def fail(message: str) -> None:
    """Prints a user's mistake as one line on stderr."""
    print("error: " + " ".join(str(message).split()), file=sys.stderr)
