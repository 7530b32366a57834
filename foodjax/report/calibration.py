"""How well probabilities tell how often the network is right."""

from typing import NamedTuple

import numpy as np


class Calibration(NamedTuple):
    """Predictions sorted into bins of equal width by the probability of the predicted class.

    Attributes:
        counts: how many fall into each bin, (M,).
        confidence: their mean probability, (M,); nan in an empty bin.
        accuracy: how many of them are right, as a fraction, (M,); nan in an empty bin.
        error: expected calibration error (Naeini et al. 2015), the mean of |accuracy - confidence| over examples.
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float


def calibrate(probabilities: np.ndarray, labels: np.ndarray, num_bins: int = 10) -> Calibration:
    """Returns the calibration of probabilities (N, K) for labels (N,); a bin is (m / M, (m + 1) / M]."""
    confidence, right = probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    counts, sums, hits = (
        np.bincount(bins, weights, minlength=num_bins) for weights in (None, confidence, right.astype(np.float64))
    )
    with np.errstate(invalid="ignore"):
        error = float(np.abs(hits - sums).sum() / len(labels))
        return Calibration(counts, sums / counts, hits / counts, error)
