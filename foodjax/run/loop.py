"""Trains a network: the loop over epochs, with checkpoints, early stopping and resuming."""

import functools
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Unpack

from clu import parameter_overview
from ml_collections import ConfigDict

from foodjax.config.check import checked
from foodjax.config.keys import Config
from foodjax.data.sets import Data
from foodjax.run import addresses, begin, session
from foodjax.run.evaluate import Evaluation, evaluate_best
from foodjax.run.feed import create_feed
from foodjax.run.instruments import Instruments
from foodjax.run.more_sets import evaluate_epoch
from foodjax.run.observer import Epoch, Observer
from foodjax.run.trained import Trained
from foodjax.run.wiring import Engine
from foodjax.steps.devices import local, replicated
from foodjax.steps.early_stopping import EarlyStopping
from foodjax.steps.metrics import Metrics
from foodjax.steps.state import all_finite
from foodjax.system import hosts
from foodjax.system.agreement import Agreement
from foodjax.system.console import Bar, columns, say
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike
from foodjax.system.malloc import return_free_memory
from foodjax.system.signals import Interrupt, Interrupted
from foodjax.workdir import description as workdir_lib
from foodjax.workdir import logs
from foodjax.workdir.checkpoint_content import LoopState
from foodjax.workdir.checkpoints import Checkpoints


def train(
    config: Config | ConfigDict,
    workdir: PathLike,
    observers: Sequence[Observer] = (),
    **given: Unpack[session.Given],
) -> Trained:
    """Trains by steps until early stopping or the last epoch, then evaluates the best checkpoint on the test set.

    A run that was interrupted continues after its last checkpoint, at any step of an epoch. One that is finished is
    left as it is, unless a file of its results is lost.

    Args:
        config: the experiment.
        workdir: folder of the run: new, or of the same experiment.
        observers: called after every epoch.
        **given: origin, report and data, as `session.run` takes them.

    Returns:
        The outcome; of a run that was finished before, the same as then.

    Raises:
        UserError: train.solver is not "steps" (see `solvers.train`), the data or the workdir cannot be used, or the
            photographs of a run that has begun are others now.
    """
    config = checked(config)
    if config.train.solver != "steps":
        raise UserError(f"train.solver is {config.train.solver!r}: needs foodjax probe, or train.solver=steps")
    work = functools.partial(_train, observers=observers)
    return session.run(config, workdir, work, **given)


def _train(
    engine: Engine,
    workdir: Path,
    data: Data,
    add: Callable[[str, Any], None],
    *,
    observers: Sequence[Observer],
) -> tuple[workdir_lib.Finished, Evaluation]:
    session.describe(engine, data)
    checkpoints = Checkpoints(workdir)
    try:
        with Interrupt() as interrupt:
            loop = Loop(engine, checkpoints, workdir, data, interrupt)
            if engine.weights_from:
                add("weights", engine.weights_from)
            reason = loop.fit(observers)
    finally:
        checkpoints.close()
    end = workdir_lib.Finished(reason, loop.stopping.epoch)
    del loop  # with its state: the evaluation has the best weights
    return_free_memory()
    return end, evaluate_best(engine, workdir, data.test, data.parts.test, validation=data, duplicates=data.duplicates)


class Loop:
    """The training of one run, from its latest checkpoint on."""

    def __init__(self, engine: Engine, checkpoints: Checkpoints, workdir: Path, data: Data, interrupt: Interrupt):
        """Restores the latest checkpoint, or creates the state before the first step."""
        self.engine, self.checkpoints, self.workdir, self.data = engine, checkpoints, workdir, data
        self.config, self.interrupt = engine.config, interrupt
        self.steps_per_epoch = len(data.parts.train) // engine.config.data.batch_size
        patience, monitor = self.config.train.patience, self.config.train.monitor
        self.stopping, self.total, self._rows = LoopState(EarlyStopping(patience, monitor=monitor), Metrics.zeros())
        begin.make_room(data)
        addresses.check("train", self.config, engine.model, self.config.data.batch_size)
        latest = checkpoints.restore_latest(engine.abstract_state(), engine.mesh)
        if latest is None:
            self.step, self.state = 0, begin.create_state(engine, self.steps_per_epoch)
        else:
            self.step, self.state = latest
            self.stopping, self.total, self._rows = checkpoints.restore_loop_state(self.step, patience, monitor)
            done = self.step - self.stopping.epoch * self.steps_per_epoch
            within = f" and {done} steps" if done else ""
            say(f"continuing {workdir} after epoch {self.stopping.epoch}{within}")
        self.total = replicated(self.total, engine.mesh)
        self._saved_at, self._saved_time = self.step, time.monotonic()
        self._instruments = Instruments(engine, workdir, self.step, self.steps_per_epoch)
        self._feed = create_feed(engine, data, self._instruments.steps.add)

    def fit(self, observers: Sequence[Observer]) -> str:
        """Trains to the end and returns the reason that it ended for."""
        print(f"model: {parameter_overview.count_parameters(self.state.params):,} parameters")
        metrics_log = logs.MetricsLog(
            self.workdir, self._rows, self.step, config=self.config, learning_rate=self.engine.learning_rate
        )
        self._rows = metrics_log.rows
        reason, finished = None, False
        self._end, self._due = Agreement("end"), Agreement("checkpoint")
        try:
            while reason is None:
                if self.stopping.should_stop:
                    reason = workdir_lib.EARLY
                elif self.stopping.epoch >= self.config.train.epochs:
                    reason = workdir_lib.LAST_EPOCH
                else:
                    reason = self._epoch(metrics_log, observers)
            finished = True
        except Interrupted:
            if self.step != self._saved_at:
                self._save()
            self.checkpoints.wait()
            say(f"interrupted at step {self.step}; the same command continues {self.workdir} from there", flush=True)
            raise
        finally:
            self._end.close()
            self._due.close()
            self._instruments.close(self.step)
            metrics_log.close(finished=finished)
        best = f"best epoch {self.stopping.best_epoch}, {self.stopping.monitor} {self.stopping.best_value:.4f}"
        say(f"{reason} after epoch {self.stopping.epoch}; {best}", flush=True)
        return reason

    def _epoch(self, metrics_log: logs.MetricsLog, observers: Sequence[Observer]) -> str | None:
        """Takes the remaining steps of an epoch, validates, and saves; returns an observer's reason to end."""
        timing = self._steps()
        numbers = self.total.compute()
        validation, val = evaluate_epoch(self.engine, self.state.variables, self.data, self.stopping.epoch + 1)
        self.stopping = self.stopping.update(val[self.stopping.monitor])
        self.total = replicated(Metrics.zeros(), self.engine.mesh)
        # The row comes before the checkpoint: a kill between the two makes the epoch, and the same row, once more.
        row = {"epoch": self.stopping.epoch, "step": self.step, **numbers, **val}
        metrics_log.write(row, timing)

        def observe() -> str | None:
            epoch = Epoch(
                self.engine, self.data, self.workdir, local(self.state), self.stopping, metrics_log.rows, validation,
                metrics_log,
            )  # fmt: skip
            reasons = [observe(epoch) for observe in observers]
            metrics_log.flush(self.step)
            return next((reason for reason in reasons if reason), None)

        reason = hosts.by_first(observe)
        self._save(val[self.stopping.monitor])
        if hosts.is_first():
            line = metrics_log.line(self.config.train.epochs, best=self.stopping.improved, width=columns())
            print(line, flush=True)
        self._check_interrupt()
        return reason

    def _steps(self) -> dict[str, float]:
        """Takes the remaining steps of an epoch; returns their speed and the share of time spent waiting."""
        first = self.stopping.epoch * self.steps_per_epoch
        stop, begin = first + self.steps_per_epoch, self.step
        feed, start = self._feed, time.monotonic()
        feed.start(self.step, stop)
        batch_size = self.config.data.batch_size
        profiler, steps = self._instruments.profiler, self._instruments.steps
        title = f"epoch {self.stopping.epoch + 1}/{self.config.train.epochs}"
        with Bar(title, self.steps_per_epoch, batch_size, self.step - first) as bar:
            while self.step < stop:
                profiler.at(self.step, self.total.loss_sum)
                before, checkpoint = self.total, self._next_checkpoint(stop)
                end = profiler.next_bound(self.step, checkpoint)
                count = min(feed.longest - (self.step - first) % feed.longest, end - self.step)
                with profiler.named(self.step):
                    self.state, self.total = feed.advance(self.state, self.total, self.step, count)
                # This dispatch is on its way: reading the last one's sums keeps no device idle.
                self._check_finite(before, self.step)
                steps.write(self.step)
                self.step += count
                bar.update(self.step - first)
                if self.step < stop:  # the end of an epoch is saved with its validation
                    if self._minutes_passed():
                        self._due.ask(1)
                    is_due = self._due.at(self.step) is not None
                    if is_due or self.step == checkpoint:
                        self._save()
                    self._check_interrupt()
        self._check_finite(self.total, self.step)
        steps.write(self.step)
        profiler.at(self.step, self.total.loss_sum)
        seconds, images = time.monotonic() - start, (self.step - begin) * batch_size
        return {"images_per_second": images / seconds if images else 0.0, "data_wait": feed.wait_seconds / seconds}

    def _next_checkpoint(self, stop: int) -> int:
        every = self.config.checkpoint.every_steps
        return min((self.step // every + 1) * every, stop) if every else stop

    def _check_interrupt(self) -> None:
        """Raises Interrupted if a signal asked one of the processes to end; in all before the same step."""
        if self.interrupt.signum is not None:
            self._end.ask(self.interrupt.signum)
        if (signum := self._end.at(self.step)) is not None:
            raise Interrupted(signum)

    def _minutes_passed(self) -> bool:
        minutes = self.config.checkpoint.every_minutes
        return hosts.is_first() and bool(minutes) and time.monotonic() - self._saved_time >= 60 * minutes

    def _save(self, value: float | None = None) -> None:
        self._check_finite(self.total, self.step)
        if not bool(all_finite(self.state.params)):
            raise UserError(self._not_finite("a weight", math.nan, self.step))
        self._instruments.steps.write(self.step)  # first: a run that continues here takes no step before it again
        self.checkpoints.save(self.state, LoopState(self.stopping, self.total, self._rows), value)
        self._saved_at, self._saved_time = self.step, time.monotonic()

    def _check_finite(self, total: Metrics, step: int) -> None:
        """Raises UserError if the loss of one of the first `step` steps is not finite."""
        loss = float(total.loss_sum)
        if not math.isfinite(loss):
            raise UserError(self._not_finite("the training loss", loss, step))

    def _not_finite(self, what: str, value: float, step: int) -> str:
        saved = f"step {self._saved_at}" if self.checkpoints.steps() else "none"
        return (
            f"{what} is {value} at step {step} with optimizer.learning_rate={self.config.optimizer.learning_rate}: "
            f"needs a lower one; the last good checkpoint in {self.workdir}: {saved}"
        )
