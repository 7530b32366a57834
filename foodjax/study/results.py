"""Reads finished runs from their workdirs, in groups that differ in the seed alone."""

import csv
import glob
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from foodjax.config.check import nearest
from foodjax.config.fold import parse
from foodjax.config.keys import Config
from foodjax.models import summary
from foodjax.models.convnet import create_model
from foodjax.system.cells import read_csv
from foodjax.system.errors import UserError, first_line
from foodjax.system.files import PathLike, to_path
from foodjax.workdir import data_record, run_record
from foodjax.workdir.description import read_description
from foodjax.workdir.metrics import read_metrics

# Name in a remark -> key of a session in run.json; a difference in it is worth a remark.
MADE_WITH = {"code": "git", "versions": "packages", "device": "device"}


class RunResult(NamedTuple):
    """A finished run, read from its workdir.

    Attributes:
        label: the workdir's name without "-fold<k>of<n>" and "-seed<k>".
        workdir: the run's folder.
        started: time of the start, ISO 8601, UTC.
        config: the experiment.
        metrics: rows of metrics.jsonl, one for each epoch.
        images_per_second: in training, for each epoch.
        result: `result` of run.json.
        data: digests of each part of the data.
        made_with: code revision, package versions and device of every session.
        predictions: id of each test image -> (true class, predicted class).
        num_params: parameters of the network.
        multiply_adds: for one image.
        files: id of each test image -> digest of its file; empty for runs of older versions.
    """

    label: str
    workdir: Path
    started: str
    config: Config
    metrics: list[dict[str, Any]]
    images_per_second: list[float]
    result: dict[str, Any]
    data: dict[str, Any]
    made_with: dict[str, set[str]]
    predictions: dict[str, tuple[str, str]]
    num_params: int
    multiply_adds: int
    files: dict[str, str] = {}


def read_run(workdir: PathLike) -> RunResult:
    """Reads a finished run.

    Raises:
        UserError: the run is not finished, or its files are damaged.
    """
    workdir = to_path(workdir)
    config, class_names = read_description(workdir)
    record = run_record.read(workdir)
    if record["result"] is None:
        raise UserError(f"workdir {workdir} holds no finished run")
    timing, metrics = read_metrics(workdir / "timing.jsonl"), read_metrics(workdir / "metrics.jsonl")
    try:
        _check(record, metrics)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"workdir {workdir} is damaged: run.json or metrics.jsonl: {first_line(error)}") from None
    try:
        rows = read_csv(workdir / "evaluation" / "predictions.csv")
        predictions = {row["id"]: (row["true"], row["predicted"]) for row in rows}
        if not predictions:
            raise csv.Error("it has no rows")
    except (OSError, KeyError, csv.Error) as error:
        raise UserError(f"workdir {workdir} is damaged: needs evaluation/predictions.csv ({error})") from None
    recorded = data_record.read(workdir)
    test = recorded.photographs.get("test", []) if recorded else []
    layers = summary.layers(create_model(config, len(class_names)), config.input_size)
    return RunResult(
        label_of(workdir.name),
        workdir,
        record["sessions"][0]["started"],
        config,
        metrics,
        [row["images_per_second"] for row in timing if row.get("images_per_second")],
        record["result"],
        record["sessions"][-1]["data"],
        {name: {json.dumps(s[key]) for s in record["sessions"]} for name, key in MADE_WITH.items()},
        predictions,
        sum(layer.num_params for layer in layers),
        sum(layer.multiply_adds for layer in layers),
        {one.id: one.digest for one in test},
    )


def label_of(name: str) -> str:
    """Returns the label of a run, given the name of its workdir."""
    return re.sub(r"(-fold\d+of\d+)?(-seed\d+)?$", "", name)


def _check(record: dict[str, Any], metrics: list[dict[str, Any]]) -> None:
    """Checks what a comparison reads of a run; raises KeyError, TypeError, ValueError or IndexError."""
    for found, names in (
        (record["result"], ("epochs", "best_epoch", "best_val_loss", "test_accuracy", "test_loss")),
        *((row, ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")) for row in metrics or [{}]),
    ):
        for name in names:
            if type(found[name]) not in (int, float) or not abs(found[name]) < 1e300:
                raise ValueError(f"{name} is {str(found[name])[:40]!r}, no number")
    for session in record["sessions"]:
        for name in MADE_WITH.values():
            session[name]
    if not data_record.are_digests(record["sessions"][-1]["data"]):
        raise ValueError("the digests of the photographs are missing")
    if type(record["sessions"][0]["started"]) is not str:
        raise ValueError("the time of the start is no text")


def read_groups(patterns: PathLike | Sequence[PathLike], baseline: str = "") -> tuple[list[list[RunResult]], list[str]]:
    """Reads finished runs, each once, grouped by label: the baseline first, the others in order of start.

    Args:
        patterns: workdirs, or glob patterns of them such as runs/ablate_blocks/*.
        baseline: label of the baseline; empty: "baseline" if a run has that label, else the label started first.

    Returns:
        (groups, a line with the reason for each run that was left out).

    Raises:
        UserError: no finished run matches, or none has the label of the baseline.
    """
    places = [patterns] if isinstance(patterns, str | os.PathLike) else patterns
    parts = [str(to_path(place)) for place in places]
    folders = dict.fromkeys(Path(found) for part in parts for found in [part, *sorted(glob.glob(part))])
    runs: list[RunResult] = []
    left_out = []
    for folder in folders:
        if not (folder / "config.json").exists():
            continue  # a log file, a page, ...
        try:
            runs.append(read_run(folder))
        except UserError as error:
            left_out.append(str(error))
    groups = _by_label(runs)
    if not groups:
        raise UserError(
            f"--runs {' '.join(parts)} matches no finished run: needs workdirs of finished runs" + _and(left_out)
        )
    groups = dict(sorted(groups.items(), key=lambda group: min(run.started for run in group[1])))
    name = baseline or ("baseline" if "baseline" in groups else next(iter(groups)))
    if name not in groups:
        raise UserError(f"--baseline is {name!r}{nearest(name, groups)}: needs one of {', '.join(groups)}")
    return [groups.pop(name), *groups.values()], left_out


def _by_label(runs: list[RunResult]) -> dict[str, list[RunResult]]:
    """Returns the runs by their labels; those of one name with and without folds, or in other folds, are apart."""
    kinds: dict[str, dict[int, list[RunResult]]] = {}
    for run in runs:
        fold = parse(run.config.data.fold)
        kinds.setdefault(run.label, {}).setdefault(fold.count if fold else 0, []).append(run)
    groups: dict[str, list[RunResult]] = {}
    for label, by_count in kinds.items():
        for count, group in by_count.items():
            name = f"{label} in {count} folds" if count and len(by_count) > 1 else label
            groups[name] = [run._replace(label=name) for run in group]
    return groups


def _and(left_out: list[str]) -> str:
    return f"; left out: {left_out[0]}" if left_out else ""
