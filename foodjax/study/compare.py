"""Compares runs: cost, accuracy over seeds, and the difference to the baseline with its interval and test.

From three seeds of both variants on, the test is over seeds and images (`significance.over_seeds`). With one seed of
each it is over images alone, for these two networks. Anything between is too little for a test. Runs on folds
(data.fold) are compared fold by fold (`significance.over_folds`). Many variants are tested against one baseline, so p
is also given adjusted after Holm. docs/statistics.md has the method and its errors.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from foodjax.study import failed, fold_runs, same_photographs, significance, unfair
from foodjax.study.results import RunResult

SEEDS, PAIRS, IMAGES, TOO_FEW = "seeds", "seeds in pairs", "images alone", "too few seeds"
FOLDS, TOO_FEW_FOLDS = "folds", "too few folds"


class Spread(NamedTuple):
    """Mean and sample standard deviation over seeds; the deviation of one seed is nan."""

    mean: float
    deviation: float


class Row(NamedTuple):
    """One variant of a comparison.

    Attributes:
        label: name of the variant.
        num_seeds: number of seeds.
        num_params: parameters of the network.
        multiply_adds: for one image.
        images_per_second: in training, the median over epochs and seeds.
        epochs: trained epochs, mean over seeds.
        val_loss: lowest validation loss of each run, nats.
        accuracy: on the test set, 0..1.
        difference: accuracy minus the baseline's; nan for the baseline and for runs that cannot be compared.
        interval: 95 % interval of the difference.
        p: two-sided, of this variant alone.
        p_holm: p adjusted after Holm for the number of variants tested against the baseline.
        wins: estimated probability that the variant beats the baseline on a new seed of each, on these test images.
        wins_interval: its 95 % interval.
        tested: over what: `SEEDS` (and images), `PAIRS` (of one seed, and images), `IMAGES`, `FOLDS`; `TOO_FEW` and
            `TOO_FEW_FOLDS` for no test; "".
        failed: seeds, or folds, that failed: of `fold_runs.draw_of`.
        flags: failed seeds, and reasons why the comparison is unfair.
        by_fold: accuracy on each fold, in their order; () without folds.
        accuracy_interval: 95 % interval of the accuracy over folds; nan without folds.
    """

    label: str
    num_seeds: int
    num_params: int
    multiply_adds: int
    images_per_second: float
    epochs: float
    val_loss: Spread
    accuracy: Spread
    difference: float
    interval: tuple[float, float]
    p: float
    p_holm: float
    wins: float
    wins_interval: tuple[float, float]
    tested: str
    failed: tuple[int | str, ...]
    flags: tuple[str, ...]
    by_fold: tuple[float, ...] = ()
    accuracy_interval: tuple[float, float] = (math.nan, math.nan)


class _Test(NamedTuple):
    """The fields of a row that the baseline does not have."""

    difference: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    p: float = math.nan
    p_holm: float = math.nan
    wins: float = math.nan
    wins_interval: tuple[float, float] = (math.nan, math.nan)
    tested: str = ""


def compare(groups: list[list[RunResult]]) -> list[Row]:
    """Returns a row for each group of runs that differ in seed and fold alone; the first group is the baseline.

    Of several runs with one seed, on one fold, the first counts: they are no two draws.
    """
    rows, once = [], [_once(group) for group in groups]
    base = once[0]
    lost = failed.find_failed([[failed.scored(list(run.predictions.values())) for run in group] for group in once])
    for group, every, failures in zip(once, groups, lost, strict=True):
        kind = "fold" if fold_runs.num_folds(group[0]) else "seed"
        flags = [
            f"{kind} {fold_runs.draw_of(group[k])} {why} ({100 * group[k].result['test_accuracy']:.1f} %{more})"
            for k, (why, more) in failures.items()
        ]
        if len(group) < len(every):
            flags.append(f"{len(every) - len(group)} runs with a {kind} that another has: not counted")
        remarks = unfair.flags_of(group, base)
        untested = group is base or any(flag.startswith("not compared") for flag in remarks)
        run = group[0]
        speed = [x for r in group for x in r.images_per_second]
        by_fold = tuple(fold_runs.accuracies(group).values())
        rows.append(
            Row(
                run.label,
                len(group),
                run.num_params,
                run.multiply_adds,
                float(np.median(speed)) if speed else math.nan,
                float(np.mean([r.result["epochs"] for r in group])),
                _spread([r.result["best_val_loss"] for r in group]),
                _spread(list(by_fold) or [r.result["test_accuracy"] for r in group]),
                *(_Test() if untested else _test_folds(group, base) if by_fold else _test(group, base)),
                tuple(fold_runs.draw_of(group[k]) for k in failures),
                (*flags, *remarks),
                by_fold,
                _interval_of(by_fold, group),
            )
        )
    tested = [k for k, row in enumerate(rows) if not math.isnan(row.p)]
    for k, p in zip(tested, significance.holm([rows[k].p for k in tested]), strict=True):
        rows[k] = rows[k]._replace(p_holm=p)
    return rows


def _once(group: list[RunResult]) -> list[RunResult]:
    """Returns the first run of each seed and fold, in their order."""
    first: dict[tuple[Any, int], RunResult] = {}
    for run in group:
        first.setdefault((fold_runs.unit_of(run) or (), run.config.seed), run)
    return [first[draw] for draw in sorted(first)]


def _test(group: list[RunResult], base: list[RunResult]) -> _Test:
    """Tests a variant against the baseline as far as their seeds allow."""
    ours, theirs = _right(group, base), _right(base, base)
    apart = float(ours.mean() - theirs.mean())
    if len(ours) == len(theirs) == 1:
        found = significance.over_images(ours[0], theirs[0])
        return _Test(apart, (found.low, found.high), found.p, tested=IMAGES)
    if min(len(ours), len(theirs)) < significance.MIN_SEEDS:
        return _Test(apart, tested=TOO_FEW)
    same_seeds = [run.config.seed for run in group] == [run.config.seed for run in base]
    found = significance.over_seeds(ours, theirs, same_seeds=same_seeds)
    paired = bool(found.paired)
    share, low, high = significance.wins(ours.mean(1), theirs.mean(1), paired=paired)
    return _Test(
        apart, (float(found.low), float(found.high)), float(found.p), math.nan, float(share), (float(low), float(high)),
        PAIRS if paired else SEEDS,
    )  # fmt: skip


def _test_folds(group: list[RunResult], base: list[RunResult]) -> _Test:
    """Tests a variant against the baseline on the folds that both have."""
    ours, theirs = fold_runs.accuracies(group), fold_runs.accuracies(base)
    both = [unit for unit in ours if unit in theirs]
    a, b = (np.array([of[unit] for unit in both]) for of in (ours, theirs))
    apart = float(a.mean() - b.mean()) if both else math.nan
    if len(both) < significance.MIN_FOLDS:
        return _Test(apart, tested=TOO_FEW_FOLDS)
    runs = [run for run in group if fold_runs.unit_of(run) in both]
    found = significance.over_folds(a, b, tested=fold_runs.tested_share(runs), images=fold_runs.num_tested(runs))
    return _Test(apart, (float(found.low), float(found.high)), float(found.p), tested=FOLDS)


def _interval_of(by_fold: tuple[float, ...], group: list[RunResult]) -> tuple[float, float]:
    if len(by_fold) < significance.MIN_FOLDS:
        return math.nan, math.nan
    tested, images = fold_runs.tested_share(group), fold_runs.num_tested(group)
    low, high = significance.of_folds(np.array(by_fold), tested=tested, images=images)
    return float(low), float(high)


def _right(group: list[RunResult], base: list[RunResult]) -> np.ndarray:
    """Returns whether each run, in rows, predicts each test image of the baseline right: 0 or 1."""
    ids, rows = list(base[0].predictions), []
    for run in group:
        predictions = same_photographs.align(run, base[0])
        rows.append([predictions[i][0] == predictions[i][1] for i in ids])
    return np.array(rows, float)


def _spread(values: list[float]) -> Spread:
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan)
