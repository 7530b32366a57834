"""The optimum of multinomial logistic regression with an L2 penalty, for several sets of photographs at once.

A classifier has a kernel W and a bias b. For photographs x_i with labels y_i and weights a_i, whose sum is 1, it is the
only minimum of

    sum_i a_i (logsumexp(x_i W + b) - (x_i W + b)[y_i])  +  strength / 2 ||W||^2.

The folds of cross-validation differ in the weights alone: a photograph that is held out has weight 0. So one product of
matrices serves all folds. L-BFGS (Liu and Nocedal, Mathematical Programming 1989) minimises them side by side, each
with its own step. Two things make it need few steps: the features are rotated to their principal axes, which changes
neither the penalty nor the minimum, and there the diagonal of the Hessian is a good first guess at its inverse.
"""

from collections import deque
from typing import NamedTuple

import numpy as np

_MEMORY = 10  # steps that L-BFGS knows of
_MAX_STEPS = 1000
_MAX_HALVINGS = 40
# Gaps after which the Hessian is guessed again: it changes much on the way to an optimum without errors.
_STAGES = (1e-2, 1e-4, 1e-6, 1e-8)
_DECREASE = 1e-4  # of Armijo's rule
_ROUNDING = 1e-15  # of a loss, relative: less is no increase


class Rotated(NamedTuple):
    """Features by their principal axes.

    Attributes:
        inputs: float64 (N, R + 1), the rotated features and a column of ones, for the bias.
        axes: float64 (D, R), orthonormal columns; R is the smaller one of N and D.
    """

    inputs: np.ndarray
    axes: np.ndarray


def rotate(features: np.ndarray) -> Rotated:
    """Rotates features (N, D), each of mean 0."""
    from scipy import linalg  # takes a tenth of a second, and a training by steps has no use for it

    if len(features) < features.shape[1]:
        axes = np.linalg.svd(features, full_matrices=False)[2].T
    else:
        axes = linalg.eigh(features.T @ features)[1]
    return Rotated(np.concatenate([features @ axes, np.ones((len(features), 1))], 1), axes)


class LogisticRegression:
    """F classifiers on the same photographs; each has its own weights of these."""

    def __init__(self, features: Rotated, labels: np.ndarray, weights: np.ndarray, num_classes: int):
        """Starts at the minimum for a kernel of zeros.

        Args:
            features: of N photographs.
            labels: int (N,), from 0 to K - 1.
            weights: float64 (F, N), at least 0; in each row every class has some.
            num_classes: K.
        """
        self._inputs, self._axes = features
        self._labels, self._rows = labels, np.arange(len(labels))
        self._weights = (weights / weights.sum(1, keepdims=True)).T  # (N, F)
        self._squares = np.einsum("nr,nr->r", self._inputs, self._inputs) / len(labels)
        shares = np.stack([np.bincount(labels, row, num_classes) for row in self._weights.T])
        self._solution = np.zeros((self._inputs.shape[1], *shares.shape))  # (R + 1, F, K)
        self._solution[-1] = np.log(shares)

    def minimise(self, strength: float, gap: float) -> float:
        """Goes from the present classifiers to those of a strength.

        The norm g of the gradient by kernel and bias is at most sqrt(2 strength gap) at the end. The penalty gives the
        sum a curvature of at least `strength` along the kernel: it is then within g^2 / (2 strength) of its minimum.

        Args:
            strength: of the penalty, above 0.
            gap: how far the sum may be above its minimum, nats.

        Returns:
            The largest such gap, over the classifiers. It is larger than `gap` where rounding allows no further step.
        """
        penalty = np.append(np.full(len(self._solution) - 1, strength), 0.0)[:, None, None]
        norms = np.zeros(0)

        def loss(solution: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return self._loss(solution, penalty)

        for stage in [*(first for first in _STAGES if first > gap), gap]:
            _, probabilities = self._predict(self._solution)
            variance = np.einsum("nf,nfk->fk", self._weights, probabilities * (1 - probabilities))
            inverse = 1 / (self._squares[:, None, None] * np.maximum(variance, 1e-8) + penalty)
            self._solution, norms = _minimise(loss, self._solution, inverse, np.sqrt(2 * strength * stage))
        return float(norms.max() ** 2 / (2 * strength))

    def log_probabilities(self) -> np.ndarray:
        """Returns those of all photographs by each classifier, float64 (N, F, K)."""
        return self._predict(self._solution)[0]

    def classifier(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns kernel (D, K) and bias (K,) of one classifier."""
        return self._axes @ self._solution[:-1, number], self._solution[-1, number]

    def _predict(self, solution: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the logarithms of the probabilities and the probabilities, (N, F, K)."""
        logits = (self._inputs @ solution.reshape(len(solution), -1)).reshape(-1, *solution.shape[1:])
        logits -= logits.max(2, keepdims=True)
        exponentials = np.exp(logits)
        totals = exponentials.sum(2, keepdims=True)
        logits -= np.log(totals)
        exponentials /= totals
        return logits, exponentials

    def _loss(self, solution: np.ndarray, penalty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the objective of each classifier (F,) and its gradient (R + 1, F, K)."""
        logs, residuals = self._predict(solution)
        values = -np.einsum("nf,nf->f", self._weights, logs[self._rows, :, self._labels])
        residuals[self._rows, :, self._labels] -= 1
        residuals *= self._weights[:, :, None]
        gradient = (self._inputs.T @ residuals.reshape(len(residuals), -1)).reshape(solution.shape)
        weighted = penalty * solution
        return values + _dot(weighted, solution) / 2, gradient + weighted


def _minimise(loss, solution: np.ndarray, inverse: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Minimises F convex functions by L-BFGS side by side.

    A step halves until the function falls enough (Armijo). No more is asked of it: the functions are strictly convex,
    so each step shows a positive curvature.

    Args:
        loss: returns the values (F,) and the gradients (P, F, K).
        solution: where to start, (P, F, K).
        inverse: the diagonal of an approximate inverse of each Hessian, (P, F, K).
        tolerance: of the norm of each gradient.

    Returns:
        The minima (P, F, K) and the norms of the gradients there (F,).
    """
    values, gradient = loss(solution)
    steps: deque[tuple[np.ndarray, np.ndarray, np.ndarray]] = deque(maxlen=_MEMORY)
    for _ in range(_MAX_STEPS):
        is_open = np.sqrt(_dot(gradient, gradient)) > tolerance
        if not is_open.any():
            break
        direction = -_times_inverse_hessian(gradient, steps, inverse) * is_open[:, None]
        slopes, length = _dot(gradient, direction), np.ones(len(values))
        for _ in range(_MAX_HALVINGS):
            there = solution + length[:, None] * direction
            new_values, new_gradient = loss(there)
            falls = new_values <= values + _DECREASE * length * slopes + _ROUNDING * np.abs(values)
            if falls.all():
                break
            length = np.where(falls, length, length / 2)
        else:
            break
        change = new_gradient - gradient
        curvature = _dot(there - solution, change)
        # Of a classifier that has ended both are 0, and the step counts for nothing.
        weight = np.where(curvature > 0, 1 / np.where(curvature > 0, curvature, 1), 0)
        steps.append((there - solution, change, weight))
        solution, values, gradient = there, new_values, new_gradient
    return solution, np.sqrt(_dot(gradient, gradient))


def _times_inverse_hessian(gradient: np.ndarray, steps, inverse: np.ndarray) -> np.ndarray:
    """Returns the gradient times the inverse Hessian that the steps show: the recursion of L-BFGS with two loops."""
    result, factors = gradient, []
    for step, change, weight in reversed(steps):
        factors.append(weight * _dot(step, result))
        result = result - factors[-1][:, None] * change
    result = inverse * result
    if steps:
        _, change, weight = steps[-1]
        size = weight * _dot(change, inverse * change)  # of the last change: as the inverse predicts, by what it was
        result = result / np.where(size > 0, size, 1)[:, None]
    for (step, change, weight), factor in zip(steps, reversed(factors), strict=True):
        result = result + (factor - weight * _dot(change, result))[:, None] * step
    return result


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the inner product for each of F: (P, F, K), (P, F, K) -> (F,)."""
    return np.einsum("pfk,pfk->f", a, b)
