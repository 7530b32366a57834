"""Compares runs: cost, accuracy over seeds, and the difference to the baseline with its interval and test.

From three seeds of both variants on, the test is over seeds and images (`significance.over_seeds`). With one seed of
each it is over images alone, for these two networks. Anything between is too little for a test. Many variants are
tested against one baseline, so p is also given adjusted after Holm. docs/statistics.md has the method and its errors.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from foodjax.config.check import difference, not_identity
from foodjax.study import failed, same_photographs, significance
from foodjax.study.results import MADE_WITH, RunResult
from foodjax.system.errors import UserError

SEEDS, PAIRS, IMAGES, TOO_FEW = "seeds", "seeds in pairs", "images alone", "too few seeds"
# Keys in which the seeds of a variant may differ. A run may go on with more patience, but a seed that had more is no
# repetition of the others.
_MAY_DIFFER = {*not_identity(), "name", "seed", "data.decoding"} - {"train.patience"}


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
        tested: over what: `SEEDS` (and images), `PAIRS` (of one seed, and images), `IMAGES`, `TOO_FEW` for no test; "".
        failed: seeds that failed.
        flags: failed seeds, and reasons why the comparison is unfair.
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
    failed: tuple[int, ...]
    flags: tuple[str, ...]


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
    """Returns a row for each group of runs that differ in the seed alone; the first group is the baseline.

    Of several runs with one seed the first counts: they are no two draws.
    """
    rows, once = [], [_once(group) for group in groups]
    base = once[0]
    lost = failed.find_failed([[failed.scored(list(run.predictions.values())) for run in group] for group in once])
    for group, every, failures in zip(once, groups, lost, strict=True):
        flags = [
            f"seed {group[k].config.seed} {why} ({100 * group[k].result['test_accuracy']:.1f} %{more})"
            for k, (why, more) in failures.items()
        ]
        if len(group) < len(every):
            flags.append(f"{len(every) - len(group)} runs with a seed that another has: not counted")
        unfair = _flags(group, base)
        untested = group is base or any(flag.startswith("not compared") for flag in unfair)
        run = group[0]
        speed = [x for r in group for x in r.images_per_second]
        rows.append(
            Row(
                run.label,
                len(group),
                run.num_params,
                run.multiply_adds,
                float(np.median(speed)) if speed else math.nan,
                float(np.mean([r.result["epochs"] for r in group])),
                _spread([r.result["best_val_loss"] for r in group]),
                _spread([r.result["test_accuracy"] for r in group]),
                *(_Test() if untested else _test(group, base)),
                tuple(group[k].config.seed for k in failures),
                (*flags, *unfair),
            )
        )
    tested = [k for k, row in enumerate(rows) if not math.isnan(row.p)]
    for k, p in zip(tested, significance.holm([rows[k].p for k in tested]), strict=True):
        rows[k] = rows[k]._replace(p_holm=p)
    return rows


def _once(group: list[RunResult]) -> list[RunResult]:
    """Returns the first run of each seed, in the order of the seeds."""
    first: dict[int, RunResult] = {}
    for run in group:
        first.setdefault(run.config.seed, run)
    return [first[seed] for seed in sorted(first)]


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


def _right(group: list[RunResult], base: list[RunResult]) -> np.ndarray:
    """Returns whether each run, in rows, predicts each test image of the baseline right: 0 or 1."""
    ids, rows = list(base[0].predictions), []
    for run in group:
        predictions = same_photographs.align(run, base[0])
        rows.append([predictions[i][0] == predictions[i][1] for i in ids])
    return np.array(rows, float)


def _flags(group: list[RunResult], base: list[RunResult]) -> list[str]:
    """Returns why a group's comparison is unfair; "not compared" where the test would be meaningless."""
    flags = []
    for run in group[1:]:
        # Older versions decoded otherwise; where the pixels show that, they are flagged below.
        found = difference(group[0].config, run.config, ignore=_MAY_DIFFER)
        if found:
            raise UserError(f"{group[0].workdir} and {run.workdir} have the same label but differ: {found}")
    seeds, others = ({run.config.seed for run in runs} for runs in (group, base))
    if seeds != others:
        flags.append(f"seeds {_list(seeds)}, the baseline's are {_list(others)}")
    first = base[0]
    for run in group:
        truth = {i: true for i, (true, _) in same_photographs.align(run, first).items()}
        known = {i: true for i, (true, _) in first.predictions.items()}
        if truth != known or same_photographs.is_other(run, first, "test"):
            flags.append("not compared: other test images")
            break
    for part in ("train", "validation", "test"):
        if part == "test" and "not compared: other test images" in flags:
            continue  # what follows from it
        if any(same_photographs.differ(run, first, part) for run in group):
            flags.append(f"other {part} images")
        elif any(same_photographs.have_other_pixels(run, first, part) for run in group):
            others = (_other_input(run, first) for run in group)
            flags.append(f"{next(filter(None, others), 'not compared: other pixels')} ({part})")
    for name in MADE_WITH:
        if any(run.made_with[name] != first.made_with[name] for run in group):
            flags.append(f"other {name}")
    epochs = {run.config.train.epochs for run in group}
    if epochs != {run.config.train.epochs for run in base}:
        flags.append(f"train.epochs {_list(epochs)}")
    return flags


def _other_input(run: RunResult, first: RunResult) -> str:
    """Returns how the pictures of one run were prepared otherwise than those of another; "" if alike."""
    ours, theirs = run.config.data, first.config.data
    if (ours.image_size, ours.resize) != (theirs.image_size, theirs.resize):
        return "other input size"
    if ours.geometry != theirs.geometry:
        return "other geometry"
    return "other decoding" if ours.decoding != theirs.decoding else ""


def _list(values: set[Any]) -> str:
    return ", ".join(map(str, sorted(values)))


def _spread(values: list[float]) -> Spread:
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan)
