"""Labels that are likely wrong, by confident learning on out-of-fold probabilities.

Northcutt, Jiang, Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels (JAIR 2021), as the package
cleanlab has it. A class counts as likely for a photograph where its probability is above the mean that the photographs
labelled so have. The counts of such classes by given label estimate how many labels of each class are wrong, and as
what; so many are found, those with the largest margin. They are sorted by the probability of the given class.
"""

import warnings
from typing import NamedTuple

import numpy as np

from foodjax.system.errors import UserError
from foodjax.system.imports import import_problem


class Suspects(NamedTuple):
    """What is suspected of N labels.

    Attributes:
        order: int (N,), the photographs, the likeliest wrong label first.
        scores: float64 (N,), quality of each label, 0..1: the probability of the given class.
        suggested: int (N,), the likeliest class other than the given one.
        is_found: bool (N,), whether confident learning takes the label for wrong.
    """

    order: np.ndarray
    scores: np.ndarray
    suggested: np.ndarray
    is_found: np.ndarray


def check_cleanlab() -> None:
    """Raises UserError where cleanlab cannot be imported."""
    if problem := import_problem("cleanlab"):
        raise UserError(
            f"labels needs the package cleanlab, which cannot be imported ({problem}): pip install 'foodjax[labels]'"
        )


def find(probabilities: np.ndarray, labels: np.ndarray) -> Suspects:
    """Ranks labels by how likely they are wrong.

    Args:
        probabilities: out-of-fold, finite, (N, K), each row with the sum 1.
        labels: int (N,), the given classes.

    Raises:
        UserError: cleanlab cannot be imported.
    """
    check_cleanlab()
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with too few photographs to find more
        # In one process: a fork of one that has threads of JAX could hang.
        is_found = find_label_issues(labels, probabilities, n_jobs=1)
    scores = get_label_quality_scores(labels, probabilities, method="self_confidence")
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1
    order = np.lexsort((np.arange(len(labels)), scores))
    return Suspects(order, scores, others.argmax(1), is_found)
