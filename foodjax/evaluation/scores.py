"""Scores of predictions: accuracy with its interval, loss, calibration error, scores of each class, and their files."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from foodjax.evaluation.calibration import reliability
from foodjax.evaluation.predictions import Predictions
from foodjax.system import files
from foodjax.system.cells import to_csv
from foodjax.system.console import cell

COLUMNS = ("id", "true", "predicted", "probability")  # of predictions.csv


class ClassScores(NamedTuple):
    """The scores of one class, each in 0..1.

    Attributes:
        name: of the class.
        precision: share of the images predicted as this class that belong to it; 0 if there are none.
        recall: share of the images of this class that are predicted as it; 0 if there are none.
        f_score: harmonic mean of precision and recall; 0 if both are.
        support: number of test images of this class. Without any its scores mean nothing; tables leave them out.
    """

    name: str
    precision: float
    recall: float
    f_score: float
    support: int


class Scores(NamedTuple):
    """The evaluation of a test set.

    Attributes:
        accuracy: fraction of right predictions.
        interval: 95 % Wilson score interval of the accuracy.
        loss: mean cross-entropy, nats.
        calibration_error: expected calibration error with ten bins, in 0..1.
        num_examples: N.
        classes: the scores of each class, highest F-score first; classes without images come last.
    """

    accuracy: float
    interval: tuple[float, float]
    loss: float
    calibration_error: float
    num_examples: int
    classes: list[ClassScores]


def wilson_interval(num_correct: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Returns the Wilson score interval of a proportion (Wilson 1927); z is the normal quantile, here of 95 %."""
    p = num_correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def compute_scores(predictions: Predictions, class_names: tuple[str, ...]) -> Scores:
    """Returns precision, recall, F-score and support of each class, the overall accuracy and the calibration error."""
    from sklearn.metrics import precision_recall_fscore_support  # takes a second, so only when needed

    predicted = predictions.probabilities.argmax(axis=1)
    table = precision_recall_fscore_support(
        predictions.labels,
        predicted,
        labels=range(len(class_names)),
        zero_division=0.0,  # pyright: ignore
    )
    rows = [
        ClassScores(name, float(p), float(r), float(f), int(s))
        for name, p, r, f, s in zip(class_names, *table, strict=True)  # pyright: ignore
    ]
    num_correct, n = int((predicted == predictions.labels).sum()), len(predicted)
    rows.sort(key=lambda row: (not row.support, -row.f_score))
    error = reliability(predictions.probabilities, predictions.labels).error
    return Scores(num_correct / n, wilson_interval(num_correct, n), predictions.metrics["loss"], error, n, rows)


def cells(row: ClassScores) -> list[str]:
    """Returns the scores of a class as text for a table; a class without images has dashes."""
    name, *values, support = row
    return [name, *(f"{value:.3f}" if support else "–" for value in values), str(support)]


def to_table(scores: Scores) -> Table:
    """Returns the per-class table for the terminal."""
    table = Table(title=None, box=None, pad_edge=False)
    for name in ("class", "precision", "recall", "F-score", "support"):
        table.add_column(name, justify="left" if name == "class" else "right", overflow="fold")
    for row in scores.classes:
        name, *values = cells(row)
        table.add_row(cell(name), *values)
    return table


def sentence(scores: Scores, top5: float | None = None) -> str:
    """Returns the scores as one line, with the top-5 accuracy where it is known."""
    low, high = scores.interval
    beside = "" if top5 is None else f"top-5 accuracy {top5:.2%}, "
    return (
        f"test accuracy {scores.accuracy:.4%} (95 % interval {low:.1%} to {high:.1%}), {beside}"
        f"loss {scores.loss:.4f}, calibration error {scores.calibration_error:.3f}, {scores.num_examples} images"
    )


def write_files(
    folder: Path,
    scores: Scores,
    predictions: Predictions,
    ids: list[str],
    class_names: tuple[str, ...],
    more: dict[str, Any],
) -> None:
    """Writes evaluation.json, classes.csv and predictions.csv (id, true, predicted, probability).

    In classes.csv the scores of a class without images are empty.

    Args:
        folder: where the files are written.
        scores: scores of the predictions.
        predictions: predictions of the test set.
        ids: ids of the prepared set.
        class_names: in label order.
        more: further entries of evaluation.json.

    Raises:
        UserError: the files cannot be written.
    """
    rows = []
    for row, label, probs in zip(predictions.rows, predictions.labels, predictions.probabilities, strict=True):
        best = int(probs.argmax())
        rows.append([ids[row], class_names[label], class_names[best], f"{probs[best]:.6f}"])
    table = [row if row.support else (row.name, "", "", "", 0) for row in scores.classes]
    texts = {
        "classes.csv": to_csv(["class", "precision", "recall", "f_score", "support"], table),
        "predictions.csv": to_csv(COLUMNS, rows),
        "evaluation.json": json.dumps(scores._asdict() | more, indent=2) + "\n",
    }
    files.write_all(folder, texts)
