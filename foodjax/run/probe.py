"""Probes a network: a linear classifier on the features of its frozen layers, as a run with a checkpoint.

The features are computed once and kept with the prepared photographs. Cross-validation on the training photographs
chooses the strength of the classifier's penalty; duplicates stay in one fold. A classifier of the nearest neighbours is
scored beside it.
"""

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from foodjax.config.check import checked, replace
from foodjax.config.keys import Config
from foodjax.data.augment.apply import view
from foodjax.data.batches import eval_batches
from foodjax.data.cache import cache_root
from foodjax.data.duplicate_groups import group_numbers
from foodjax.data.fold_split import numbers_of
from foodjax.data.prepared import Prepared
from foodjax.data.sets import Data
from foodjax.models.layers import HEAD
from foodjax.models.weights.source import is_weights
from foodjax.run import linear, neighbours, session
from foodjax.run.evaluate import Evaluation, evaluate_best
from foodjax.run.features import load_or_compute
from foodjax.run.more_sets import evaluate_epoch
from foodjax.run.observer import Epoch, Observer
from foodjax.run.trained import Trained
from foodjax.run.wiring import Engine
from foodjax.steps.devices import compiler_options
from foodjax.steps.early_stopping import EarlyStopping
from foodjax.steps.metrics import Metrics
from foodjax.steps.state import TrainState
from foodjax.steps.step import rescale
from foodjax.system import files
from foodjax.system.console import Bar, say
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike
from foodjax.workdir import logs
from foodjax.workdir.checkpoint_content import LoopState, digest
from foodjax.workdir.checkpoints import Checkpoints
from foodjax.workdir.description import LAST_EPOCH, Finished

FILE = "probe.json"


def probe(
    config: Config | ConfigDict,
    workdir: PathLike,
    observers: Sequence[Observer] = (),
    *,
    cached: bool = True,
    **given: Unpack[session.Given],
) -> Trained:
    """Trains the last layer alone, on features of the frozen network, then evaluates it on the test set.

    Args:
        config: the experiment; train.solver becomes "probe".
        workdir: folder of the run: new, or of the same experiment.
        observers: called once, after the last layer is fitted and validated.
        cached: whether features are read from the cache, and new ones kept there.
        **given: origin, report and data, as `session.run` takes them.

    Returns:
        The outcome; of a run that was finished before, the same as then.

    Raises:
        UserError: the config names no weights, or has layers without weights; the data or the workdir cannot be used.
    """
    config = replace(checked(config), {"train.solver": "probe"})
    _check(config)
    work = functools.partial(_probe, observers=observers, cached=cached)
    return session.run(config, workdir, work, **given)


def _check(config: Config) -> None:
    model = config.model
    if not model.init_from:
        raise UserError("model.init_from is empty: probe needs the weights of a backbone, or of another run")
    if is_weights(model.init_from):
        for key, value in (("model.head.hidden", model.head.hidden), ("model.blocks", model.backbone and model.blocks)):
            if value:
                raise UserError(f"{key} has layers that {model.init_from} has not: probe trains the last one alone")


def _probe(
    engine: Engine,
    workdir: Path,
    data: Data,
    add: Callable[[str, Any], None],
    *,
    observers: Sequence[Observer],
    cached: bool,
) -> tuple[Finished, Evaluation]:
    session.describe(engine, data)
    checkpoints, reason = Checkpoints(workdir), LAST_EPOCH
    try:
        if checkpoints.best_step() is None:
            state = engine.create_state()
            add("weights", engine.weights_from)
            features = compute_features(engine, state, data.train, data.parts.train, cached=cached)
            reason = _solve(engine, workdir, data, state, features, checkpoints, observers)
    finally:
        checkpoints.close()
    evaluated = evaluate_best(engine, workdir, data.test, data.parts.test, validation=data, duplicates=data.duplicates)
    return Finished(reason, 1), evaluated


def _solve(
    engine: Engine,
    workdir: Path,
    data: Data,
    state: TrainState,
    features: np.ndarray,  # (V, N, D) of V views
    checkpoints: Checkpoints,
    observers: Sequence[Observer],
) -> str:
    """Fits the last layer, scores it on the validation images, and saves the state with it; returns why it ended."""
    rows, config = data.parts.train, engine.config
    labels, num_classes = data.train.labels[rows], len(engine.class_names)
    views, count, width = features.shape
    # A copy of a held-out photograph would tell its class.
    pairs = data.duplicates.pairs if data.duplicates else ()
    groups = numbers_of(data.train, rows, pairs, data.groups) if data.groups else group_numbers(pairs, "train", rows)
    weights = np.asarray(engine.class_weights) if engine.class_weights else None
    fitted = linear.fit(
        features.reshape(views * count, width), np.tile(labels, views), num_classes,
        groups=np.tile(groups, views), class_weights=weights, seed=config.seed,
    )  # fmt: skip
    near = None
    if (groups != groups[0]).any():  # else no photograph has another one to be predicted by
        near = neighbours.choose_neighbours(features[0], labels, num_classes, groups)
    best = fitted.held_out  # None where no class has two photographs
    chosen = f"chosen by cross-validation: accuracy {best.accuracy:.2%}" if best else "without cross-validation"
    beside = f"; {near[0]} nearest neighbours: {near[1]:.2%}" if near else ""
    say(f"{width} features; penalty {fitted.strength:g}, {chosen}{beside}")
    head = {"kernel": jnp.asarray(fitted.kernel), "bias": jnp.asarray(fitted.bias)}
    params = {**state.params, HEAD: head}
    solved: Any = state.replace(step=jnp.ones((), jnp.int32), params=params)  # pyright: ignore
    if state.ema:
        solved = solved.replace(ema={**state.ema, "params": jax.tree.map(jnp.copy, params)})
    logits = features[0] @ fitted.kernel + fitted.bias
    scored = Metrics.from_batch(jnp.asarray(logits), jnp.asarray(labels), jnp.ones(count)).compute()
    validation, val = evaluate_epoch(engine, solved.variables, data, 1)
    value = val[config.train.monitor]
    stopping = EarlyStopping(config.train.patience, monitor=config.train.monitor).update(value)
    row = {"epoch": 1, "step": 1, **scored, **val}
    log = logs.MetricsLog(workdir, [], 0, config=config)
    try:
        log.write(row, {"images_per_second": 0.0, "data_wait": 0.0})
        epoch = Epoch(engine, data, workdir, solved, stopping, log.rows, validation, log)
        reasons = [observe(epoch) for observe in observers]
        log.flush(1)
    finally:
        log.close()
    facts = {
        "strength": fitted.strength, "neighbours": near and near[0], "neighbours_accuracy": near and near[1],
        "folds": [fold._asdict() for fold in fitted.folds],
    }  # fmt: skip
    files.write_text(workdir / FILE, json.dumps(facts, indent=2) + "\n")
    checkpoints.save(solved, LoopState(stopping, Metrics.zeros(), log.rows), value)
    checkpoints.wait()
    say(f"validation accuracy {val['val_accuracy']:.2%}, loss {val['val_loss']:.4f}")
    return next(filter(None, reasons), LAST_EPOCH)


def compute_features(
    engine: Engine, state: TrainState, data: Prepared, rows: np.ndarray, *, cached: bool = True
) -> np.ndarray:
    """Returns what the last layer gets of some photographs, as an evaluation shows them.

    Args:
        engine: the network.
        state: its weights.
        data: the prepared set.
        rows: of the set, (N,).
        cached: whether they are read from the cache, and new ones kept there.

    Returns:
        float32 (V, N, D): V is 2 with eval.flip, for the pictures and their mirror images, else 1.
    """
    return features_of(engine, state.variables, data, rows, cached=cached)


def features_of(engine: Engine, variables: Any, data: Prepared, rows: np.ndarray, *, cached: bool = True) -> np.ndarray:
    """Returns what `compute_features` does, for variables in the place of a state."""
    config, variables = engine.config, dict(variables)
    frozen = {**variables, "params": {k: v for k, v in variables["params"].items() if k != HEAD}}
    width = variables["params"][HEAD]["kernel"].shape[0]
    size, views = engine.eval_batch_size(len(rows)), 2 if config.eval.flip else 1

    def compute() -> np.ndarray:
        run = jax.jit(
            functools.partial(_features, config=config, model=engine.model), compiler_options=compiler_options()
        )
        found = []
        with Bar("features", -(-len(rows) // size), size, 0) as bar:
            for i, batch in enumerate(eval_batches(data, rows, size), start=1):
                real = batch["row"] >= 0
                found.append(np.asarray(run(variables, batch["image"]))[:, real])
                bar.update(i)
        return np.concatenate(found, axis=1).reshape(-1, width)

    key = {
        "weights": digest(frozen, {}), "model": repr(engine.model), "eval": [config.eval_size, config.eval.crop_area],
        "views": views, "set": data.checksum, "rows": digest({"rows": np.asarray(rows)}, {}),
    }  # fmt: skip
    if cached and data.checksum:
        found = load_or_compute(cache_root(config) / data.folder, key, views * len(rows), width, compute)
    else:  # a set that was made of arrays is not in the cache
        found = compute()
    return found.reshape(views, len(rows), width)


def _features(variables: Any, images: jax.Array, *, config: Config, model: Any) -> jax.Array:
    """Returns what the last layer gets of uint8 pictures (B, H, W, 3), float32 (V, B, D)."""
    images = rescale(view(images, config.eval_size, config.eval.crop_area))
    shown = [images, images[:, :, ::-1]] if config.eval.flip else [images]
    found = [model.apply(variables, x, train=False, mutable=["features"])[1] for x in shown]
    return jnp.stack([state["features"]["last"][0].astype(jnp.float32) for state in found])
