"""The config and the workdir of a command: from --config, from the workdir, and from the overrides."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from foodjax.commands.arguments import Command
from foodjax.commands.verb import Given, Verb
from foodjax.config import experiments, replaced
from foodjax.config.check import checked, difference, flatten, leaves, names_in, to_config_dict
from foodjax.config.keys import Config
from foodjax.config.override import assign, canonical
from foodjax.config.values import spell
from foodjax.system.console import say
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike, to_path
from foodjax.workdir.description import read_description


def load(command: Command) -> Given:
    """Loads the config of a command and finds its workdir; the default is runs/NAME, as the experiment is called.

    Raises:
        UserError: one of them is missing or invalid.
    """
    verb, flags, overrides = command.verb, command.flags, command.overrides
    if verb.config == "none":
        if overrides:
            raise UserError(f"{verb.name} takes no config: --config.{overrides[0][0]} is not possible")
        return Given(None, None, flags, {"config": None, "overrides": {}})
    experiment: Any = experiments.load_config(flags.config) if flags.config else None
    if verb.config == "file" or (verb.config == "any" and experiment is not None):
        if experiment is None:
            raise UserError("--config is missing: needs a packaged experiment such as food10, or a file")
        config, workdir = _override(experiment, overrides), workdir_of(flags.workdir, experiment.name)
    elif not flags.workdir and experiment is None:
        raise UserError(f"{verb.name} needs --workdir or --config")
    else:
        workdir = workdir_of(flags.workdir, experiment.name if experiment else "")
        config = _stored(verb, experiment, workdir, overrides)
    known = dict(leaves(config)) | dict(flatten(config))
    values = {canonical(name): known[canonical(name)] for name, _ in overrides}
    return Given(config, workdir, flags, {"config": flags.config, "overrides": values})


def workdir_of(given: PathLike | None, name: str) -> Path:
    """Returns the workdir that was given, or runs/NAME."""
    return to_path(given) if given else Path("runs") / name


def change(verb: str, config: Config, changes: Sequence[tuple[str, Any]]) -> Config:
    """Returns the config of a run with other values of keys that an evaluation may change.

    Args:
        verb: for the message.
        config: the run's.
        changes: (key, value or its text), in order.

    Raises:
        UserError: a key is none of these, or a value none of its.
    """
    changeable = names_in("evaluation", "place")
    for name, _ in changes:
        if canonical(name) not in changeable:
            raise UserError(f"{verb} cannot change {canonical(name)}: needs one of {', '.join(changeable)}")
    return _override(to_config_dict(config), changes)


def _override(config: ConfigDict, overrides: Sequence[tuple[str, Any]]) -> Config:
    for name, given in overrides:
        assign(config, name, given)
    made = checked(config)
    known = dict(leaves(made))
    for new in sorted(set(replaced.BY.values())):
        if old := [name for name, _ in overrides if replaced.BY.get(name) == new]:
            word = shlex.quote(f"--config.{new}={spell(known[new])}")
            say(f"{new} has replaced {' and '.join(old)}: from now on write {word}")
    return made


def _stored(verb: Verb, experiment: ConfigDict | None, workdir: Path, overrides: list[tuple[str, str]]) -> Config:
    stored, _ = read_description(workdir)
    if experiment is not None:
        found = difference({"model": stored.model}, {"model": checked(experiment).model})
        if found:
            raise UserError(f"the checkpoint in {workdir} does not fit the model of --config: {found}")
    if verb.config == "any":
        return _override(to_config_dict(stored), overrides)
    return change(verb.name, stored, overrides)
