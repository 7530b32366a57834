from math import inf, nan

import pytest

from foodjax.config.listed import MONITORS, is_better
from foodjax.steps.early_stopping import EarlyStopping

# losses, patience, epochs trained, best epoch
CASES = [
    ([3.0, 2.0, 1.0], 1, 3, 3),
    ([3.0, 1.0, 2.0], 1, 3, 2),
    ([3.0, 1.0, 2.0, 0.5], 1, 3, 2),
    ([3.0, 1.0, 2.0, 0.5], 2, 4, 4),
    ([1.0, 1.0, 1.0], 2, 3, 1),  # ties do not improve
    ([3.0, nan, 2.0, nan, nan], 2, 5, 3),  # NaN does not improve
    ([nan, 2.0, 1.0], 2, 3, 1),  # but the first epoch is the best whatever it is, as in Keras
    ([inf, inf], 5, 2, 1),
    ([1.0, 2.0], 0, 2, 1),
]


@pytest.mark.parametrize("losses,patience,epochs,best", CASES)
def test_decisions(losses, patience, epochs, best):
    stopping = EarlyStopping(patience)
    for loss in losses:
        if stopping.should_stop:
            break
        stopping = stopping.update(loss)
    assert (stopping.epoch, stopping.best_epoch) == (epochs, best)
    assert stopping.improved == (best == epochs)


@pytest.mark.parametrize(
    "values,best", [([0.1, 0.5, 0.5, 0.4], 2), ([nan, 0.5], 1), ([0.5, nan, 0.6], 3), ([-inf, 0.0], 2)]
)
def test_the_highest_accuracy_is_the_best(values, best):
    stopping = EarlyStopping(5, monitor="val_accuracy")
    for value in values:
        stopping = stopping.update(value)
    assert stopping.best_epoch == best
    assert stopping.num_bad == len(values) - best


@pytest.mark.parametrize("monitor", list(MONITORS))
def test_every_value_improves_on_the_worst(monitor):
    stopping = EarlyStopping(5, monitor=monitor)
    assert is_better(0.5, stopping.worst, monitor)
    assert not is_better(stopping.worst, 0.5, monitor)
