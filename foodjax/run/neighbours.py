"""Classification by the nearest neighbours in the space of features: cosine similarity, weighted votes.

A neighbour of similarity s votes with exp(s / temperature), as for DINO (Caron et al., ICCV 2021).
"""

import numpy as np

from foodjax.system.errors import UserError

COUNTS = (1, 5, 10, 20)  # of neighbours, to choose from
TEMPERATURE = 0.07
_BLOCK = 2**25  # similarities at once: 128 MiB


def nearest(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    features: np.ndarray,
    num_classes: int,
    k: int = 20,
    temperature: float = TEMPERATURE,
) -> np.ndarray:
    """Predicts photographs by the votes of their k nearest training photographs.

    Args:
        train_features: float (N, D).
        train_labels: int (N,), from 0 to K - 1.
        features: float (M, D).
        num_classes: K.
        k: number of neighbours, at least 1; all N where there are fewer.
        temperature: of the votes, above 0. A smaller one gives the nearest neighbours more weight.

    Returns:
        float32 (M, K): the shares of the votes.
    """
    train, queries = _normalised(train_features), _normalised(features)
    found = [np.zeros((0, num_classes), np.float32)]
    for block in _blocks(len(queries), len(train)):
        rows, values = _largest(queries[block] @ train.T, k)
        found.append(_votes(train_labels[rows], values, num_classes, temperature).sum(1))
    votes = np.concatenate(found)
    return (votes / votes.sum(1, keepdims=True)).astype(np.float32)


def choose_neighbours(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    groups: np.ndarray | None = None,
    temperature: float = TEMPERATURE,
) -> tuple[int, float]:
    """Chooses the number of neighbours among 1, 5, 10 and 20: each photograph is predicted by all others.

    Args:
        features: float (N, D), of the training photographs.
        labels: int (N,), from 0 to K - 1.
        num_classes: K.
        groups: int (N,), equal for duplicates, which do not vote for each other; None: there are none.
        temperature: of the votes.

    Returns:
        The number with the highest accuracy, of equal ones the smallest, and this accuracy, 0..1.

    Raises:
        UserError: no photograph has another one to be predicted by.
    """
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    normalised = _normalised(features)
    right, total = np.zeros(len(COUNTS)), 0
    for block in _blocks(len(labels), len(labels)):
        similarities = normalised[block] @ normalised.T
        similarities[groups[block, None] == groups] = -np.inf
        rows, values = _largest(similarities, max(COUNTS))
        has_any = values[:, 0] > -np.inf
        rows, values, truth = rows[has_any], values[has_any], labels[block][has_any]
        votes = _votes(labels[rows], values, num_classes, temperature).cumsum(1)
        for number, k in enumerate(COUNTS):
            right[number] += (votes[:, min(k, votes.shape[1]) - 1].argmax(1) == truth).sum()
        total += len(truth)
    if not total:
        raise UserError(f"{len(labels)} training photographs that are duplicates of each other: neighbours need others")
    best = int(right.argmax())
    return COUNTS[best], float(right[best] / total)


def _blocks(num_rows: int, num_columns: int) -> list[slice]:
    """Returns slices of the rows, each of which has few enough similarities."""
    size = max(1, _BLOCK // num_columns)
    return [slice(start, start + size) for start in range(0, num_rows, size)]


def _normalised(features: np.ndarray) -> np.ndarray:
    """Returns features of length 1, float32. Those of length 0 stay, and have the similarity 0 to all."""
    features = np.asarray(features, np.float32)
    lengths = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    return (features / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def _largest(similarities: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns columns and values of the k largest of each row, the largest first: (M, k), (M, k)."""
    k = min(k, similarities.shape[1])
    columns = np.argpartition(similarities, -k, axis=1)[:, -k:]
    values = np.take_along_axis(similarities, columns, 1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(columns, order, 1), np.take_along_axis(values, order, 1)


def _votes(labels: np.ndarray, similarities: np.ndarray, num_classes: int, temperature: float) -> np.ndarray:
    """Returns the vote of each neighbour for each class, float64: (M, k), (M, k) -> (M, k, K)."""
    # The nearest one votes with 1: the shares are the same, and no power overflows.
    weights = np.exp((similarities.astype(np.float64) - similarities[:, :1]) / temperature)
    return weights[:, :, None] * np.eye(num_classes)[labels]
