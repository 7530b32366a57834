"""Calibration: expected calibration error, reliability diagram, temperature scaling.

Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2) divides the logits by one
number T, fitted on the validation set. On probabilities it is p^(1/T), normalised; so averaged probabilities can be
scaled too. The predicted class never changes.
"""

import math
from typing import NamedTuple

import numpy as np

LIMITS = (0.01, 100.0)  # of a temperature; no network that has learned anything lies outside


class Calibration(NamedTuple):
    """Predictions sorted into bins of equal width by the probability of the predicted class.

    Attributes:
        counts: number of predictions in each bin, (M,).
        confidence: mean probability in each bin, (M,); nan in an empty bin.
        accuracy: fraction of right predictions in each bin, (M,); nan in an empty bin.
        error: expected calibration error (Naeini et al. 2015), the mean of |accuracy - confidence| over examples.
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float


def reliability(probabilities: np.ndarray, labels: np.ndarray, num_bins: int = 10) -> Calibration:
    """Returns the calibration of probabilities (N, K) for labels (N,); a bin is (m / M, (m + 1) / M]."""
    confidence, right = probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    counts, sums, hits = (
        np.bincount(bins, weights, minlength=num_bins) for weights in (None, confidence, right.astype(np.float64))
    )
    with np.errstate(invalid="ignore"):
        error = float(np.abs(hits - sums).sum() / len(labels))
        return Calibration(counts, sums / counts, hits / counts, error)


def scale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Returns p^(1/T) / sum p^(1/T) of probabilities (N, K), in float64: float32 could make two classes equal."""
    powers = np.exp(_logits(probabilities) / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def mean_loss(probabilities: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Returns the mean of -log p(label) at a temperature, nats, for probabilities (N, K) and labels (N,)."""
    logits = _logits(probabilities) / temperature
    return float((np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]).mean())


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature with the lowest mean loss.

    The loss is convex in b = 1/T. Its derivative, the mean of sum_k p_k(b) log p_k - log p(label), rises with b and has
    one zero.

    Args:
        probabilities: finite, (N, K).
        labels: true classes, (N,).

    Returns:
        T in [0.01, 100]; 1.0 if the minimum is not inside. Without a mistake in the set the loss falls as T falls; with
        predictions worse than chance it falls as T rises. Neither is evidence about other images.
    """
    from scipy import optimize  # takes a third of a second, and a prediction has no use for it

    logits = _logits(probabilities)
    of_label = logits[np.arange(len(labels)), labels]

    def slope(log_b: float) -> float:
        powers = np.exp(logits * math.exp(log_b))
        return float(((powers * logits).sum(axis=1) / powers.sum(axis=1) - of_label).mean())

    low, high = (math.log(1 / limit) for limit in reversed(LIMITS))
    if not slope(low) < 0 < slope(high):
        return 1.0
    return math.exp(-float(optimize.brentq(slope, low, high, xtol=1e-12)))  # pyright: ignore[reportArgumentType]


def _logits(probabilities: np.ndarray) -> np.ndarray:
    """Returns log p minus each row's largest, float64 (N, K); a p of 0 counts as the smallest float32."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).smallest_subnormal))
    return logs - logs.max(axis=1, keepdims=True)
