"""The only loop, and the wiring of a run: data, model, steps, checkpoints, logs."""

import math
import time
from pathlib import Path
from typing import Any

import jax

from foodjax import checkpoint, evaluate, logs
from foodjax.checkpoint import Checkpoints
from foodjax.data.pipeline import eval_batches, train_batches
from foodjax.data.prepare import Prepared, prepare
from foodjax.data.source import create_source
from foodjax.data.split import Indices, split
from foodjax.early_stopping import EarlyStopping
from foodjax.errors import UserError
from foodjax.interrupt import Interrupt, Interrupted
from foodjax.metrics import Metrics
from foodjax.model import create_model
from foodjax.optimizer import create_optimizer
from foodjax.train_state import TrainState, create_train_state
from foodjax.train_step import create_mesh, enable_compilation_cache, make_steps


class Run:
    """What training and evaluation share: the jitted steps, the mesh and how a state is made and restored."""

    def __init__(self, config: Any, class_names: tuple[str, ...]):
        self.config, self.class_names = config, class_names
        self.mesh = create_mesh(config.data.batch_size)
        self.model = create_model(config, len(class_names))
        self.tx = create_optimizer(config)
        self.train_step, self.eval_step = make_steps(self.model, self.tx, self.mesh)

    def create_state(self) -> TrainState:
        """Returns the state before the first step."""
        return create_train_state(self.model, self.tx, self.config.seed, self.config.data.image_size)

    def abstract_state(self) -> TrainState:
        """Returns the state's shapes and dtypes, to restore a checkpoint into."""
        return jax.eval_shape(self.create_state)

    def predict(self, state: TrainState, data: Prepared, rows: Any, augment: Any = None) -> evaluate.Predictions:
        """Evaluates the examples `rows` of `data`."""
        devices = self.mesh.size
        size = -(-self.config.data.eval_batch_size // devices) * devices  # padding fills what the data does not
        batches = eval_batches(data, rows, size, augment, self.config.seed)
        return evaluate.predict(self.eval_step, state.params, batches)


def train(config: Any, workdir: Path) -> None:
    """Trains until early stopping or the last epoch, then evaluates the best checkpoint on the test set.

    A run that was interrupted continues after its last checkpoint; a finished one is only evaluated again.

    Raises:
        UserError: the data or the workdir cannot be used.
    """
    enable_compilation_cache()
    source = create_source(config)
    train_set = prepare(source, "train", config, logs.progress)
    test_set = prepare(source, "test", config, logs.progress)
    for part, found in (("train", train_set), ("test", test_set)):
        if not len(found.images):
            raise UserError(f"the data has no {part} images: training needs train and test")
    parts = split(
        train_set.ids, train_set.labels, test_set.ids, test_set.labels,
        config.data.protocol, config.data.validation_fraction,
    )  # fmt: skip
    counts = [len(parts.train), len(parts.validation), len(parts.test)]
    if counts[0] < config.data.batch_size:
        raise UserError(f"data.batch_size is {config.data.batch_size}: the data has {counts[0]} images to train")
    if not counts[1]:
        raise UserError(f"data.validation_fraction={config.data.validation_fraction} leaves no validation images")
    run = Run(config, train_set.class_names)
    checkpoint.write_description(workdir, config, run.class_names)
    with checkpoint.lock(workdir):
        _train(run, workdir, train_set, test_set, parts)


def _train(run: Run, workdir: Path, train_set: Prepared, test_set: Prepared, parts: Indices) -> None:
    counts = [len(parts.train), len(parts.validation), len(parts.test)]
    devices = jax.devices()
    print(f"devices: {len(devices)} x {devices[0].device_kind} ({devices[0].platform})")
    print(f"data: {len(run.class_names)} classes, {counts[0]} train, {counts[1]} validation, {counts[2]} test images")
    checkpoints = Checkpoints(workdir)
    try:
        with Interrupt() as interrupt:
            _fit(run, checkpoints, workdir, train_set, test_set, parts, interrupt)
    except Interrupted:
        checkpoints.wait()
        print(f"interrupted; {workdir} keeps the checkpoints: the same command continues after the last whole epoch")
        raise
    finally:
        checkpoints.close()
    evaluate_best(run, workdir, test_set, parts.test)


def _fit(
    run: Run,
    checkpoints: Checkpoints,
    workdir: Path,
    train_set: Prepared,
    test_set: Prepared,
    parts: Indices,
    interrupt: Interrupt,
) -> None:
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
    validation_set = test_set if parts.validation_is_from_test else train_set
    augment = config.augment if parts.validation_is_from_test else None
    batch_size = config.data.batch_size
    steps_per_epoch = len(parts.train) // batch_size
    metrics_log = logs.MetricsLog(workdir, stopping.epoch)
    try:
        while stopping.epoch < config.train.epochs and not stopping.should_stop:
            first = stopping.epoch * steps_per_epoch
            batches = logs.WaitClock(train_batches(train_set, parts.train, config, first, first + steps_per_epoch))
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
            val = run.predict(state, validation_set, parts.validation, augment).metrics
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


def evaluate_best(run: Run, workdir: Path, data: Prepared, rows: Any) -> evaluate.Report:
    """Evaluates the best checkpoint on `rows` of `data`, prints the tables and writes the files to the workdir."""
    checkpoints = Checkpoints(workdir)
    try:
        step, state = checkpoints.restore_best(run.abstract_state(), run.mesh)
    finally:
        checkpoints.close()
    predictions = run.predict(state, data, rows)
    report = evaluate.create_report(predictions, run.class_names)
    evaluate.write_files(workdir / "evaluation", report, predictions, data.ids, run.class_names)
    logs.console.print(evaluate.to_table(report))
    print(evaluate.sentence(report))
    print(f"checkpoint of step {step}; tables in {workdir / 'evaluation'}")
    return report


def evaluate_workdir(config: Any, workdir: Path) -> evaluate.Report:
    """Evaluates the best checkpoint of `workdir` on the test set that `config.data` names.

    Args:
        config: the workdir's own config, in which data.dir, data.source and the like may have been replaced.
        workdir: of a run; its class names are the labels.
    """
    enable_compilation_cache()
    _, class_names = checkpoint.read_description(workdir)
    test_set = prepare(create_source(config), "test", config, logs.progress, class_names)
    if not len(test_set.images):
        raise UserError("the data has no test images: evaluation needs some")
    parts = split([], test_set.labels[:0], test_set.ids, test_set.labels, "holdout", 0.5)
    print(f"data: {len(class_names)} classes, {len(parts.test)} test images")
    return evaluate_best(Run(config, class_names), workdir, test_set, parts.test)
