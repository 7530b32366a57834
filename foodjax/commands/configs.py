"""The config and the workdir of a command: from --config, from the workdir, and from the overrides."""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from foodjax.commands.arguments import Command
from foodjax.commands.verb import Given, Verb, path
from foodjax.config import experiments
from foodjax.config.check import checked, difference, flatten, leaves, names_in, to_config_dict
from foodjax.config.keys import Config
from foodjax.config.override import assign, canonical
from foodjax.system.errors import UserError
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
        config, workdir = _override(experiment, overrides), _workdir(flags.workdir, experiment.name)
    elif not flags.workdir and experiment is None:
        raise UserError(f"{verb.name} needs --workdir or --config")
    else:
        workdir = _workdir(flags.workdir, experiment.name if experiment else "")
        config = _stored(verb, experiment, workdir, overrides)
    known = dict(leaves(config)) | dict(flatten(config))
    values = {canonical(name): known[canonical(name)] for name, _ in overrides}
    return Given(config, workdir, flags, {"config": flags.config, "overrides": values})


def _workdir(given: str | None, name: str) -> Path:
    return path(given) if given else Path("runs") / name


def _override(config: ConfigDict, overrides: list[tuple[str, str]]) -> Config:
    for name, text in overrides:
        assign(config, name, text)
    return checked(config)


def _stored(verb: Verb, experiment: ConfigDict | None, workdir: Path, overrides: list[tuple[str, str]]) -> Config:
    stored, _ = read_description(workdir)
    if verb.config == "stored":
        for name, _ in overrides:
            check_changeable(verb.name, name)
    if experiment is not None:
        found = difference({"model": stored.model}, {"model": checked(experiment).model})
        if found:
            raise UserError(f"the checkpoint in {workdir} does not fit the model of --config: {found}")
    return _override(to_config_dict(stored), overrides)


def check_changeable(verb: str, name: str) -> None:
    """Checks that an evaluation may change a key.

    Raises:
        UserError: it may not; the line says which it may.
    """
    changeable = names_in("evaluation", "place")
    if canonical(name) not in changeable:
        raise UserError(f"{verb} cannot change {canonical(name)}: needs one of {', '.join(changeable)}")
