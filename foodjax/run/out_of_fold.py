"""Out-of-fold probabilities: each photograph's by a linear classifier that has seen neither it nor its duplicates.

The strength of the penalty is chosen for each fold by photographs outside it (nested cross-validation): the classifier
of fold f has the strength with which classifiers that see neither f nor another fold g predict g best. One classifier
without f and g serves both, so F folds need F + F (F - 1) / 2 of them, side by side.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from foodjax.run import linear
from foodjax.run.folds import KEPT, stratified_folds
from foodjax.run.logistic import LogisticRegression
from foodjax.system.errors import UserError

_GAP = 1e-6  # of a classifier: how far its sum is above the minimum, nats


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
        features: float32 (V, N, D), of V views of each photograph; its probabilities are the mean over them.
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
    views, count, dim = features.shape
    weights = np.ones(num_classes) if class_weights is None else np.asarray(class_weights, np.float64)
    rows, all_labels = features.reshape(views * count, dim), np.tile(labels, views)
    linear.check(rows, all_labels, num_classes, weights)
    folds = stratified_folds(labels, num_classes, num_folds, seed, groups)
    if (folds == KEPT).all():
        raise UserError("no class has two photographs that are no duplicates: out-of-fold probabilities need some")
    num_folds = int(folds.max()) + 1
    sets = [{fold} for fold in range(num_folds)]
    if num_folds > 2:
        sets += [set(pair) for pair in itertools.combinations(range(num_folds), 2)]
    held_out = _without(sets, labels, folds)
    standardised = linear.standardise(rows, len(sets) * num_classes).rotated
    regression = LogisticRegression(
        standardised, all_labels, np.tile(np.where(held_out, 0, weights[labels]), views), num_classes
    )
    found = np.full((count, num_classes), np.nan)
    best, since, chosen = np.full(num_folds, np.inf), np.zeros(num_folds, int), [0.0] * num_folds
    middle = linear.STRENGTHS[len(linear.STRENGTHS) // 2]
    for strength in linear.STRENGTHS if num_folds > 2 else (middle,):
        regression.minimise(strength, _GAP)
        logs = regression.log_probabilities().reshape(views, count, len(sets), num_classes)
        losses = _losses(logs, sets, held_out, labels, weights, folds)
        for fold in range(num_folds):
            since[fold] += 1
            if losses[fold] < best[fold]:
                best[fold], since[fold], chosen[fold] = losses[fold], 0, strength
                inside = folds == fold
                found[inside] = np.exp(logs[:, inside, fold]).mean(0)
        if (since >= 2).all():
            break
    return OutOfFold(found, folds, tuple(chosen))


def _without(sets: Sequence[set[int]], labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Returns which photographs a classifier does not see, bool (sets, N): those of some folds.

    A class that would be gone stays: a classifier needs a photograph of each.
    """
    held_out = np.array([np.isin(folds, list(some)) for some in sets])
    for label in np.unique(labels):
        gone = held_out[:, labels == label].all(1)
        held_out[np.ix_(gone, labels == label)] = False
    return held_out


def _losses(
    logs: np.ndarray,  # (V, N, sets, K)
    sets: Sequence[set[int]],
    held_out: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    folds: np.ndarray,
) -> np.ndarray:
    """Returns for each fold the loss in the others, by classifiers that see neither, (F,); 0 of two folds."""
    num_folds = int(folds.max()) + 1
    sums, counts = np.zeros(num_folds), np.zeros(num_folds)
    for number, pair in enumerate(sets[num_folds:], start=num_folds):
        for fold, other in itertools.permutations(pair):
            (at,) = np.nonzero(held_out[number] & (folds == other))
            weight = weights[labels[at]]
            sums[fold] -= (weight * logs[:, at, number, labels[at]].mean(0)).sum()
            counts[fold] += weight.sum()
    return sums / np.maximum(counts, 1e-300)
