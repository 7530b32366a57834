"""Compares runs: cost, accuracy over seeds, and the difference to the baseline with a paired test.

The test is paired by image: c is the share of a variant's seeds that predict an image right, and the difference of an
image is d = c(variant) - c(baseline). The mean of d is the difference in accuracy; its interval is a bootstrap over
images (Efron 1979). p is the share of random signs of d whose mean is as far from zero; with one seed this is McNemar's
exact test (1947). Many variants are tested at once, so p is adjusted after Benjamini & Hochberg (1995).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from foodjax.config.check import difference, not_identity
from foodjax.study import same_photographs
from foodjax.study.results import MADE_WITH, RunResult
from foodjax.system.errors import UserError

RESAMPLES = 9999
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
        num_seeds: number of runs.
        num_params: parameters of the network.
        multiply_adds: for one image.
        images_per_second: in training, the median over epochs and seeds.
        epochs: trained epochs, mean over seeds.
        val_loss: lowest validation loss of each run, nats.
        accuracy: on the test set, 0..1.
        difference: accuracy minus the baseline's; nan for the baseline and for runs that cannot be compared.
        interval: 95 % bootstrap interval of the difference, over images.
        p: of the paired test, adjusted for the number of variants.
        flags: reasons why the comparison is unfair.
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
    flags: tuple[str, ...]


def compare(groups: list[list[RunResult]]) -> list[Row]:
    """Returns a row for each group of runs that differ in the seed alone; the first group is the baseline."""
    rows, base = [], groups[0]
    for group in groups:
        flags = _flags(group, base)
        difference, interval, p = math.nan, (math.nan, math.nan), math.nan
        if group is not base and not any(flag.startswith("not compared") for flag in flags):
            difference, interval, p = paired_test(_correct(group, base), _correct(base, base))
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
                difference,
                interval,
                p,
                tuple(flags),
            )
        )
    tested = [i for i, row in enumerate(rows) if not math.isnan(row.p)]
    if tested:
        adjusted = stats.false_discovery_control([rows[i].p for i in tested])
        for i, p in zip(tested, adjusted, strict=True):
            rows[i] = rows[i]._replace(p=float(p))
    return rows


def paired_test(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, tuple[float, float], float]:
    """Compares two variants on the same images.

    Args:
        ours: (N,) share of our runs that predict each image right.
        theirs: (N,) the same for the baseline.

    Returns:
        (mean difference, its 95 % interval, two-sided p).
    """
    d = ours - theirs
    if not d.any():
        return 0.0, (0.0, 0.0), 1.0
    interval = stats.bootstrap((d,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(0))
    low, high = interval.confidence_interval
    # Images with d = 0 have no sign. A single other image is as far from zero with either sign, so p is 1.
    unequal, p = d[d != 0], 1.0
    if len(unequal) > 1:
        rng = np.random.default_rng(0)
        p = stats.permutation_test(
            (unequal,), np.mean, permutation_type="samples", vectorized=True, n_resamples=RESAMPLES, rng=rng
        ).pvalue
    return float(d.mean()), (float(low), float(high)), float(p)


def _correct(group: list[RunResult], base: list[RunResult]) -> np.ndarray:
    ids, rows = list(base[0].predictions), []
    for run in group:
        predictions = same_photographs.align(run, base[0])
        rows.append([predictions[i][0] == predictions[i][1] for i in ids])
    return np.mean(rows, axis=0)


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
