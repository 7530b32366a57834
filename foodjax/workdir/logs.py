"""Logging: metrics.jsonl and timing.jsonl, and the writers of `log.writers`, such as TensorBoard."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foodjax.config.keys import Config
from foodjax.data.images import check_dtype
from foodjax.system import files, hosts
from foodjax.system.console import say
from foodjax.system.errors import first_line
from foodjax.workdir.epoch_line import epoch_line
from foodjax.workdir.metrics import read_metrics
from foodjax.workdir.writer import LOCAL, Opened, Writer, open_writer


class JsonLines:
    """metrics.jsonl and timing.jsonl, which every run has, whatever `log.writers` says.

    Two runs of an experiment have the same metrics.jsonl to the byte. Times are in timing.jsonl.

    Attributes:
        times: the lines of timing.jsonl.
    """

    def __init__(self, workdir: Path, rows: Sequence[dict[str, Any]]):
        """Writes the rows of the epochs before, and drops later lines, of an epoch that will be done again."""
        self._metrics, self._timing = workdir / "metrics.jsonl", workdir / "timing.jsonl"
        self.times = [time for time in read_metrics(self._timing) if time["epoch"] <= len(rows)]
        for path, lines in ((self._metrics, rows), (self._timing, self.times)):
            files.write_text(path, "".join(json.dumps(line) + "\n" for line in lines))

    def append(self, row: dict[str, Any], timing: dict[str, float]) -> None:
        """Adds the numbers of an epoch, and its times."""
        self.times.append({"epoch": row["epoch"], "step": row["step"], **timing})
        for path, line in ((self._metrics, row), (self._timing, self.times[-1])):
            files.append_text(path, json.dumps(line) + "\n")


class MetricsLog:
    """The numbers of each epoch: lines of metrics.jsonl and timing.jsonl, and what the writers show.

    Of several processes the first one writes; the others have the rows alone.
    A writer of a service, such as W&B, that fails in training is left out from there on, with a line.

    Attributes:
        rows: one dict for each epoch so far, oldest first.
        writers: by their names, those that are open.
    """

    def __init__(
        self,
        workdir: Path,
        rows: Sequence[dict[str, Any]],
        step: int,
        *,
        config: Config | None = None,
        learning_rate: Callable[[int], float] | None = None,
    ):
        """Opens the log of a run that continues at `step` with the rows of the epochs before.

        Later lines and points, of an epoch that will be done again, are dropped; missing ones are written again.

        Args:
            workdir: of the run.
            rows: of the epochs before.
            step: that the run continues at.
            config: the experiment; reads `log`. None: the defaults.
            learning_rate: a function of the step, from 0, for the writers; None: they get none.

        Raises:
            UserError: a writer cannot be opened.
        """
        self._learning_rate, self.rows = learning_rate, list(rows)
        self._lines = JsonLines(workdir, rows) if hosts.is_first() else None
        self.writers: dict[str, Writer] = {}
        if self._lines is None:
            return
        config = Config() if config is None else config
        for name in config.log.writers:
            try:
                self.writers[name] = open_writer(name, Opened(workdir, step, config))
            except ImportError:
                print(f"{name} is not installed: its curves are left out")
        times = {time["epoch"]: time for time in self._lines.times}
        for row in self.rows:
            self._show(row, times.get(row["epoch"], {}))
            self.flush(row["step"])

    def write(self, row: dict[str, Any], timing: dict[str, float]) -> None:
        """Appends one epoch.

        Args:
            row: its numbers, with "epoch" and "step".
            timing: its images_per_second and data_wait, the share of the time spent waiting for data. After a
                continued epoch they are of the steps that were taken in this process.
        """
        self.rows.append(row)
        if self._lines is not None:
            self._lines.append(row, timing)
            self._show(row, timing)

    def _show(self, row: dict[str, Any], timing: dict[str, float]) -> None:
        numbers = {k: v for k, v in (row | timing).items() if k != "step"}
        if self._learning_rate is not None:
            numbers["learning_rate"] = self._learning_rate(row["step"] - 1)  # of the epoch's last step
        self._each(row["step"], lambda writer: writer.write(row["step"], numbers))

    def write_text(self, step: int, tag: str, markdown: str) -> None:
        """Shows a text in the writers."""
        self._each(step, lambda writer: writer.write_text(step, tag, markdown))

    def write_image(self, step: int, tag: str, pixels: np.ndarray) -> None:
        """Shows a picture, uint8 (H, W, 3), in the writers.

        Raises:
            TypeError: it is not uint8.
        """
        check_dtype(pixels)
        self._each(step, lambda writer: writer.write_image(step, tag, pixels))

    def flush(self, step: int) -> None:
        """Ends a step: nothing more of it is written."""
        self._each(step, lambda writer: writer.flush())

    def _each(self, step: int, write: Callable[[Writer], None]) -> None:
        """Calls `write` with each writer that does not have the step already."""
        for name, writer in list(self.writers.items()):
            if step in writer.steps:
                continue
            try:
                write(writer)
            except Exception as error:
                if name in LOCAL:
                    raise
                del self.writers[name]
                say(f"{name} is left out from step {step} on ({first_line(error)}); metrics.jsonl has all", flush=True)

    def line(self, epochs: int, *, best: bool, width: int) -> str:
        """Returns the last epoch in a line of at most `width` columns, or the shortest; see `epoch_line`."""
        assert self._lines is not None
        return epoch_line(self.rows, self._lines.times[-1], epochs, best=best, width=width)

    def close(self, *, finished: bool = True) -> None:
        """Ends the writing.

        Args:
            finished: whether the training came to its end.
        """
        for name, writer in self.writers.items():
            try:
                writer.close(finished=finished)
            except Exception as error:
                if name in LOCAL:
                    raise
                say(f"{name} did not end well: {first_line(error)}", flush=True)
