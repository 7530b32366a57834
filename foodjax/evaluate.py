"""Numbers from predictions: accuracy with its interval, the per-class table, one row for each image."""

import csv
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.table import Table
from sklearn.metrics import precision_recall_fscore_support

from foodjax.metrics import Metrics


class Predictions(NamedTuple):
    """What the model says of N examples.

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


class Report(NamedTuple):
    """The evaluation of a test set.

    Attributes:
        accuracy: fraction of right predictions.
        interval: 95 % Wilson score interval of the accuracy.
        loss: mean cross-entropy, nats.
        num_examples: N.
        classes: (name, precision, recall, f_score, support) of each class, highest F-score first.
    """

    accuracy: float
    interval: tuple[float, float]
    loss: float
    num_examples: int
    classes: list[tuple[str, float, float, float, int]]


def predict(eval_step: Any, params: Any, batches: Iterable[dict[str, np.ndarray]]) -> Predictions:
    """Runs `eval_step` over padded batches and collects what is not padding."""
    total: Metrics | None = None
    probabilities, labels, rows = [], [], []
    for batch in batches:
        row = batch.pop("row")
        metrics, probs = eval_step(params, batch)
        total = metrics if total is None else total.merge(metrics)
        real = row >= 0
        probabilities.append(jax.device_get(probs)[real])
        labels.append(batch["label"][real])
        rows.append(row[real])
    assert total is not None, "no batches"
    return Predictions(total.compute(), *map(np.concatenate, (probabilities, labels, rows)))


def wilson_interval(num_correct: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Returns the Wilson score interval of a proportion (Wilson 1927); z is the normal quantile, here of 95 %."""
    p = num_correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def create_report(predictions: Predictions, class_names: tuple[str, ...]) -> Report:
    """Returns precision, recall, F-score and support of each class, and the overall accuracy."""
    predicted = predictions.probabilities.argmax(axis=1)
    table = precision_recall_fscore_support(
        predictions.labels,
        predicted,
        labels=range(len(class_names)),
        zero_division=0.0,  # pyright: ignore
    )
    rows = [
        (name, float(p), float(r), float(f), int(s))
        for name, p, r, f, s in zip(class_names, *table, strict=True)  # pyright: ignore
    ]
    num_correct, n = int((predicted == predictions.labels).sum()), len(predicted)
    rows.sort(key=lambda row: -row[3])
    return Report(num_correct / n, wilson_interval(num_correct, n), predictions.metrics["loss"], n, rows)


def to_table(report: Report) -> Table:
    """Returns the per-class table for the terminal."""
    table = Table(title=None, box=None, pad_edge=False)
    for name in ("class", "precision", "recall", "F-score", "support"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for name, precision, recall, f_score, support in report.classes:
        table.add_row(name, f"{precision:.3f}", f"{recall:.3f}", f"{f_score:.3f}", str(support))
    return table


def sentence(report: Report) -> str:
    """Returns the outcome in a line."""
    low, high = report.interval
    return (
        f"test accuracy {report.accuracy:.4%} (95 % interval {low:.1%} to {high:.1%}), "
        f"loss {report.loss:.4f}, {report.num_examples} images"
    )


def write_files(
    folder: Path, report: Report, predictions: Predictions, ids: list[str], class_names: tuple[str, ...]
) -> None:
    """Writes evaluation.json, classes.csv and predictions.csv (id, true, predicted, probability)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(report._asdict(), indent=2) + "\n")
    with (folder / "classes.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["class", "precision", "recall", "f_score", "support"])
        writer.writerows(report.classes)
    with (folder / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "true", "predicted", "probability"])
        for row, label, probs in zip(predictions.rows, predictions.labels, predictions.probabilities, strict=True):
            best = int(probs.argmax())
            writer.writerow([ids[row], class_names[label], class_names[best], f"{probs[best]:.6f}"])
