"""Numbers from predictions: accuracy with its interval, the per-class table, one row for each image."""

import csv
import io
import itertools
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from foodjax import files, logs
from foodjax import temperature as temperature_lib
from foodjax.calibration import reliability
from foodjax.checkpoint import load_best
from foodjax.data.prepare import Prepared, prepare
from foodjax.data.source import create_source
from foodjax.data.split import split
from foodjax.errors import UserError
from foodjax.predictions import Predictions
from foodjax.run import Data, Run
from foodjax.train_state import TrainState
from foodjax.train_step import configure_jax
from foodjax.workdir import read_description


class Report(NamedTuple):
    """The evaluation of a test set.

    Attributes:
        accuracy: fraction of right predictions.
        interval: 95 % Wilson score interval of the accuracy.
        loss: mean cross-entropy, nats.
        calibration_error: the expected one, of ten bins, in 0..1.
        num_examples: N.
        classes: (name, precision, recall, f_score, support) of each class, highest F-score first.
    """

    accuracy: float
    interval: tuple[float, float]
    loss: float
    calibration_error: float
    num_examples: int
    classes: list[tuple[str, float, float, float, int]]


class Evaluated(NamedTuple):
    """An evaluation and what it was made of.

    Attributes:
        run: the network and its steps.
        step: of the checkpoint.
        state: the checkpoint.
        data: the prepared set that was evaluated.
        predictions: what the network says of it.
        report: the numbers.
        folder: where they were written.
        temperature: that the predictions were made with; None without eval.calibrate.
    """

    run: Run
    step: int
    state: TrainState
    data: Prepared
    predictions: Predictions
    report: Report
    folder: Path
    temperature: temperature_lib.Temperature | None


def wilson_interval(num_correct: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Returns the Wilson score interval of a proportion (Wilson 1927); z is the normal quantile, here of 95 %."""
    p = num_correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def create_report(predictions: Predictions, class_names: tuple[str, ...]) -> Report:
    """Returns precision, recall, F-score and support of each class, the overall accuracy and the calibration error."""
    from sklearn.metrics import precision_recall_fscore_support  # takes a second: after the training, not before

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
    error = reliability(predictions.probabilities, predictions.labels).error
    return Report(num_correct / n, wilson_interval(num_correct, n), predictions.metrics["loss"], error, n, rows)


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
        f"loss {report.loss:.4f}, calibration error {report.calibration_error:.3f}, {report.num_examples} images"
    )


def write_files(
    folder: Path,
    report: Report,
    predictions: Predictions,
    ids: list[str],
    class_names: tuple[str, ...],
    more: dict[str, Any],
) -> None:
    """Writes evaluation.json, classes.csv and predictions.csv (id, true, predicted, probability).

    Args:
        folder: where to.
        report: the numbers.
        predictions: they are of.
        ids: of the prepared set.
        class_names: in label order.
        more: what evaluation.json tells besides the numbers.

    Raises:
        UserError: they cannot be written.
    """
    rows = []
    for row, label, probs in zip(predictions.rows, predictions.labels, predictions.probabilities, strict=True):
        best = int(probs.argmax())
        rows.append([ids[row], class_names[label], class_names[best], f"{probs[best]:.6f}"])
    texts = {
        "classes.csv": _csv(["class", "precision", "recall", "f_score", "support"], report.classes),
        "predictions.csv": _csv(["id", "true", "predicted", "probability"], rows),
        "evaluation.json": json.dumps(report._asdict() | more, indent=2) + "\n",
    }
    files.write_all(folder, texts)


def _csv(header: list[str], rows: Iterable[Any]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    return text.getvalue()


def _data_of(config: Any) -> dict[str, str]:
    """Returns what says which photographs a config means."""
    return {key: config.data[key] for key in ("dir", "source", "tfds_name", "tfds_dir")}


def _is_own(workdir: Path, config: Any) -> bool:
    """Tells whether a config means the photographs that the run of the workdir had."""
    return _data_of(config) == _data_of(read_description(workdir)[0])


def choose_folder(workdir: Path, config: Any, name: str) -> Path:
    """Returns the folder for an evaluation: evaluation/ of the run's own data, evaluation-NAME/ of other photographs.

    Args:
        workdir: of the run.
        config: the evaluation's.
        name: of the source of the photographs; a number tells different ones of the same name apart.
    """
    if _is_own(workdir, config):
        return workdir / "evaluation"
    for number in itertools.count(1):
        folder = workdir / (f"evaluation-{name}" if number == 1 else f"evaluation-{name}-{number}")
        if not folder.exists():
            return folder
        try:
            if json.loads((folder / "evaluation.json").read_text())["data"] == _data_of(config):
                return folder
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue  # not ours to overwrite
    raise AssertionError


def evaluate_best(
    run: Run, workdir: Path, data: Prepared, rows: Any, name: str = "", validation: Data | None = None
) -> Evaluated:
    """Evaluates the best checkpoint, prints the tables and writes the files to the workdir.

    With eval.calibrate the probabilities are those at the checkpoint's temperature.

    Args:
        run: the network; its config says which photographs `data` is of.
        workdir: of the run.
        data: the prepared test set.
        rows: which of it.
        name: of the photographs, where they may not be the run's own.
        validation: the run's own data, to fit the temperature on; None takes the one in the workdir.

    Raises:
        UserError: no checkpoint, no temperature where one is asked for, or files that cannot be written.
    """
    step, state = load_best(workdir, run.abstract_state(), run.mesh)
    if run.config.eval.calibrate and validation is not None:
        temperature_lib.write(workdir, temperature_lib.fit(run.validate(state, validation), step))
    temperature = temperature_lib.of_checkpoint(run.config, workdir, step)
    predictions = run.predict(state, data, rows)
    if temperature is not None:
        predictions = temperature_lib.apply(predictions, temperature)
    report = create_report(predictions, run.class_names)
    folder = choose_folder(workdir, run.config, name)
    more = {"temperature": temperature.temperature if temperature else None, "data": _data_of(run.config)}
    write_files(folder, report, predictions, data.ids, run.class_names, more)
    logs.console.print(to_table(report))
    if temperature is not None:
        print(temperature)
    print(sentence(report))
    print(f"checkpoint of step {step}; tables in {folder}")
    return Evaluated(run, step, state, data, predictions, report, folder, temperature)


def evaluate_workdir(config: Any, workdir: Path) -> Evaluated:
    """Evaluates the best checkpoint of `workdir` on the test set that `config.data` names.

    A temperature that eval.calibrate asks for and the workdir lacks is fitted, on the run's own data alone.

    Args:
        config: the workdir's own config, in which data.dir, data.source and the like may have been replaced.
        workdir: of a run; its class names are the labels.

    Raises:
        UserError: the data or the workdir cannot be used.
    """
    configure_jax()
    _, class_names = read_description(workdir)
    source = create_source(config)
    test_set = prepare(source, "test", config, logs.progress, class_names)
    if not len(test_set.images):
        raise UserError("the data has no test images: evaluation needs some")
    parts = split([], test_set.labels[:0], test_set.ids, test_set.labels, "holdout", 0.5)
    print(f"data: {len(class_names)} classes, {len(parts.test)} test images")
    own = _is_own(workdir, config)
    validation = temperature_lib.data_to_fit_on(config, workdir, class_names) if own else None
    return evaluate_best(Run(config, class_names), workdir, test_set, parts.test, source.name, validation)
