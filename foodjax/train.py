"""The only loop."""

import math
import time
from pathlib import Path
from typing import Any

import jax

from foodjax import checkpoint, logs
from foodjax.checkpoint import Checkpoints
from foodjax.data.pipeline import train_batches
from foodjax.early_stopping import EarlyStopping
from foodjax.errors import UserError
from foodjax.evaluate import evaluate_best
from foodjax.interrupt import Interrupt, Interrupted
from foodjax.metrics import Metrics
from foodjax.run import Data, Run, load_data
from foodjax.train_step import enable_compilation_cache


def train(config: Any, workdir: Path) -> None:
    """Trains until early stopping or the last epoch, then evaluates the best checkpoint on the test set.

    A run that was interrupted continues after its last checkpoint; a finished one is only evaluated again.

    Raises:
        UserError: the data or the workdir cannot be used.
    """
    enable_compilation_cache()
    data = load_data(config)
    run = Run(config, data.train.class_names)
    checkpoint.write_description(workdir, config, run.class_names)
    with checkpoint.lock(workdir):
        _train(run, workdir, data)


def _train(run: Run, workdir: Path, data: Data) -> None:
    parts = data.parts
    counts = [len(parts.train), len(parts.validation), len(parts.test)]
    devices = jax.devices()
    print(f"devices: {len(devices)} x {devices[0].device_kind} ({devices[0].platform})")
    print(f"data: {len(run.class_names)} classes, {counts[0]} train, {counts[1]} validation, {counts[2]} test images")
    checkpoints = Checkpoints(workdir)
    try:
        with Interrupt() as interrupt:
            _fit(run, checkpoints, workdir, data, interrupt)
    except Interrupted:
        checkpoints.wait()
        print(f"interrupted; {workdir} keeps the checkpoints: the same command continues after the last whole epoch")
        raise
    finally:
        checkpoints.close()
    evaluate_best(run, workdir, data.test, parts.test)


def _fit(run: Run, checkpoints: Checkpoints, workdir: Path, data: Data, interrupt: Interrupt) -> None:
    config = run.config
    stopping = EarlyStopping(config.train.patience)
    latest = checkpoints.latest_step()
    if latest is None:
        state = run.create_state()
    else:
        state = checkpoints.restore(latest, run.abstract_state(), run.mesh)
        stopping = checkpoints.restore_progress(latest, config.train.patience)
        print(f"continuing {workdir} after epoch {stopping.epoch}")
    num_params = sum(x.size for x in jax.tree.leaves(state.params))
    print(f"model: {num_params:,} parameters")
    parts = data.parts
    augment = config.augment if parts.validation_is_from_test else None
    batch_size = config.data.batch_size
    steps_per_epoch = len(parts.train) // batch_size
    metrics_log = logs.MetricsLog(workdir, stopping.epoch)
    try:
        while stopping.epoch < config.train.epochs and not stopping.should_stop:
            first = stopping.epoch * steps_per_epoch
            batches = logs.WaitClock(train_batches(data.train, parts.train, config, first, first + steps_per_epoch))
            title, start = f"epoch {stopping.epoch + 1}/{config.train.epochs}", time.monotonic()
            total: Metrics | None = None
            for step, batch in enumerate(logs.progress(title, steps_per_epoch, batches, batch_size), start=first):
                before = total
                state, metrics = run.train_step(state, batch)
                total = metrics if total is None else total.merge(metrics)
                if before is not None:  # this step is on its way: reading the last one's sums keeps no device idle
                    _check_finite(before, step, config, workdir)
                interrupt.check()
            assert total is not None
            _check_finite(total, first + steps_per_epoch, config, workdir)
            numbers = total.compute()
            seconds = time.monotonic() - start
            val = run.predict(state, data.validation, parts.validation, augment).metrics
            stopping = stopping.update(val["loss"])
            checkpoints.save(state, stopping, val["loss"])
            metrics_log.write(
                {
                    "epoch": stopping.epoch,
                    "step": int(state.step),
                    **numbers,
                    "val_loss": val["loss"],
                    "val_accuracy": val["accuracy"],
                    "images_per_second": steps_per_epoch * batch_size / seconds,
                    "data_wait": batches.seconds / seconds,
                }
            )
            print(metrics_log.line(config.train.epochs) + ("  best" if stopping.improved else ""), flush=True)
            interrupt.check()
    finally:
        metrics_log.close()
    reason = "early stopping" if stopping.should_stop else "last epoch"
    print(f"{reason} after epoch {stopping.epoch}; best epoch {stopping.best_epoch}, val_loss {stopping.best_loss:.4f}")


def _check_finite(total: Metrics, step: int, config: Any, workdir: Path) -> None:
    """Raises UserError when the loss of one of the first `step` steps is no finite number."""
    loss, rate = float(total.loss_sum), config.optimizer.learning_rate
    if not math.isfinite(loss):
        raise UserError(
            f"the training loss is {loss} at step {step} with optimizer.learning_rate={rate}: needs a lower one; "
            f"{workdir} keeps the checkpoints of the epochs before"
        )
