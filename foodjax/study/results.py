"""Finished runs as they lie on disk, and the groups of them that differ in nothing but the seed."""

import csv
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from foodjax.config.check import nearest
from foodjax.config.keys import Config
from foodjax.models import summary
from foodjax.models.convnet import create_model
from foodjax.system.errors import UserError
from foodjax.workdir import run_record
from foodjax.workdir.description import read_description
from foodjax.workdir.logs import read_metrics

# What a difference of is worth a remark, and where a session of run.json tells it.
MADE_WITH = {"code": "git", "versions": "packages", "device": "device"}


class RunResult(NamedTuple):
    """What a workdir holds of a run.

    Attributes:
        label: the workdir's name without "-seed<k>".
        workdir: where it lies.
        started: when, in ISO 8601, UTC.
        config: the experiment.
        metrics: the numbers of each epoch.
        images_per_second: in training, of each epoch.
        result: of run.json.
        data: the fingerprint of its data.
        made_with: the code's revision, the versions and the device of every session.
        predictions: for each test image's id its true and its predicted class.
        num_params: parameters of the network.
        multiply_adds: of one image through the network.
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


def read_run(workdir: Path) -> RunResult:
    """Reads a finished run.

    Raises:
        UserError: it is not finished, or its files are damaged.
    """
    config, class_names = read_description(workdir)
    record = run_record.read(workdir)
    if record["result"] is None:
        raise UserError(f"workdir {workdir} holds no finished run")
    timing = read_metrics(workdir / "timing.jsonl")
    try:
        with (workdir / "evaluation" / "predictions.csv").open(newline="") as file:
            predictions = {row["id"]: (row["true"], row["predicted"]) for row in csv.DictReader(file)}
    except (OSError, KeyError, csv.Error) as error:
        raise UserError(f"workdir {workdir} is damaged: no predictions ({error})") from None
    layers = summary.layers(create_model(config, len(class_names)), config.input_size)
    return RunResult(
        re.sub(r"-seed\d+$", "", workdir.name),
        workdir,
        record["sessions"][0]["started"],
        config,
        read_metrics(workdir / "metrics.jsonl"),
        [row["images_per_second"] for row in timing if row.get("images_per_second")],
        record["result"],
        record["sessions"][-1]["data"],
        {name: {json.dumps(s[key]) for s in record["sessions"]} for name, key in MADE_WITH.items()},
        predictions,
        sum(layer.num_params for layer in layers),
        sum(summary.multiply_adds(layer) for layer in layers),
    )


def read_groups(pattern: str, baseline: str) -> tuple[list[list[RunResult]], list[str]]:
    """Reads all finished runs that `pattern` matches, in groups of one label: the baseline, then as they were started.

    Args:
        pattern: of workdirs, such as runs/ablate_blocks/*; several between commas.
        baseline: label of the baseline; empty: "baseline" where there is one, else the first that was started.

    Returns:
        (groups, what was left out and why).

    Raises:
        UserError: nothing to compare, or no such baseline.
    """
    parts = [Path(part) for part in pattern.split(",")]
    folders = [f for part in parts for f in sorted(Path(part.anchor or ".").glob(str(part.relative_to(part.anchor))))]
    groups: dict[str, list[RunResult]] = {}
    left_out = []
    for folder in folders:
        if not (folder / "config.json").exists():
            continue  # a log file, a page, ...
        try:
            run = read_run(folder)
            groups.setdefault(run.label, []).append(run)
        except UserError as error:
            left_out.append(str(error))
    if not groups:
        raise UserError(f"--runs {pattern} matches no finished run: needs workdirs of training" + _and(left_out))
    groups = dict(sorted(groups.items(), key=lambda group: min(run.started for run in group[1])))
    name = baseline or ("baseline" if "baseline" in groups else next(iter(groups)))
    if name not in groups:
        raise UserError(f"--baseline {name} is none of the runs{nearest(name, groups)}: {', '.join(groups)}")
    return [groups.pop(name), *groups.values()], left_out


def _and(left_out: list[str]) -> str:
    return f"; left out: {left_out[0]}" if left_out else ""
