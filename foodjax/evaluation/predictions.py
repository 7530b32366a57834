"""Predictions for a set of examples, collected from padded batches."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from foodjax.steps.metrics import Metrics


class Predictions(NamedTuple):
    """Predictions for N examples.

    Attributes:
        metrics: "loss" in nats and "accuracy" in 0..1.
        probabilities: float32 (N, K).
        labels: int (N,), the true classes.
        rows: int (N,), row numbers in the prepared set.
    """

    metrics: dict[str, float]
    probabilities: np.ndarray
    labels: np.ndarray
    rows: np.ndarray

    @property
    def confusion(self) -> np.ndarray:
        """The confusion matrix: number of examples, int (K, K), of each true class (rows) and predicted class."""
        k = self.probabilities.shape[1]
        found = np.zeros((k, k), int)
        np.add.at(found, (self.labels, self.probabilities.argmax(axis=1)), 1)
        return found


def collect_predictions(
    eval_step: Any,
    variables: Any,
    batches: Iterable[dict[str, np.ndarray]],
    labels: np.ndarray,
    put: Callable[[dict[str, np.ndarray]], Any] = lambda batch: batch,
) -> Predictions:
    """Runs `eval_step` over padded batches and collects the predictions without the padding.

    Args:
        eval_step: of `steps.make_steps`.
        variables: the network's.
        batches: of `batches.eval_batches`.
        labels: of all rows of the set.
        put: makes of a batch, of which this process has a part, what the step takes.
    """
    total: Metrics | None = None
    probabilities, rows = [], []
    for batch in batches:
        row = batch.pop("row")
        metrics, probs = eval_step(variables, put(batch))
        total = metrics if total is None else total.merge(metrics)
        real = row >= 0
        probabilities.append(jax.device_get(probs)[real])
        rows.append(row[real])
    assert total is not None, "no batches"
    found = np.concatenate(rows)
    return Predictions(total.compute(), np.concatenate(probabilities), labels[found].astype(np.int32), found)
