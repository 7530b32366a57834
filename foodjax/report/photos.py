"""The photographs of a report: each as it was taken, and as the network gets it, under what was predicted."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from foodjax.data.originals import Originals
from foodjax.report import pictures
from foodjax.report.explain import as_seen
from foodjax.run.evaluate import Evaluation

_GRID = 20  # photographs
_SIDE = 320  # pixels; what is larger is shown smaller


class Photo(NamedTuple):
    """A photograph on the page.

    Attributes:
        original: itself, as a data URI; "" where it cannot be read.
        seen: what the network gets of it, as a data URI.
        title: the predicted class and the true one.
        detail: the probability.
        right: whether they are the same.
    """

    original: str
    seen: str
    title: str
    detail: str
    right: bool


class Photographs:
    """The photographs of an evaluation.

    Attributes:
        originals: reads them from their files.
    """

    def __init__(self, evaluated: Evaluation):
        """Takes the evaluation; reads nothing yet."""
        self.originals, self._evaluated = Originals(evaluated.engine.config), evaluated

    def seen(self, examples: Sequence[int] | np.ndarray) -> np.ndarray:
        """Returns what the network gets of the predictions at these B indices, uint8 (B, h, h, 3)."""
        images, rows = self._evaluated.data.images, self._evaluated.predictions.rows
        return as_seen(self._evaluated.engine.config, np.stack([images[rows[i]] for i in examples]))

    def uris(self, examples: Sequence[int] | np.ndarray) -> list[str]:
        """Returns the photographs of the predictions at these indices as data URIs, "" where one cannot be read."""
        rows = [int(self._evaluated.predictions.rows[i]) for i in examples]
        found = self.originals.read(self._evaluated.data, rows)
        return [pictures.photo_uri(found[row]) if row in found else "" for row in rows]

    def photos(self, examples: Sequence[int] | np.ndarray) -> list[Photo]:
        """Returns the predictions at these indices for the page."""
        if not len(examples):
            return []
        predictions, names = self._evaluated.predictions, self._evaluated.engine.class_names
        found = []
        for i, uri, seen in zip(examples, self.uris(examples), self.seen(examples), strict=True):
            probabilities, label = predictions.probabilities[i], int(predictions.labels[i])
            best = int(probabilities.argmax())
            title, detail = f"{names[best]} ({names[label]})", f"{probabilities[best]:.0%}"
            found.append(Photo(uri, seen_uri(seen), title, detail, best == label))
        return found


def seen_uri(seen: np.ndarray) -> str:
    """Returns what the network gets of a photograph, uint8 (S, S, 3), as a data URI, smaller where it is large."""
    return pictures.data_uri(pictures.enlarge(seen, min(seen.shape[0], _SIDE)))


def random_examples(count: int, seed: int) -> np.ndarray:
    """Returns the indices of the test examples in the grid, of `count`; the same for the same seed."""
    return np.random.default_rng(seed).permutation(count)[:_GRID]


def confident_mistakes(probabilities: np.ndarray, labels: np.ndarray, count: int = 10) -> np.ndarray:
    """Returns the indices of wrong predictions among (N, K), (N,), highest probability first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities.max(axis=1)[wrong], kind="stable")][:count]
