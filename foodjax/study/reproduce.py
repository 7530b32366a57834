"""Reproduces a run: trains it again and compares the results."""

import json
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from foodjax.config.check import checked, replace
from foodjax.config.keys import Config
from foodjax.data.cache import with_known_cache
from foodjax.data.sets import load_data
from foodjax.run import probe, solvers
from foodjax.system import files
from foodjax.system.console import say
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike, to_path
from foodjax.workdir import data_check, description, run_record, writer
from foodjax.workdir.metrics import read_metrics

FILES = ("metrics.jsonl", "evaluation/evaluation.json", "evaluation/predictions.csv", "evaluation/classes.csv")


def reproduce(
    config: Config | ConfigDict, workdir: PathLike, again: PathLike, origin: dict[str, Any] | None = None
) -> bool:
    """Trains the finished run of `workdir` again in `again` and compares every number of both.

    A probe computes its features again. Services of `log.writers` get nothing of it: the workdir, which names them, may
    come from anyone.

    Args:
        config: the workdir's config.
        workdir: folder of the finished run; nothing in it changes.
        again: new folder, or that of an interrupted earlier call.
        origin: file and overrides of the config, for run.json of the new run.

    Returns:
        Whether metrics, evaluation and predictions are the same to the byte; the place of the photographs may differ.

    Raises:
        UserError: the run is not finished, or its photographs are others now.
    """
    workdir, again = to_path(workdir), to_path(again)
    config = with_known_cache(checked(config), description.read_description(workdir)[0])
    record = run_record.read(workdir)
    if record["result"] is None:
        raise UserError(f"workdir {workdir} holds no finished run: reproduce needs one to compare with")
    config = replace(config, {"log.writers": tuple(n for n in config.log.writers if n in writer.LOCAL)})
    data = None
    if not (description.check(again, config) and description.read_finished(again, config.train)):
        data = data_check.check_data(workdir, config, load_data(config))
    say(f"running {workdir} again in {again}", flush=True)
    solvers.train(config, again, origin=origin, data=data, cached=False)
    ours, theirs = run_record.read(again)["sessions"][-1], record["sessions"][-1]
    for line in environment_changes(ours, theirs):
        say(line)
    found = differences(again, workdir)
    for line in found:
        say(line)
    count = len(read_metrics(again / "metrics.jsonl"))
    if not found:
        epochs = "1 epoch" if count == 1 else f"{count} epochs"
        print(f"the same: {epochs}, evaluation and every prediction are equal to the byte")
    else:
        print(f"not the same: {len(found)} of {len(_names(workdir))} files differ")
    return not found


def differences(again: PathLike, workdir: PathLike) -> list[str]:
    """Returns a line for each file of results that differs between two workdirs."""
    lines = []
    for name in _names(to_path(workdir)):
        ours, theirs = (_results(to_path(folder) / name) for folder in (again, workdir))
        if ours != theirs:
            pairs = enumerate(zip(ours.splitlines(), theirs.splitlines(), strict=False), start=1)
            first = next(((i, a, b) for i, (a, b) in pairs if a != b), None)
            where = f"line {first[0]} is {_change(first[1], first[2])}" if first else "one has more lines"
            lines.append(f"{name} differs: {where}")
    return lines


def _names(workdir: Path) -> tuple[str, ...]:
    """Returns the names of the files of results that a run has."""
    return (*FILES, probe.FILE) if (workdir / probe.FILE).exists() else FILES


def _results(path: Path) -> str:
    """Returns a file of results; evaluation.json without what it says of the place of the photographs."""
    text = files.read_text(path, "surrogateescape")
    try:
        found = json.loads(text) if path.suffix == ".json" else None
    except (ValueError, RecursionError):
        return text  # damaged
    if not isinstance(found, dict):
        return text
    found.pop("data", None)
    return json.dumps(found, indent=2) + "\n"


def environment_changes(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Returns a line for each part of the environment that may explain another result."""
    lines = []
    ours, theirs = ours | {"data": _data(ours, theirs)}, theirs | {"data": _data(theirs, ours)}
    for key in ("git", "device", "cores", "platform", "data"):
        if ours[key] != theirs[key]:
            lines.append(f"{key} is {json.dumps(ours[key])} now and was {json.dumps(theirs[key])}")
    for name in sorted(ours["packages"].keys() | theirs["packages"].keys()):
        now, then = ours["packages"].get(name, "absent"), theirs["packages"].get(name, "absent")
        if now != then:
            lines.append(f"{name} is {now} now and was {then}")
    return lines


def _data(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Returns the digests of a session's photographs that the other session has, too: the contents where both do."""
    found = {}
    for part, known in one["data"].items():
        common = known.keys() & other["data"].get(part, {}).keys()
        names = {"images", "content"} if "content" in common else common
        found[part] = {name: known[name] for name in sorted(names)}
    return found


def _change(ours: str, theirs: str) -> str:
    try:
        a, b = json.loads(ours), json.loads(theirs)
        key = next(key for key in a if a[key] != b.get(key))
        return f"{key} {a[key]} now and was {b.get(key)}"
    except (ValueError, TypeError, StopIteration, AttributeError):
        return f"{ours!r} now and was {theirs!r}"
