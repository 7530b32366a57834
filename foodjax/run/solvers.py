"""Trains an experiment with the solver that train.solver names."""

from collections.abc import Sequence
from typing import Unpack

from ml_collections import ConfigDict

from foodjax.config.check import checked
from foodjax.config.keys import Config
from foodjax.run import loop, probe, session
from foodjax.run.observer import Observer
from foodjax.run.trained import Trained
from foodjax.system import hosts
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike


def train(
    config: Config | ConfigDict,
    workdir: PathLike,
    observers: Sequence[Observer] = (),
    *,
    cached: bool = True,
    **given: Unpack[session.Given],
) -> Trained:
    """Trains by steps, `loop.train`, or fits the last layer alone, `probe.probe`.

    Args:
        config: the experiment.
        workdir: folder of the run: new, or of the same experiment.
        observers: called after every epoch; a probe has one.
        cached: whether a probe reads features from the cache, and keeps new ones there.
        **given: origin, report and data, as `session.run` takes them.

    Returns:
        The outcome; of a run that was finished before, the same as then.

    Raises:
        UserError: the config, the data or the workdir cannot be used.
    """
    config = checked(config)
    if config.train.solver == "probe":
        if hosts.count() > 1:
            raise UserError(f"train.solver is probe in {hosts.count()} processes: needs one, or train.solver=steps")
        return probe.probe(config, workdir, observers, cached=cached, **given)
    return loop.train(config, workdir, observers, **given)
