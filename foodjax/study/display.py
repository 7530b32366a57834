"""Progress of a sweep: a bar on a terminal, a line for each event in a log file."""

import time
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn

from foodjax.study.space import Trial
from foodjax.system.console import console, say
from foodjax.workdir import run_record
from foodjax.workdir.metrics import read_metrics


class SweepDisplay:
    """Counts the epochs of all runs, and estimates the time left from the epochs of this command."""

    def __init__(self, trials: list[Trial]):
        self._trials, self._start, self._told = trials, time.monotonic(), time.monotonic()
        self._first = self._epochs()
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (TextColumn("sweep"), BarColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task("", total=self._total())
        print(f"sweep: {len(trials)} runs, {self._first} of {self._total()} epochs are done", flush=True)

    def _total(self) -> int:
        return sum(trial.config.train.num_epochs for trial in self._trials)

    def _epochs(self) -> int:
        done = 0
        for trial in self._trials:
            if run_record.read(trial.workdir)["result"] is not None:
                done += trial.config.train.num_epochs  # after early stopping, none is left
            else:
                rows = read_metrics(trial.workdir / "metrics.jsonl")
                done += rows[-1]["epoch"] if rows else 0
        return done

    def left(self) -> str:
        """Returns the epochs done and the time left, in words."""
        done, seconds = self._epochs(), time.monotonic() - self._start
        text = f"{done} of {self._total()} epochs"
        if done > self._first:
            text += f", about {(self._total() - done) * seconds / (done - self._first) / 60:.0f} min left"
        return text

    def update(self, running: int) -> None:
        """Shows the progress: always on a terminal, otherwise once a minute."""
        if self._bar is not None:
            self._bar.start()
            self._bar.update(self._task, completed=self._epochs(), description=f"{self.left()}, {running} running")
        elif time.monotonic() - self._told > 60:
            self._told = time.monotonic()
            print(f"sweep: {self.left()}, {running} running", flush=True)

    def ended(self, trial: Trial, result: dict[str, Any] | None) -> None:
        """Prints the result of a run, `result` of run.json; nothing if it is None: the run only reached its rung."""
        if result is not None:
            text = f"val_loss {result['best_val_loss']:.4f}, test accuracy {result['test_accuracy']:.2%}"
            self._print(f"{trial.workdir.name}: {text}; {self.left()}")

    def failed(self, trial: Trial, why: str) -> None:
        """Prints why a run failed."""
        self._print(f"{trial.workdir.name}: failed: {why}; {self.left()}")

    def close(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.stop()

    def _print(self, text: str) -> None:
        self.close()
        say(text, flush=True)
