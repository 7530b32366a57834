"""Modes of the command line, the config of each, and one line for a user's mistake."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags
from ml_collections import ConfigDict, config_flags

from foodjax.config.check import checked, current_name, difference, flatten, names_in, nearest, replace, to_config_dict
from foodjax.config.keys import Config, table
from foodjax.system.errors import UserError, first_line
from foodjax.workdir.description import read_description

# Module that old experiments import -> the import to write now.
MOVED = {"foodjax.variants": "from foodjax import variants"}


class Asked(NamedTuple):
    """The rest of a command, besides config and workdir.

    Attributes:
        flags: values of the flags by name.
        origin: file and overrides of the config, from `origin()`.
    """

    flags: Any
    origin: dict[str, Any]


class Mode(NamedTuple):
    """A mode, `--mode NAME`.

    Attributes:
        run: called as run(config, workdir, asked); may return an exit status. Config and workdir are None when `config`
            is "none".
        config: "file": the experiment of --config; "stored": the workdir's config, with the overrides of --config;
            "none": the mode needs neither.
        needs: required flags, each with a description of its value.
    """

    run: Callable[[Any, Any, Asked], Any]
    config: str
    needs: dict[str, str] = {}


def check_mode(name: str, modes: dict[str, Mode]) -> Mode:
    """Returns the mode called `name`.

    Raises:
        UserError: the mode does not exist, or a required flag is missing.
    """
    if name not in modes:
        raise UserError(f"--mode is {name!r}: needs one of {', '.join(modes)}")
    for flag, what in modes[name].needs.items():
        if not flags.FLAGS[flag].value:
            raise UserError(f"--mode {name} needs --{flag}, {what}")
    return modes[name]


def rename_keys(argv: list[str]) -> list[str]:
    """Returns a command line with old key names in --config.KEY=VALUE replaced by current ones."""
    return [
        re.sub(r"^(--?(?:no)?config\.)([\w.]+)", lambda found: found[1] + current_name(found[2]), argument)
        for argument in argv
    ]


def split_overrides(argv: list[str]) -> tuple[list[str], list[str]]:
    """Splits off --config.KEY=VALUE from a command line without --config; they override the workdir's config.

    Returns:
        (the other arguments, the overrides).
    """
    if any(re.match(r"--?config(=|$)", argument) for argument in argv):
        return argv, []
    taken = [argument for argument in argv[1:] if re.match(r"--?(no)?config\.", argument)]
    return [argument for argument in argv if argument not in taken], taken


def load(
    name: str, mode: Mode, experiment: ConfigDict | None, workdir: str | None, overrides: Sequence[str] = ()
) -> tuple[Any, Any]:
    """Returns (config, workdir) for a mode; the default workdir is runs/<experiment>.

    Args:
        name: name of the mode.
        mode: the mode.
        experiment: value of --config, or None.
        workdir: value of --workdir, or None.
        overrides: for the workdir's config, if there is no --config.

    Raises:
        UserError: one of them is missing or invalid.
    """
    if overrides and mode.config != "stored":
        raise UserError(f"--config is missing: {overrides[0]} needs a file such as experiments/food10.py")
    config = None if experiment is None else checked(experiment)
    if mode.config == "none":
        return None, None
    if mode.config == "file" and config is None:
        raise UserError("--config is missing: needs a file such as experiments/food10.py")
    if workdir:
        path = Path(workdir)
    elif config is not None:
        path = Path("runs") / config.name
    else:
        raise UserError(f"--mode {name} needs --workdir or --config")
    return (config if mode.config == "file" else _stored(name, config, path, overrides)), path


def origin() -> dict[str, Any]:
    """Returns the origin of the config: FILE:VARIANT or None, and the overrides by --config.KEY=VALUE."""
    flag = flags.FLAGS["config"]
    if flag.value is None:
        return {"config": None, "overrides": {}}
    return {"config": config_flags.get_config_filename(flag), "overrides": config_flags.get_override_values(flag)}


def _stored(name: str, config: Config | None, workdir: Path, arguments: Sequence[str]) -> Config:
    stored, _ = read_description(workdir)
    if config is None:
        return _override(name, stored, arguments)
    overrides = config_flags.get_override_values(flags.FLAGS["config"])
    for key in overrides:
        _check_key(name, key)
    found = difference({"model": stored.model}, {"model": config.model})
    if found:
        raise UserError(f"the checkpoint in {workdir} does not fit the model of --config: {found}")
    return replace(stored, overrides)


def _override(name: str, stored: Config, arguments: Sequence[str]) -> Config:
    """Returns the stored config with --config.KEY=VALUE applied, parsed by ml_collections."""
    config = to_config_dict(stored)
    for argument in arguments:
        key, _, value = re.sub(r"--?(no)?config\.", "", argument).partition("=")
        _check_key(name, key)
        values = flags.FlagValues()
        command = ["main.py", argument]
        try:
            config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=command)
            values(command)
        except (flags.Error, ValueError, TypeError):
            raise UserError(f"{key} is {value!r}: needs {table()[key].rule.needs}") from None
    return checked(config)


def _check_key(name: str, key: str) -> None:
    changeable = names_in("evaluation", "place")
    if key not in changeable:
        raise UserError(f"--mode {name} cannot change {key}: needs one of {', '.join(changeable)}")


def explain(error: Exception, argv: list[str]) -> str:
    """Turns an error of absl or ml_collections into a line that names the override and the nearest key."""
    if isinstance(error, UserError):
        return str(error)
    path = next((a.split("=", 1)[1] for a in argv if a.startswith("--config=")), None)
    if path is None and "--config" in argv[:-1]:
        path = argv[argv.index("--config") + 1]
    if path is None:
        return first_line(error)
    if not Path(path.split(":")[0]).is_file():
        return f"--config {path} does not exist: needs a file such as experiments/food10.py"
    try:
        spec = config_flags.DEFINE_config_file("probe", path, flag_values=(probe := flags.FlagValues()))
        probe(["probe"])
        known = dict(flatten(spec.value))
    except Exception as broken:
        if isinstance(broken, ImportError) and broken.name in MOVED:
            return f"--config {path} imports {broken.name}, which has moved: write {MOVED[broken.name]!r}"
        return f"--config {path} cannot be read: {type(broken).__name__}: {broken}".splitlines()[0]
    for argument in argv[1:]:
        name, _, value = argument.removeprefix("--").partition("=")
        if name.startswith("config.") and argument.startswith("--"):
            key = name.removeprefix("config.")
            if key not in known:
                return f"config has no key {key!r}{nearest(key, known)}"
            if f"{name}" in str(error) or repr(value) in str(error):
                kind = type(known[key]).__name__
                return f"{key} is {value!r}: needs a value of type {kind}, such as {known[key]!r}"
    return first_line(error)
