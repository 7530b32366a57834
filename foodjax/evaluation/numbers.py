"""The numbers of an epoch's evaluation: loss and accuracy, and those that train.monitor and eval.top5 ask for."""

from collections.abc import Callable

import numpy as np

from foodjax.config.keys import Config
from foodjax.evaluation.predictions import Predictions
from foodjax.system.errors import UserError

TOP = 5


def top_accuracy(predictions: Predictions, count: int = TOP) -> float:
    """Returns the share of examples whose class is among the `count` most probable, 0..1.

    Of classes with one probability the first counts as the more probable, as `predict` lists them.
    """
    probabilities, labels = predictions.probabilities, predictions.labels
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    rank = ((probabilities > own) | ((probabilities == own) & before)).sum(axis=1)
    return float(((rank < count) & np.isfinite(own[:, 0])).mean())


def mean_recall(predictions: Predictions) -> float:
    """Returns the mean over the classes of the share of their examples that are predicted right, 0..1.

    Every class counts the same, however many examples it has; one without any does not count.
    """
    matrix = predictions.confusion
    support = matrix.sum(axis=1)
    return float((np.diag(matrix)[support > 0] / support[support > 0]).mean())


_NUMBERS: dict[str, Callable[[Predictions], float]] = {"top5": top_accuracy, "mean_recall": mean_recall}


def numbers_of(predictions: Predictions, config: Config, prefix: str) -> dict[str, float]:
    """Returns loss (nats) and accuracy, and what is asked for beside them, by their names with a prefix.

    Args:
        predictions: of the examples.
        config: the experiment; reads train.monitor and eval.top5.
        prefix: "val_" for validation.
    """
    asked = [
        name for name in _NUMBERS if f"val_{name}" == config.train.monitor or (name == "top5" and config.eval.top5)
    ]
    found = {name: predictions.metrics[name] for name in ("loss", "accuracy")}
    found |= {name: _NUMBERS[name](predictions) for name in asked}
    return {f"{prefix}{name}": value for name, value in found.items()}


def check(config: Config, num_classes: int) -> None:
    """Checks that the numbers that are asked for mean something.

    Raises:
        UserError: the five most probable classes are all classes.
    """
    keys = {"eval.top5=true": config.eval.top5, "train.monitor=val_top5": config.train.monitor == "val_top5"}
    if any(keys.values()) and num_classes <= TOP:
        named = " and ".join(key for key, is_set in keys.items() if is_set)
        raise UserError(f"{named}, but there are {num_classes} classes: needs more than {TOP}, or accuracy alone")
