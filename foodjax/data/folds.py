"""Folds of cross-validation: every class in equal shares, duplicates of one photograph in one fold."""

import numpy as np

KEPT = -1  # the fold of photographs that are never held out


def stratified_folds(
    labels: np.ndarray, num_classes: int, num_folds: int, seed: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """Assigns photographs to folds.

    The photographs outside a fold show every class. So a class that is in one group alone, such as a single photograph,
    is never held out. A class in fewer groups than there are folds is in fewer folds.

    Args:
        labels: int (N,), from 0 to K - 1.
        num_classes: K.
        num_folds: at most so many folds. There are fewer where no class is in as many groups.
        seed: of the order in which groups are assigned.
        groups: int (N,), equal for photographs that stay in one fold; None: each photograph is a group.

    Returns:
        int64 (N,): the fold of each photograph, from 0, or KEPT. All are KEPT where no class is in two groups.
    """
    group = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    num_groups = int(group.max()) + 1
    counts = np.zeros((num_groups, num_classes), np.int64)  # photographs of each class in each group
    np.add.at(counts, (group, labels), 1)
    num_folds = min(num_folds, int((counts > 0).sum(0).max()))
    if num_folds < 2:
        return np.full(len(labels), KEPT)
    order = np.random.default_rng(seed).permutation(num_groups)
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]  # the largest first: small ones level the folds
    fold_of = np.empty(num_groups, np.int64)
    filled = np.zeros((num_folds, num_classes), np.int64)
    for number in order:
        (classes,) = np.nonzero(counts[number])
        # To the fold with the fewest photographs of these classes, then of all.
        fold = np.lexsort((filled.sum(1), filled[:, classes].sum(1)))[0]
        fold_of[number] = fold
        filled[fold] += counts[number]
    for fold, label in zip(*np.nonzero(filled == counts.sum(0)), strict=True):  # the fold holds all of the class
        fold_of[(fold_of == fold) & (counts[:, label] > 0)] = KEPT
    # Without the empty ones the numbers have no gap.
    present = np.unique(fold_of[fold_of != KEPT])
    fold_of = np.where(fold_of == KEPT, KEPT, np.searchsorted(present, fold_of))
    return fold_of[group] if len(present) > 1 else np.full(len(labels), KEPT)
