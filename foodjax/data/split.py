"""Splits examples into train, validation and test, from their ids and labels alone.

Keras' `validation_split` takes the first int(fraction * n) files of each class, in string order of their names,
as validation, and the rest as training; both protocols use that rule.
"""

from typing import NamedTuple

import numpy as np


class Indices(NamedTuple):
    """Row numbers into the prepared train set or test set, sorted by (label, id)."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    validation_is_from_test: bool
    validation_is_given: bool = False  # rows of the data's own validation set
    test_is_from_train: bool = False  # rows of the train set: a fold of it


def keras_split(ids: list[str], labels: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Splits as `flow_from_directory(validation_split=fraction)` does.

    Args:
        ids: N ids.
        labels: (N,) class numbers.
        fraction: share of each class that becomes validation.

    Returns:
        (training rows, validation rows), each sorted by (label, id).
    """
    train, validation = [], []
    for label in np.unique(labels):
        rows = sorted(np.flatnonzero(labels == label).tolist(), key=lambda row: ids[row])
        cut = int(fraction * len(rows))
        validation += rows[:cut]
        train += rows[cut:]
    return np.array(train, np.int64), np.array(validation, np.int64)


def first_of_each(rows: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Returns the first `count` of the given rows in each class, in ascending order.

    Args:
        rows: rows of a prepared set, (N,).
        labels: class numbers of the whole set.
        count: largest number of rows of a class.
    """
    kept = [rows[labels[rows] == label][:count] for label in np.unique(labels[rows])]
    return np.sort(np.concatenate(kept)) if kept else rows


def all_rows(ids: list[str], labels: np.ndarray) -> np.ndarray:
    """Returns all rows of a set, sorted by (label, id)."""
    return keras_split(ids, labels, 1.0)[1]


def split(
    train_ids: list[str],
    train_labels: np.ndarray,
    test_ids: list[str],
    test_labels: np.ndarray,
    protocol: str,
    fraction: float,
) -> Indices:
    """Splits prepared sets by a protocol.

    Args:
        train_ids: ids of the prepared train set.
        train_labels: their class numbers.
        test_ids: ids of the prepared test set.
        test_labels: their class numbers.
        protocol: "holdout" takes validation out of the train set; "tutorial" takes it from the test set and
            leaves it in the test set too, as the tutorial does.
        fraction: share of each class that becomes validation.

    Returns:
        The rows of each part. With 750 + 250 images in each of ten classes and fraction 0.15: 6380, 1120, 2500
        (holdout) and 6380, 370, 2500 (tutorial).
    """
    train, held_out = keras_split(train_ids, train_labels, fraction)
    _, from_test = keras_split(test_ids, test_labels, fraction)
    test = all_rows(test_ids, test_labels)
    is_from_test = protocol == "tutorial"
    return Indices(train, from_test if is_from_test else held_out, test, is_from_test)
