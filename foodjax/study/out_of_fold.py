"""Out-of-fold predictions: of every photograph by the network that was neither trained nor validated on it."""

import csv
from collections.abc import Sequence

from foodjax.config.variants import slug
from foodjax.evaluation.scores import COLUMNS
from foodjax.study import fold_runs
from foodjax.study.results import RunResult
from foodjax.system.cells import read_csv, to_csv
from foodjax.system.errors import UserError


def to_table(group: Sequence[RunResult]) -> str:
    """Returns the predictions of all folds of a variant as CSV: the columns of predictions.csv, and `fold`, from 1.

    Of several assignments (data.fold_seed), and of several seeds, it has the first.

    Args:
        group: the runs of one variant, on folds.

    Raises:
        UserError: a fold is missing, a file of predictions is damaged, or the folds are not of the same photographs.
    """
    runs = fold_runs.by_unit(group)
    first = {unit.fold.number: of[0] for unit, of in runs.items() if unit.seed == next(iter(runs)).seed}
    count = fold_runs.num_folds(group[0])
    if missing := sorted(set(range(1, count + 1)) - first.keys()):
        raise UserError(f"fold {', '.join(map(str, missing))} of {count} is missing")
    rows, seen = [], set()
    for number, run in sorted(first.items()):
        try:
            found = read_csv(run.workdir / "evaluation" / "predictions.csv")
            of_fold = [[row[name] for name in COLUMNS] for row in found]
        except (OSError, KeyError, ValueError, csv.Error) as error:
            raise UserError(f"{run.workdir}: evaluation/predictions.csv is damaged ({error})") from None
        rows += [[*row, number] for row in of_fold]
        seen |= {row[0] for row in of_fold}
    if len(seen) < len(rows):
        raise UserError(f"{len(rows) - len(seen):,} photographs are in two folds: the runs are not on the same ones")
    return to_csv([*COLUMNS, "fold"], rows)


def to_files(groups: Sequence[Sequence[RunResult]]) -> tuple[dict[str, str], list[str]]:
    """Returns (name -> content of a file for each variant on folds, a line for each that has none)."""
    files, lines = {}, []
    for group in groups:
        if not fold_runs.num_folds(group[0]):
            continue
        try:
            files[f"out_of_fold-{slug(group[0].label)}.csv"] = to_table(group)
        except UserError as error:
            lines.append(f"no out-of-fold predictions of {group[0].label}: {error}")
    return files, lines
