"""Classes of unequal size: the weights that make them count the same, and the lines that warn of them."""

import math

import numpy as np

from foodjax.config.keys import Config
from foodjax.data.prepared import Prepared
from foodjax.data.split import Indices
from foodjax.system.errors import UserError

_RATIO = 10  # of the largest to the smallest class; beyond it a line warns
_NAMED = 5  # classes


def class_weights(config: Config, labels: np.ndarray, num_classes: int) -> tuple[float, ...]:
    """Returns the factor of each class in the training loss, in label order; () for none.

    With train.balance="classes" a class of n among N images of K classes has the factor N / (K n): all classes add the
    same to the loss of an epoch, and the mean factor of an image is 1 (scikit-learn's "balanced"). The factors depend
    on the training images alone, so they are the same for every backend and after a resume.

    Args:
        config: the experiment; reads train.
        labels: int (N,), of the training images.
        num_classes: K.

    Raises:
        UserError: train.class_weights is given too.
    """
    if config.train.balance == "none":
        return config.train.class_weights
    if config.train.class_weights:
        raise UserError(
            f"train.balance is 'classes' and train.class_weights is {config.train.class_weights}: needs one of them"
        )
    counts = np.bincount(labels, minlength=num_classes)
    present = np.count_nonzero(counts)  # a smoke test's batch may have no room for all
    return tuple(float(len(labels) / (present * n)) if n else 1.0 for n in counts)


def warnings(config: Config, train: Prepared, validation: Prepared, parts: Indices) -> list[str]:
    """Returns lines about classes of unequal size and classes without validation images.

    Args:
        config: the experiment.
        train: the set of the rows `parts.train`.
        validation: the set of the rows `parts.validation`.
        parts: rows.
    """
    names, lines = train.class_names, []
    counts = np.bincount(train.labels[parts.train], minlength=len(names))
    large, small = int(counts.argmax()), int(counts.argmin())
    if counts[large] > _RATIO * counts[small]:
        line = (
            f"the classes are unequal: {names[large]!r} has {counts[large]:,} training images, {names[small]!r} has "
            f"{counts[small]:,}"
        )
        if config.train.balance == "none" and not config.train.class_weights:
            line += "; train.balance=classes gives each class the same weight"
        lines.append(line)
    if config.train.balance == "classes":
        weights = class_weights(config, train.labels[parts.train], len(names))
        lines.append(
            "train.balance=classes: the classes are equal, every image counts the same"
            if counts[large] == counts[small]
            else f"train.balance=classes: the loss of an image counts {weights[large]:.3g} times in {names[large]!r} "
            f"to {weights[small]:.3g} times in {names[small]!r}"
        )
    validating = np.bincount(validation.labels[parts.validation], minlength=len(names))
    if len(parts.validation) and not validating.all():
        lacking = np.flatnonzero(validating == 0)
        shown = ", ".join(f"{names[k]!r} ({counts[k]:,} to train)" for k in lacking[:_NAMED])
        more = f" and {len(lacking) - _NAMED:,} more" if len(lacking) > _NAMED else ""
        line = f"classes without validation images: {shown}{more}"
        if not parts.validation_is_given:
            rest = np.concatenate([parts.train, parts.validation]) if parts.test_is_from_train else slice(None)
            line += _fraction(np.bincount(validation.labels[rest], minlength=len(names))[lacking])
        lines.append(line)
    return lines


def _fraction(counts: np.ndarray) -> str:
    """Returns what validation_fraction holds one image out of classes of these sizes."""
    if counts.min() < 2:
        return "; needs at least 2 images of a class to hold one out"
    least = int(counts.min())
    fraction = next(f for f in range(math.ceil(100 / least), 100) if int(f / 100 * least)) / 100
    return f"; data.validation_fraction={fraction:g} holds one out of each"
