"""Out-of-fold probabilities: each photograph's by a linear classifier that has seen neither it nor its duplicates.

Nothing that is chosen for a fold has seen its labels (nested cross-validation). For each two folds f and g there is a
classifier that has seen neither. Those without f show, for each strength of the penalty, how well photographs outside f
are predicted: the best strength is taken. They also show which labels outside f are the least likely: photographs with
these are left out, so that wrong labels teach the classifier of fold f little. F folds need F (F - 1) / 2 classifiers,
side by side, and F more.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from foodjax.data.folds import KEPT, stratified_folds
from foodjax.run import linear
from foodjax.run.logistic import LogisticRegression, Rotated
from foodjax.system.errors import UserError

_GAP = 1e-4  # of a classifier: how far its sum is above the minimum, nats
# Share of the photographs, those with the least likely labels, that a classifier is fitted without. With 5 % of the
# labels wrong in ten classes of Food-101, 5 and 8 % find 2 to 4 % more of these than none does.
_LEFT_OUT = 0.08
_LITTLE = 1e-6  # weight of those: a class may have no other photographs


class OutOfFold(NamedTuple):
    """Probabilities of N photographs.

    Attributes:
        probabilities: float64 (N, K); nan for a photograph that is never held out.
        folds: int (N,), from 0; KEPT for a photograph that is never held out.
        strengths: of the penalty, one for each fold.
    """

    probabilities: np.ndarray
    folds: np.ndarray
    strengths: tuple[float, ...]


def predict(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    num_folds: int = 5,
    seed: int = 0,
    groups: np.ndarray | None = None,
    class_weights: np.ndarray | None = None,
) -> OutOfFold:
    """Predicts each photograph by a classifier that was fitted without it.

    Args:
        features: float32 (N, D).
        labels: int (N,), from 0 to K - 1; every class has a photograph.
        num_classes: K, at least 2.
        num_folds: at most so many, as `folds.stratified_folds` has them.
        seed: of the folds.
        groups: int (N,), equal for duplicates, which stay in one fold; None: there are none.
        class_weights: (K,), above 0; None: all are 1.

    Raises:
        UserError: no class has two photographs that are no duplicates; a feature is not finite; a class has no
            photograph; there is not enough memory.
        ValueError: sizes do not agree, or a label is none of the K classes.
    """
    count = len(labels)
    weights = np.ones(num_classes) if class_weights is None else np.asarray(class_weights, np.float64)
    linear.check(features, labels, num_classes, weights)
    folds = stratified_folds(labels, num_classes, num_folds, seed, groups)
    if (folds == KEPT).all():
        raise UserError("no class has two photographs that are no duplicates: out-of-fold probabilities need some")
    num_folds = int(folds.max()) + 1
    pairs = [set(pair) for pair in itertools.combinations(range(num_folds), 2)] if num_folds > 2 else []
    standardised = linear.standardise(features, max(len(pairs), num_folds) * num_classes).rotated
    inner = np.full((num_folds, count), np.nan)
    chosen = np.full(num_folds, linear.STRENGTHS[len(linear.STRENGTHS) // 2])
    if pairs:
        inner, chosen = _choose(standardised, labels, weights, folds, pairs)
    held_out = np.arange(num_folds)[:, None] == folds
    shown = np.where(held_out, 0, np.where(_unlikely(inner), _LITTLE, weights[labels]))
    probabilities = np.full((count, num_classes), np.nan)
    for strength in np.unique(chosen):
        (some,) = np.nonzero(chosen == strength)
        regression = LogisticRegression(standardised, labels, shown[some], num_classes)
        regression.minimise(strength, _GAP)
        logs = regression.log_probabilities()
        for number, fold in enumerate(some):
            inside = folds == fold
            probabilities[inside] = np.exp(logs[inside, number])
    return OutOfFold(probabilities, folds, tuple(chosen.tolist()))


def _choose(
    features: Rotated, labels: np.ndarray, weights: np.ndarray, folds: np.ndarray, pairs: Sequence[set[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what `_inner` does, (F, N), at the strength of the smallest loss in each fold, and the strengths (F,)."""
    num_folds, held_out = int(folds.max()) + 1, _without(pairs, labels, folds)
    regression = LogisticRegression(features, labels, np.where(held_out, 0, weights[labels]), len(weights))
    inner, chosen = np.full((num_folds, len(labels)), np.nan), np.zeros(num_folds)
    best, since = np.full(num_folds, np.inf), np.zeros(num_folds, int)
    for strength in linear.STRENGTHS:
        regression.minimise(strength, _GAP)
        found = _inner(regression.log_probabilities(), pairs, held_out, labels, folds)
        for fold in np.flatnonzero(since < 2):  # one that has ended stays so: how long others go on is not its business
            loss, since[fold] = _loss(found[fold], weights[labels]), since[fold] + 1
            if loss < best[fold]:
                best[fold], since[fold], chosen[fold], inner[fold] = loss, 0, strength, found[fold]
        if (since >= 2).all():
            break
    return inner, chosen


def _without(sets: Sequence[set[int]], labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Returns which photographs a classifier does not see, bool (sets, N): those of some folds.

    A class that would be gone stays: a classifier needs a photograph of each.
    """
    held_out = np.array([np.isin(folds, list(some)) for some in sets])
    for label in np.unique(labels):
        gone = held_out[:, labels == label].all(1)
        held_out[np.ix_(gone, labels == label)] = False
    return held_out


def _inner(
    logs: np.ndarray,  # (N, sets, K)
    sets: Sequence[set[int]],
    held_out: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
) -> np.ndarray:
    """Returns the probability of each label outside a fold, (F, N), by a classifier that sees neither it nor the fold.

    It is nan for the photographs of the fold, and for those that are never held out.
    """
    found = np.full((int(folds.max()) + 1, len(labels)), np.nan)
    for number, some in enumerate(sets):
        for fold, other in itertools.permutations(some, 2):
            (at,) = np.nonzero(held_out[number] & (folds == other))
            found[fold, at] = np.exp(logs[at, number, labels[at]])
    return found


def _loss(probabilities: np.ndarray, weights: np.ndarray) -> float:
    """Returns the mean of -log p over the labels whose probability is known, nats; 0 where none is."""
    known = ~np.isnan(probabilities)
    return float(np.average(-np.log(probabilities[known]), weights=weights[known])) if known.any() else 0.0


def _unlikely(inner: np.ndarray) -> np.ndarray:
    """Returns the labels with the lowest probabilities, for each fold: bool (F, N)."""
    counts = np.round(_LEFT_OUT * (~np.isnan(inner)).sum(1)).astype(int)
    ranks = inner.argsort(1, kind="stable").argsort(1, kind="stable")  # nan comes last
    return ranks < counts[:, None]
