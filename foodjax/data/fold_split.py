"""The parts of a run on a fold: tested on the fold, trained on the others but a share that validates.

The epoch with the lowest validation loss is the one that predicts. So the photographs that choose it are none of the
fold: predictions of all folds together are those of networks that have never seen the photograph.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from foodjax.config.fold import Fold, parse
from foodjax.config.keys import Config
from foodjax.data import identity
from foodjax.data.duplicate_groups import group_numbers, joined
from foodjax.data.duplicates import Pair
from foodjax.data.folds import KEPT, stratified_folds
from foodjax.data.prepared import Prepared
from foodjax.data.sources.base import Source
from foodjax.data.split import Indices
from foodjax.system.errors import UserError


def split_fold(
    config: Config, train: Prepared, pairs: Sequence[Pair] = (), named: Mapping[str, str] | None = None
) -> Indices:
    """Splits a prepared set by `data.fold`. A function of classes, contents, groups and data.fold_seed, not of names.

    Args:
        config: the experiment; reads data.fold, fold_seed and validation_fraction.
        train: the photographs of all folds, (N,).
        pairs: of duplicates in it, by the part "train": a group stays together, in folds and in validation.
        named: of `groups_of`; its groups stay together too.

    Returns:
        The rows; those of validation and test are of `train`.

    Raises:
        UserError: a class has fewer photographs, or groups of them, than there are folds.
    """
    fold = parse(config.data.fold)
    assert fold is not None
    labels, num_classes = train.labels, len(train.class_names)
    rows = canonical_order(train)
    groups = numbers_of(train, rows, pairs, named)
    of = np.empty(len(rows), np.int64)
    of[rows] = folds_of(train, labels[rows], groups, fold, config.data.fold_seed)
    is_rest = of[rows] != fold.number - 1
    rest = rows[is_rest]
    taken = share_of_groups(labels[rest], num_classes, config.data.validation_fraction, groups[is_rest])
    parts = (rest[~taken], rest[taken], np.flatnonzero(of == fold.number - 1))
    order = [np.array(sorted(part.tolist(), key=lambda row: (labels[row], train.ids[row])), np.int64) for part in parts]
    return Indices(*order, validation_is_from_test=False, test_is_from_train=True)


def folds_of(train: Prepared, labels: np.ndarray, groups: np.ndarray, fold: Fold, seed: int) -> np.ndarray:
    """Returns the fold of each photograph, from 0: int64 (N,), every class in every fold.

    Args:
        train: their set, which names the classes.
        labels: of the photographs, (N,).
        groups: int (N,), equal for photographs that stay together.
        fold: how many folds there are.
        seed: of the assignment.

    Raises:
        UserError: a class has fewer photographs, or groups of them, than there are folds.
    """
    of_each = np.bincount(labels, minlength=len(train.class_names))
    num_groups = np.array([len(np.unique(groups[labels == k])) for k in range(len(of_each))])
    few = int(num_groups.argmin())
    name, most = train.class_names[few], int(num_groups[few])
    needs = f"needs data.fold={min(fold.number, most)}/{most} at most" if most > 1 else "needs two of each class"
    if of_each[few] < fold.count:
        raise UserError(
            f"data.fold is {fold}, but class {name!r} has {of_each[few]} photographs to make folds of: {needs}"
        )
    if most < fold.count:
        raise UserError(
            f"data.fold is {fold}, but the {of_each[few]:,} photographs of class {name!r} are {most} groups that stay "
            f"together (duplicates, and data.group): {needs}"
        )
    found = stratified_folds(labels, len(of_each), fold.count, seed, groups)
    if (found == KEPT).any() or found.max() + 1 < fold.count:
        raise UserError(
            f"data.fold is {fold}, but groups of several classes (duplicates, and data.group) leave a class to one "
            f"fold: needs fewer folds, or smaller groups"
        )
    return found


def share_of_groups(labels: np.ndarray, num_classes: int, share: float, groups: np.ndarray) -> np.ndarray:
    """Chooses a share of each class, in whole groups: the first ones that it has room for, or else the smallest.

    Args:
        labels: int (N,), in an order that means nothing.
        num_classes: K.
        share: of each class, rounded down.
        groups: int (N,), equal for photographs that stay together.

    Returns:
        bool (N,).
    """
    number, first = np.unique(groups, return_inverse=True)[1].reshape(-1), {}
    counts = np.zeros((number.max(initial=-1) + 1, num_classes), np.int64)
    np.add.at(counts, (number, labels), 1)
    for group in number.tolist():
        first.setdefault(group, None)
    total, taken = counts.sum(0), np.zeros(num_classes, np.int64)
    wanted, chosen = (share * total).astype(int), np.zeros(len(counts), bool)
    for group in first:
        if (taken + counts[group] <= wanted)[counts[group] > 0].all():
            chosen[group] = True
            taken += counts[group]
    for label in np.flatnonzero((taken == 0) & (wanted > 0)):  # each group is larger than the share
        having = [group for group in first if counts[group, label]]
        smallest = min(having, key=lambda group: counts[group].sum())
        if (taken + counts[smallest] < total)[counts[smallest] > 0].all():
            chosen[smallest] = True
            taken += counts[smallest]
    return chosen[number]


def canonical_order(data: Prepared) -> np.ndarray:
    """Returns the rows of a set by the content of the photographs, which no name and no folder changes; int64 (N,)."""
    known = identity.photographs(data, range(len(data.ids)))
    return np.array(sorted(range(len(known)), key=lambda row: (known[row].digest, known[row][1], row)), np.int64)


def groups_of(config: Config, source: Source) -> dict[str, str] | None:
    """Returns id -> group of the photographs of folds, of the column data.group; None without such a column.

    A photograph whose cell is empty has no group.

    Raises:
        UserError: there is no table with this column, or there are no folds, or none with data.protocol.
    """
    data = config.data
    if data.fold and data.protocol == "tutorial":
        raise UserError("data.protocol is 'tutorial', which validates on test: data.fold needs data.protocol=holdout")
    if not data.group:
        return None
    if not data.labels:
        raise UserError(f"data.group is {data.group!r}, but data.labels is empty: needs the table with this column")
    if not data.fold:
        raise UserError(
            f"data.group is {data.group!r}, but data.fold is empty: groups stay together in folds alone: needs "
            f"data.fold=1/5 and so on (foodjax sweep --folds 5), or data.group=''"
        )
    return {example.id: example.group for example in source.listing().train if example.group}


def numbers_of(
    train: Prepared, rows: np.ndarray, pairs: Sequence[Pair] = (), named: Mapping[str, str] | None = None
) -> np.ndarray:
    """Returns the group of each photograph, in which duplicates and what a table names one group are together.

    Args:
        train: their set.
        rows: of it, (N,).
        pairs: of duplicates, by the part "train".
        named: of `groups_of`.

    Returns:
        int64 (N,), equal within a group alone.
    """
    known: dict[str, int] = {}
    by_name = []
    for k, row in enumerate(rows.tolist()):
        name = (named or {}).get(train.ids[row], "")
        by_name.append(known.setdefault(name, k) if name else k)
    return joined(group_numbers(pairs, "train", rows), np.array(by_name, np.int64))
