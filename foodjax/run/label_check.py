"""Checks the labels of an experiment's photographs: out-of-fold probabilities, and what they suspect.

The probabilities come from the features of a probe's run, or from a table of predictions by networks that have not seen
the photographs. Checked are the photographs that the experiment trains and validates on, not those of its test part.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from foodjax.config.keys import Config
from foodjax.data.balance import class_weights
from foodjax.data.duplicate_groups import groups_of
from foodjax.data.folds import KEPT
from foodjax.data.leaks import rows_of
from foodjax.data.prepared import Prepared
from foodjax.data.sets import Data
from foodjax.evaluation import label_errors
from foodjax.evaluation.label_errors import Suspects
from foodjax.evaluation.scores import COLUMNS
from foodjax.models.weights.source import is_weights
from foodjax.run import out_of_fold
from foodjax.run.chosen import load_chosen
from foodjax.run.probe import features_of
from foodjax.run.wiring import Engine
from foodjax.system.cells import read_csv
from foodjax.system.console import say
from foodjax.system.errors import UserError, first_line
from foodjax.workdir.data_check import own_data
from foodjax.workdir.description import read_description

_SUM = 0.01  # by which the probabilities of a row may miss 1: a table has rounded ones


class Place(NamedTuple):
    """A photograph: its part of the data, "train" or "validation", and its row there."""

    part: str
    row: int


class Checked(NamedTuple):
    """N photographs whose labels were checked.

    Attributes:
        data: the experiment's.
        places: of the photographs.
        labels: int (N,), the given classes.
        probabilities: out-of-fold, (N, K).
        folds: int (N,), the fold that each was held out in; -1 where that is unknown.
        suspects: what the probabilities suspect.
    """

    data: Data
    places: tuple[Place, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    folds: np.ndarray
    suspects: Suspects

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the K classes, in label order."""
        return self.data.train.class_names

    @property
    def accuracy(self) -> float:
        """Share of the photographs whose likeliest class is the given one, 0..1."""
        return float((self.probabilities.argmax(1) == self.labels).mean())

    def set_of(self, place: Place) -> Prepared:
        """Returns the prepared set of a photograph."""
        return _sets(self.data)[place.part]

    def file(self, place: Place) -> str:
        """Returns the path of a photograph in the data, as photographs.csv has it."""
        of = self.set_of(place)
        return (of.found.files or of.ids)[place.row]


def _sets(data: Data) -> dict[str, Prepared]:
    return {"train": data.train} | ({"validation": data.own_validation} if data.own_validation else {})


def _parts(data: Data) -> dict[str, tuple[str, np.ndarray]]:
    """Returns part of the split -> (part of the data, its rows), of the photographs that are checked."""
    return {name: found for name, found in rows_of(data.parts).items() if name != "test"}


def of_run(config: Config, workdir: Path, num_folds: int = 5) -> Checked:
    """Checks the labels of a probe's photographs by out-of-fold probabilities from its features.

    Args:
        config: of the run, perhaps with another place of the photographs.
        workdir: of the run.
        num_folds: of the cross-validation.

    Raises:
        UserError: the run is none of a probe, or its data, its weights or cleanlab cannot be used.
    """
    label_errors.check_cleanlab()
    stored, names = read_description(workdir)
    if stored.train.solver != "probe":
        raise UserError(
            f"workdir {workdir} is no run of foodjax probe: its network has seen the labels of its photographs: needs "
            f"a probe, or --predictions FILE with predictions of networks that have not seen them"
        )
    data = own_data(config, workdir, names)
    engine = Engine(config, names, batch_size=jax.device_count())
    _, variables = engine.load_weights(workdir)
    origin = stored.model.init_from
    if origin and not is_weights(origin):
        say(f"the features are those of {origin}: where that run trained on these photographs, it knows their labels")
    features, labels, places, named = [], [], [], []
    for name, (of, rows) in _parts(data).items():
        found = _sets(data)[of]
        features.append(features_of(engine, variables, found, rows).mean(0))  # of the picture and its mirror image
        labels.append(found.labels[rows])
        places += [Place(of, row) for row in rows.tolist()]
        named += [(name, row) for row in rows.tolist()]
    given = np.concatenate(labels)
    weights = class_weights(config, given, len(names))
    held_out = out_of_fold.predict(
        np.concatenate(features), given, len(names), num_folds, config.seed,
        groups_of(data.duplicates.pairs if data.duplicates else (), named), np.asarray(weights) if weights else None,
    )  # fmt: skip
    (kept,) = np.nonzero(held_out.folds != KEPT)
    if len(kept) < len(given):
        say(f"{len(given) - len(kept):,} photographs are the only ones of their class and are not checked")
    return _checked(data, [places[i] for i in kept], given[kept], held_out.probabilities[kept], held_out.folds[kept])


def of_predictions(config: Config, table: Path) -> Checked:
    """Checks the labels of an experiment's photographs by predictions of networks that have not seen them.

    The table has the columns of an evaluation's predictions.csv: id, true, predicted and probability, and perhaps fold.
    With a column for each class, which has its name and its probability, nothing is missing. Without, what the
    predicted class leaves of 1 is spread evenly over the others.

    Args:
        config: the experiment.
        table: CSV; rows of other photographs than those that train or validate are left out.

    Raises:
        UserError: the table or the data cannot be used, or they do not fit.
    """
    label_errors.check_cleanlab()
    flag = f"--predictions {table}"
    rows = _read(table, flag)  # before the data, which may be a download
    config, data = load_chosen(config)
    names = data.train.class_names
    _check_columns(rows, flag, names)
    place_of: dict[str, list[Place]] = {}
    for of, found in _parts(data).values():
        for row in found.tolist():
            place_of.setdefault(_sets(data)[of].ids[row], []).append(Place(of, row))
    number = {name: label for label, name in enumerate(names)}
    places, probabilities, folds, others = [], [], [], 0
    for line, row in enumerate(rows, start=2):
        found = place_of.pop(row["id"], [])
        if len(found) > 1:
            raise UserError(f"{flag}: {row['id']!r} may be a train or a validation photograph: needs data without val/")
        if not found:
            others += 1
            continue
        of = _sets(data)[found[0].part]
        if (own := names[of.labels[found[0].row]]) != row["true"]:
            raise UserError(
                f"{flag}: {row['id']!r} is {row['true']!r} in line {line} and {own!r} in the data: needs predictions "
                f"of these labels"
            )
        places.append(found[0])
        probabilities.append(_probabilities(row, number, f"{flag}, line {line}"))
        folds.append(row.get("fold", ""))
    if not places:
        raise UserError(f"{flag} has none of the photographs of {config.data.dir or config.name}: needs their ids")
    if others:
        say(f"{others:,} rows of {table} are of other photographs than those that train or validate")
    if place_of:
        say(f"{len(place_of):,} photographs have no prediction and are not checked, first {next(iter(place_of))!r}")
    labels = np.array([_sets(data)[place.part].labels[place.row] for place in places])
    for label in np.setdiff1d(np.arange(len(names)), labels):
        raise UserError(f"{flag} has no photograph of class {names[label]!r}: needs some of each class")
    held_out = np.array([int(fold) if fold.isdecimal() else -1 for fold in folds])
    return _checked(data, places, labels, np.array(probabilities), held_out)


def _read(table: Path, flag: str) -> list[dict[str, str]]:
    """Returns the rows of a table of predictions."""
    try:
        rows = read_csv(table)
    except (OSError, csv.Error) as error:
        raise UserError(f"{flag} cannot be read ({getattr(error, 'strerror', None) or first_line(error)})") from None
    columns = rows[0].keys() if rows else ()
    if lacking := [name for name in COLUMNS if name not in columns]:
        raise UserError(f"{flag} lacks the column {lacking[0]}: needs a table such as predictions.csv of an evaluation")
    return rows


def _check_columns(rows: list[dict[str, str]], flag: str, names: Sequence[str]) -> None:
    """Raises UserError where a table has columns of some classes and not of all."""
    columns = rows[0].keys() if rows else ()
    some = [name for name in names if name in columns]
    if some and len(some) < len(names):
        missing = next(name for name in names if name not in columns)
        raise UserError(f"{flag} has a column {some[0]!r} and none {missing!r}: needs one for each class, or none")


def _probabilities(row: dict[str, str], number: dict[str, int], where: str) -> np.ndarray:
    """Returns the probabilities that a row gives, (K,), with the sum 1."""
    if row["predicted"] not in number:
        raise UserError(f"{where}: {row['predicted']!r} is none of the {len(number)} classes")
    try:
        if all(name in row for name in number):
            found = np.array([float(row[name]) for name in number])
        else:
            best = float(row["probability"])
            found = np.full(len(number), (1 - best) / (len(number) - 1))
            found[number[row["predicted"]]] = best
    except ValueError as error:
        raise UserError(f"{where}: {first_line(error)}: needs probabilities") from None
    if not (found >= 0).all() or abs(found.sum() - 1) > _SUM:
        raise UserError(f"{where}: the probabilities are not in 0..1, or their sum is not 1")
    return found / found.sum()


def _checked(data: Data, places: Sequence[Place], labels, probabilities, folds) -> Checked:
    return Checked(data, tuple(places), labels, probabilities, folds, label_errors.find(probabilities, labels))
