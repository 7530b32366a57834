"""Logging: metrics.jsonl, timing.jsonl, TensorBoard, and the line of an epoch."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from foodjax.data.images import check_dtype
from foodjax.system import files
from foodjax.workdir.metrics import read_metrics


class MetricsLog:
    """The numbers of each epoch: lines of metrics.jsonl and timing.jsonl, and TensorBoard scalars.

    Two runs of an experiment have the same metrics.jsonl to the byte. Times are in timing.jsonl.

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
            from foodjax.workdir.tensorboard import EventFile  # only who trains waits for tensorboard

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
            files.append_text(path, json.dumps(rows[-1]) + "\n")
        self._write_events(row | timing)

    def _write_events(self, row: dict[str, Any]) -> None:
        if self._events:
            self._events.write_scalars(row["step"], {k: v for k, v in row.items() if k != "step"})

    def write_text(self, step: int, tag: str, markdown: str) -> None:
        """Shows a text in TensorBoard."""
        if self._events:
            self._events.write_text(step, tag, markdown)

    def write_image(self, step: int, tag: str, pixels: np.ndarray) -> None:
        """Shows a picture, uint8 (H, W, 3), in TensorBoard.

        Raises:
            TypeError: it is not uint8.
        """
        check_dtype(pixels)
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
