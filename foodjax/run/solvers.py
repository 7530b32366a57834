"""Trains an experiment with the solver that train.solver names."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from foodjax.config.check import checked
from foodjax.config.keys import Config
from foodjax.data.sets import Data
from foodjax.run import loop, probe
from foodjax.run.evaluate import Evaluation
from foodjax.run.observer import Observer
from foodjax.run.trained import Trained
from foodjax.system.files import PathLike


def train(
    config: Config | ConfigDict,
    workdir: PathLike,
    observers: Sequence[Observer] = (),
    *,
    origin: dict[str, Any] | None = None,
    report: Callable[[Evaluation, Path], Any] | None = None,
    data: Data | None = None,
    cached: bool = True,
) -> Trained:
    """Trains by steps, or fits the last layer alone, then evaluates the best checkpoint on the test set.

    Args:
        config: the experiment.
        workdir: folder of the run: new, or of the same experiment.
        observers: called after every epoch; a probe has one.
        origin: of the config, for run.json: "config" (file and variant) and "overrides".
        report: called with the evaluation and the workdir, before the run counts as finished.
        data: prepared sets, if the photographs are elsewhere; None prepares those that config names.
        cached: whether a probe reads features from the cache, and keeps new ones there.

    Returns:
        The outcome; of a run that was finished before, the same as then.

    Raises:
        UserError: the config, the data or the workdir cannot be used.
    """
    config = checked(config)
    if config.train.solver == "probe":
        return probe.probe(config, workdir, observers, origin=origin, report=report, data=data, cached=cached)
    return loop.train(config, workdir, observers, origin=origin, report=report, data=data)
