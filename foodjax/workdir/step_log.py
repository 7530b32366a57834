"""The numbers of single steps: every n-th step, a line of steps.jsonl and a point of TensorBoard's curves "steps"."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from foodjax.config.keys import Config
from foodjax.steps.metrics import SUMS, Metrics
from foodjax.system import files
from foodjax.workdir.metrics import read_metrics

FILE = "steps.jsonl"


class StepLog:
    """steps.jsonl: "step" (steps taken, from 1), "epoch", and of that step's batch "loss" (nats) and "accuracy" (0..1).

    With them are the learning rate of the step and, with log.norms, the norms of its gradient, of its update and of the
    weights after it. Every process of several has a log; the first one writes.

    A run that continues drops the lines after its checkpoint, and takes those steps once more. The lines before are
    there, since they are written before the checkpoint: whatever was killed when, a step has one line.
    """

    def __init__(
        self,
        workdir: Path,
        step: int,
        steps_per_epoch: int,
        *,
        config: Config,
        learning_rate: Callable[[int], float],
        is_first: bool = True,
    ):
        """Drops what was written after the step that a run continues at.

        Args:
            workdir: of the run.
            step: that it continues at, 0 for a new one.
            steps_per_epoch: number of steps of an epoch.
            config: the experiment; reads log.
            learning_rate: of a step, from 0.
            is_first: whether this process writes.
        """
        self._path, self._every, self._steps_per_epoch = workdir / FILE, config.log.every_steps, steps_per_epoch
        self._learning_rate, self._is_first = learning_rate, is_first
        self._waiting: list[tuple[int, Metrics]] = []
        self._curves: Any = None
        if is_first and self._every:
            kept = [row for row in read_metrics(self._path) if row.get("step", step + 1) <= step]
            files.write_text(self._path, "".join(json.dumps(row) + "\n" for row in kept))
            if "tensorboard" in config.log.writers:
                self._curves = _open_curves(workdir, step)

    def add(self, first: int, metrics: Metrics) -> None:
        """Keeps the metrics of a dispatch for `write`; the device may be computing them still.

        Args:
            first: steps taken before the dispatch.
            metrics: scalars of its only step, or (S,) of each of its S steps.
        """
        if self._every:
            self._waiting.append((first, metrics))

    def write(self, until: int) -> None:
        """Writes the steps that were added, up to the step `until`, which the device has done."""
        text = ""
        while self._waiting and self._waiting[0][0] < until:
            for row in self._rows(*self._waiting.pop(0)):
                text += json.dumps(row) + "\n"
                if self._curves is not None and row["step"] not in self._curves.steps:
                    values = {name: value for name, value in row.items() if name not in ("step", "epoch")}
                    self._curves.write_scalars(row["step"], values)
        if text:
            files.append_text(self._path, text)

    def _rows(self, first: int, metrics: Metrics) -> Iterator[dict[str, Any]]:
        count = metrics.loss_sum.size
        due = [i for i in range(count) if (first + 1 + i) % self._every == 0]
        if not due or not self._is_first:
            return
        on_device = {name: getattr(metrics, name) for name in SUMS} | metrics.norms
        found = {name: np.atleast_1d(values) for name, values in jax.device_get(on_device).items()}
        for i in due:
            step, n = first + 1 + i, float(found["num_examples"][i])
            yield {
                "epoch": (step - 1) // self._steps_per_epoch + 1,
                "step": step,
                "loss": float(found["loss_sum"][i]) / n,
                "accuracy": float(found["num_correct"][i]) / n,
                "learning_rate": self._learning_rate(step - 1),
                **{name: float(found[name][i]) for name in metrics.norms},
            }

    def close(self) -> None:
        """Ends the writing."""
        if self._curves is not None:
            self._curves.close()


def _open_curves(workdir: Path, step: int) -> Any:
    """Returns TensorBoard's event file for single steps; None without TensorBoard, of which the epochs' log tells."""
    try:
        from foodjax.workdir.tensorboard import FOLDER, EventFile
    except ImportError:
        return None
    return EventFile(workdir / FOLDER / "steps", step)
