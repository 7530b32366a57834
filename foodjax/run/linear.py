"""A linear classifier on features of photographs: multinomial logistic regression with an L2 penalty.

The penalty is on the kernel for standardised features. Its strength is chosen by cross-validation.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from foodjax.data.folds import KEPT, stratified_folds
from foodjax.run.logistic import LogisticRegression, Rotated, rotate
from foodjax.system import memory
from foodjax.system.console import say
from foodjax.system.errors import UserError

STRENGTHS = tuple(10 ** (k / 2) for k in range(4, -11, -1))  # from 100 to 1e-5; tried until two in a row are worse
GAP = 1e-11  # of the final classifier: how far its sum is above the minimum, nats
_GAP_OF_FOLDS = 1e-6
_CONSTANT = 1e-6  # a deviation below this share of the feature's mean, or of the largest deviation, is rounding


class Strength(NamedTuple):
    """What cross-validation found for one strength of the penalty, on photographs that were held out.

    Attributes:
        strength: of the penalty.
        loss: mean cross-entropy, nats; with class weights, the weighted mean.
        accuracy: share that is predicted right, 0..1, without weights.
        deviation: standard deviation of the accuracy over the folds.
    """

    strength: float
    loss: float
    accuracy: float
    deviation: float


class Linear(NamedTuple):
    """A linear classifier: logits = features @ kernel + bias.

    Attributes:
        kernel: float32 (D, K), for features as they are; 0 for a feature that was constant.
        bias: float32 (K,), of mean 0.
        strength: of the penalty.
        folds: the strengths that were tried, from the strongest on; () without cross-validation.
        num_folds: of the cross-validation, 0 without.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strength: float
    folds: tuple[Strength, ...]
    num_folds: int

    @property
    def held_out(self) -> Strength | None:
        """What cross-validation found for the strength that was chosen; None without cross-validation."""
        return next((row for row in self.folds if row.strength == self.strength), None)


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    strengths: Sequence[float] | None = None,
    num_folds: int = 5,
    seed: int = 0,
    groups: np.ndarray | None = None,
    class_weights: np.ndarray | None = None,
) -> Linear:
    """Fits a linear classifier: chooses the strength of the penalty by cross-validation, then fits all photographs.

    The classifier minimises, for standardised features x, weights c of the classes and N photographs,

        sum_i c[y_i] cross_entropy(x_i W + b, y_i) / sum_i c[y_i]  +  strength / 2 ||W||^2,

    which is scikit-learn's LogisticRegression with C = 1 / (strength * sum_i c[y_i]). The norm of the
    gradient by W and b is at most sqrt(2e-11 strength) at the end: the sum is within 1e-11 nats of its minimum. The
    strength is that of the smallest loss on held-out photographs.

    Args:
        features: float32 (N, D).
        labels: int (N,), from 0 to K - 1; every class has a photograph.
        num_classes: K, at least 2.
        strengths: of the penalty, above 0; None: 100, 31.6, 10 and so on, until two in a row are worse than the best.
        num_folds: at most so many; fewer where no class has as many photographs. A class of one photograph is never
            held out. If no class has two, there is no cross-validation and the middle strength is taken.
        seed: of the folds.
        groups: int (N,), equal for duplicates, which stay in one fold; None: there are none.
        class_weights: (K,), above 0; None: all are 1.

    Returns:
        The classifier, with what cross-validation found.

    Raises:
        UserError: a feature is not finite; a class has no photograph; a strength is not above 0; there is not enough
            memory.
        ValueError: sizes do not agree, or a label is none of the K classes.
    """
    features, labels = np.asarray(features), np.asarray(labels)
    tried = _check_strengths(strengths)
    weights = np.ones(num_classes) if class_weights is None else np.asarray(class_weights, np.float64)
    check(features, labels, num_classes, weights)
    rotated, mean, deviation = standardise(features, num_folds * num_classes)
    folds = stratified_folds(labels, num_classes, num_folds, seed, groups)
    table: tuple[Strength, ...] = ()
    strength = tried[len(tried) // 2]
    if (folds != KEPT).any():
        table = _cross_validate(rotated, labels, weights, folds, tried, ends_early=strengths is None)
        strength = min(table, key=lambda row: row.loss).strength
    regression = LogisticRegression(rotated, labels, weights[labels][None], num_classes)
    gap = regression.minimise(strength, GAP)
    if gap > GAP:
        say(f"the linear classifier of strength {strength:.2g} is within {gap:.1e} nats of its optimum, not {GAP:g}")
    kernel, bias = regression.classifier(0)
    kernel = kernel / deviation[:, None]
    bias = bias - mean @ kernel
    bias -= bias.mean()  # the same number on all logits changes no probability
    return Linear(kernel.astype(np.float32), bias.astype(np.float32), strength, table, int(folds.max()) + 1)


class Standardised(NamedTuple):
    """Standardised features (N, D).

    Attributes:
        rotated: the features, each of mean 0 and deviation 1, by their principal axes.
        mean: of each feature before, (D,).
        deviation: the same; infinite for a feature that was constant.
    """

    rotated: Rotated
    mean: np.ndarray
    deviation: np.ndarray


def standardise(features: np.ndarray, num_logits: int) -> Standardised:
    """Standardises features (N, D); `num_logits` are computed of each photograph later.

    Raises:
        UserError: there is not enough memory.
    """
    num, dim = features.shape
    # In float64: the features and their rotation twice; then the rotation, and logits and probabilities of all folds.
    needed = 8 * num * max(3 * dim, dim + 4 * num_logits)
    memory.check(needed, f"a linear classifier of {num:,} photographs")
    standardised = features.astype(np.float64)
    mean = standardised.mean(0)
    standardised -= mean
    deviation = np.sqrt(np.einsum("nd,nd->d", standardised, standardised) / num)
    deviation[deviation <= _CONSTANT * np.maximum(np.abs(mean), deviation.max())] = np.inf
    standardised /= deviation
    return Standardised(rotate(standardised), mean, deviation)


def _cross_validate(
    features: Rotated,
    labels: np.ndarray,
    weights: np.ndarray,
    folds: np.ndarray,
    strengths: Sequence[float],
    *,
    ends_early: bool,
) -> tuple[Strength, ...]:
    """Returns the loss and accuracy of held-out photographs for each strength.

    All photographs standardise the features, those that are held out too: that uses no label of theirs, and the folds
    can share one matrix.

    Args:
        features: of all photographs, standardised.
        labels: int (N,).
        weights: (K,), of the classes.
        folds: int (N,), of `stratified_folds`.
        strengths: of the penalty, the strongest first: each one starts where the one before has ended.
        ends_early: when two in a row are worse than the best, the rest is left out.
    """
    held_out = np.arange(folds.max() + 1)[:, None] == folds  # (F, N)
    regression = LogisticRegression(features, labels, np.where(held_out, 0, weights[labels]), len(weights))
    (rows,) = np.nonzero(folds != KEPT)
    table: list[Strength] = []
    for strength in strengths:
        regression.minimise(strength, _GAP_OF_FOLDS)
        logs = regression.log_probabilities()[rows, folds[rows]]  # by the classifier that has not seen them (M, K)
        losses = -logs[np.arange(len(rows)), labels[rows]]
        is_right = logs.argmax(1) == labels[rows]
        by_fold = [is_right[folds[rows] == fold].mean() for fold in range(len(held_out))]
        loss = np.average(losses, weights=weights[labels[rows]])
        table.append(Strength(strength, float(loss), float(is_right.mean()), float(np.std(by_fold, ddof=1))))
        best = min(range(len(table)), key=lambda number: table[number].loss)
        if ends_early and len(table) - 1 - best == 2:
            break
    return tuple(table)


def _check_strengths(strengths: Sequence[float] | None) -> tuple[float, ...]:
    """Returns the strengths, the strongest first."""
    if strengths is None:
        return STRENGTHS
    if not len(strengths) or not all(0 < strength < np.inf for strength in strengths):
        raise UserError(f"the strengths of the penalty are {list(strengths)}: needs numbers above 0")
    return tuple(sorted({float(strength) for strength in strengths}, reverse=True))


def check(features: np.ndarray, labels: np.ndarray, num_classes: int, weights: np.ndarray) -> None:
    """Checks what a classifier is fitted to: features (N, D), labels (N,), weights of the classes (K,).

    Raises:
        UserError: a feature is not finite; a class has no photograph; there are fewer than two classes.
        ValueError: sizes do not agree, or a label is none of the classes.
    """
    if features.ndim != 2 or labels.shape != features.shape[:1] or weights.shape != (num_classes,):
        raise ValueError(
            f"features are {features.shape}, labels {labels.shape}, class weights {weights.shape}: needs (N, D), (N,) "
            f"and ({num_classes},)"
        )
    if not (weights > 0).all() or not np.isfinite(weights).all():
        raise ValueError(f"the class weights are {weights.tolist()}: needs numbers above 0")
    if num_classes < 2:
        raise UserError(f"there is {num_classes} class: a linear classifier needs at least 2")
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(f"labels are {labels.min()} to {labels.max()}: needs 0 to {num_classes - 1}")
    for label in np.flatnonzero(np.bincount(labels, minlength=num_classes) == 0):
        raise UserError(f"class number {label} has no photograph to train on: needs at least one of each class")
    for row in np.flatnonzero(~np.isfinite(features).all(1)):
        raise UserError(f"the features of photograph {row} of {len(features)} are not finite: needs another network")
