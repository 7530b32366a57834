"""One start of a training: checks its workdir, loads its data, records what happens, and marks the run as finished."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import jax
from ml_collections import ConfigDict

from foodjax.config import listed
from foodjax.config.check import checked, replace
from foodjax.config.keys import Config
from foodjax.config.stored import to_json
from foodjax.data.balance import class_weights
from foodjax.data.sets import Data
from foodjax.evaluation import numbers
from foodjax.models.native import library
from foodjax.models.native.choice import Choice
from foodjax.run import profiler
from foodjax.run.chosen import with_stored
from foodjax.run.evaluate import Evaluation
from foodjax.run.loading import load_for, write_data
from foodjax.run.trained import Trained, read_trained
from foodjax.run.wiring import Engine, check_init_from
from foodjax.system import determinism, hosts
from foodjax.system.console import say
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike, to_path
from foodjax.system.shared import check_shared
from foodjax.workdir import data_check, run_record, writer
from foodjax.workdir import description as workdir_lib

# Trains in a workdir and evaluates; the last argument adds a fact to run.json.
Work = Callable[[Engine, Path, Data, Callable[[str, Any], None]], tuple[workdir_lib.Finished, Evaluation]]


class Given(TypedDict, total=False):
    """Keywords of `run` that every solver takes and passes on; `run` says what they are."""

    origin: dict[str, Any] | None
    report: Callable[[Evaluation, Path], Any] | None
    data: Data | None


def run(
    config: Config | ConfigDict,
    workdir: PathLike,
    work: Work,
    *,
    origin: dict[str, Any] | None = None,
    report: Callable[[Evaluation, Path], Any] | None = None,
    data: Data | None = None,
) -> Trained:
    """Runs `work` unless the run of a workdir is finished; one that was interrupted continues.

    Args:
        config: the experiment.
        workdir: folder of the run: new, or of the same experiment.
        work: trains and evaluates.
        origin: of the config, for run.json: "config" (file and variant) and "overrides".
        report: called with the evaluation and the workdir, before the run counts as finished.
        data: prepared sets, if the photographs are elsewhere; None prepares those that config names.

    Returns:
        The outcome; of a run that was finished before, the same as then.

    Raises:
        UserError: the data, the workdir or a writer cannot be used, or the photographs of a run that has begun are
            others now.
    """
    workdir = to_path(workdir)
    check_shared(workdir, "workdir", "a --workdir on a file system that all processes share")
    config = with_stored(workdir_lib.continued(workdir, checked(config)), workdir)
    determinism.set_up(deterministic=config.train.deterministic)
    begun = workdir_lib.check(workdir, config)
    hosts.check_same("their experiment", to_json(config))
    if begun and (end := workdir_lib.read_finished(workdir, config.train)):
        if trained := read_trained(workdir, end, config.train.monitor):
            say(f"{workdir} is finished ({end}): nothing to do; foodjax evaluate evaluates it again")
            if changes := data_check.changed_since_the_end(workdir, config):
                say(f"its photographs have changed since ({changes}, by name): another --workdir trains on them")
            return trained
        say(f"{workdir} is finished ({end}), but its files of results do not fit that: they are written again")
    writer.check(config.log.writers)
    if not begun:
        check_init_from(config)  # a mistake in it costs no preparation, and leaves no workdir behind
    if config.model.convolutions != "xla":
        library.build()  # beside the preparation
    config, data = load_for(workdir, config, data, begun=begun)
    names, rows = data.train.class_names, data.parts.train
    numbers.check(config, len(names))
    if config.train.solver == "steps":
        profiler.check(config, config.train.epochs * (len(rows) // config.data.batch_size))
    weights = class_weights(config, data.train.labels[rows], len(names))
    engine = Engine(config, names, len(rows) // config.data.batch_size, class_weights=weights)
    config = _with_choice(config, engine.convolutions, begun=begun)
    if config.optimizer.rates:
        engine.abstract_state()  # refuses a pattern that matches nothing before the workdir has its config
    if hosts.count() > 1:
        hosts.check_same("their photographs", json.dumps(run_record.fingerprint(data)))
    try:
        with workdir_lib.lock(workdir):
            hosts.by_first(lambda: workdir_lib.write_description(workdir, config, engine.class_names))
            hosts.by_first(lambda: write_data(workdir, data))
            with run_record.recorded(workdir, config, data, origin or {}) as add:
                add("convolutions", engine.convolutions.level or "xla")
                add("dtype", engine.dtype)
                end, evaluated = work(engine, workdir, data, add)
            if report is not None and hosts.is_first():
                report(evaluated, workdir)
            if hosts.is_first():
                workdir_lib.write_finished(workdir, end)  # last: with it, everything else is there
            hosts.wait()
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise UserError(
            f"cannot write to workdir {workdir} ({where}{error.strerror}); the checkpoints are kept: needs space and "
            f"the right to write, then the same command continues"
        ) from None
    trained = read_trained(workdir, end, config.train.monitor)
    assert trained, f"another program changes {workdir}"
    return trained


def _with_choice(config: Config, choice: Choice, *, begun: bool) -> Config:
    """Returns a config that says which convolutions the run began with, so that it continues with them."""
    wanted = config.model.convolutions
    if begun and wanted == "native" and not choice.level:
        say(f"the run began with native convolutions and goes on with XLA's, as {choice.reason}: other last digits")
        return config  # where there are kernels, it goes on with them again
    return replace(config, {"model.convolutions": choice.name})


def describe(engine: Engine, data: Data) -> None:
    """Prints the devices, the number of classes and of images, and what of the config has no effect."""
    parts, devices = data.parts, jax.devices()
    counts = [len(parts.train), len(parts.validation), len(parts.test)]
    among = f" in {hosts.count()} processes" if hosts.count() > 1 else ""
    print(f"devices: {len(devices)} x {devices[0].device_kind} ({devices[0].platform}){among}")
    if engine.convolutions.level:
        print(f"convolutions: native kernels ({engine.convolutions.level})")
    elif engine.convolutions.reason:
        print(f"convolutions: XLA's, the slower ones, as {engine.convolutions.reason}")
    if engine.dtype != engine.config.model.dtype:
        say(f"model.dtype={engine.config.model.dtype} is computed in {engine.dtype}, which is faster on this CPU")
    print(
        f"data: {len(engine.class_names)} classes, {counts[0]} train, {counts[1]} validation, {counts[2]} test images"
        + (f"; {data.duplicates}" if data.duplicates else "")
    )
    if engine.config.train.solver == "steps":
        for line in listed.unused(engine.config):
            say(line)
    if engine.config.train.deterministic:
        say(determinism.sentence(devices[0].platform, len(devices)))
