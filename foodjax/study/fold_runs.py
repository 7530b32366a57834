"""Runs on folds: what a comparison knows them by, their accuracies, and the share of photographs that a fold tests.

A run is one draw of its variant: of a seed, or of a fold. Draws on folds are compared fold by fold.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from foodjax.config.fold import Fold, parse
from foodjax.study.results import RunResult


class Unit(NamedTuple):
    """A fold of one assignment: what two variants are compared on.

    Attributes:
        seed: data.fold_seed, which assigns photographs to folds.
        fold: data.fold.
    """

    seed: int
    fold: Fold

    def __str__(self) -> str:
        return str(self.fold) + (f" of fold_seed {self.seed}" if self.seed else "")


def num_folds(run: RunResult) -> int:
    """Returns how many folds the photographs of a run are split into; 0 for a run without folds."""
    fold = parse(run.config.data.fold)
    return fold.count if fold else 0


def unit_of(run: RunResult) -> Unit | None:
    """Returns the fold that a run is tested on; None without folds."""
    fold = parse(run.config.data.fold)
    return Unit(run.config.data.fold_seed, fold) if fold else None


def draw_of(run: RunResult) -> int | str:
    """Returns the draw of its variant that a run is: its seed, such as 3, or its fold, such as "2/5"."""
    unit = unit_of(run)
    return run.config.seed if unit is None else str(unit)


def words(count: int) -> str:
    """Returns a number of folds, of `num_folds`, in words."""
    return f"{count} folds" if count else "no folds"


def by_unit(group: Sequence[RunResult]) -> dict[Unit, list[RunResult]]:
    """Returns the runs of a variant by their folds, in their order; those without folds are left out."""
    found: dict[Unit, list[RunResult]] = {}
    for run in group:
        if (unit := unit_of(run)) is not None:
            found.setdefault(unit, []).append(run)
    return dict(sorted(found.items()))


def accuracies(group: Sequence[RunResult]) -> dict[Unit, float]:
    """Returns the accuracy on each fold, 0..1; the mean over seeds where it has several."""
    return {u: float(np.mean([run.result["test_accuracy"] for run in runs])) for u, runs in by_unit(group).items()}


def tested_share(group: Sequence[RunResult]) -> float:
    """Returns the photographs of a fold for each one of the other folds, which train and validate; the mean of runs.

    Of n whole folds it is 1 / (n - 1).
    """
    sizes = [[run.data[part]["images"] for part in ("train", "validation", "test")] for run in group]
    return float(np.mean([test / max(1, train + validation) for train, validation, test in sizes]))


def num_tested(group: Sequence[RunResult]) -> int:
    """Returns the number of photographs in all folds together; once, where a fold has several runs."""
    return sum(runs[0].data["test"]["images"] for runs in by_unit(group).values())
