import numpy as np
import pytest

from foodjax.config.check import checked
from foodjax.evaluation import numbers
from foodjax.evaluation.predictions import Predictions
from foodjax.system.errors import UserError


def predictions_of(probabilities, labels):
    found = np.asarray(probabilities, np.float32)
    return Predictions({"loss": 1.5, "accuracy": 0.25}, found, np.array(labels), np.arange(len(labels)))


def test_top_accuracy_counts_the_most_probable_as_a_stable_sort_orders_them():
    rng = np.random.default_rng(0)
    probabilities = rng.integers(0, 4, (200, 9)).astype(np.float32)  # with many ties
    labels = rng.integers(0, 9, 200)
    order = np.argsort(-probabilities, kind="stable")
    for count in (1, 5, 9):
        right = np.mean([label in row[:count] for label, row in zip(labels, order, strict=True)])
        assert numbers.top_accuracy(predictions_of(probabilities, labels), count) == right


def test_probabilities_that_are_no_numbers_are_not_right():
    assert numbers.top_accuracy(predictions_of([[np.nan] * 6, [1, 0, 0, 0, 0, 0]], [0, 0])) == 0.5


def test_mean_recall_counts_every_class_the_same():
    rows = [[0.9, 0.1, 0.0]] * 9 + [[0.6, 0.4, 0.0]]  # nine of class 0, one of class 1, none of class 2
    assert numbers.mean_recall(predictions_of(rows, [0] * 9 + [1])) == 0.5


@pytest.mark.parametrize(
    "monitor,top5,names",
    [
        ("val_loss", False, []),
        ("val_accuracy", False, []),
        ("val_loss", True, ["val_top5"]),
        ("val_top5", False, ["val_top5"]),
        ("val_mean_recall", True, ["val_top5", "val_mean_recall"]),
    ],
)
def test_the_numbers_are_those_that_are_asked_for(tiny_config, monitor, top5, names):
    tiny_config.train.monitor, tiny_config.eval.top5 = monitor, top5
    found = numbers.numbers_of(predictions_of(np.eye(6), range(6)), checked(tiny_config), "val_")
    assert list(found) == ["val_loss", "val_accuracy", *names]
    assert found["val_loss"] == 1.5


def test_five_of_five_classes_are_refused(tiny_config):
    numbers.check(checked(tiny_config), 3)
    tiny_config.eval.top5 = True
    numbers.check(checked(tiny_config), 6)
    with pytest.raises(UserError, match="eval.top5=true, but there are 5 classes: needs more than 5"):
        numbers.check(checked(tiny_config), 5)
    tiny_config.update(eval={"top5": False}, train={"monitor": "val_top5"})
    with pytest.raises(UserError, match="train.monitor=val_top5, but there are 3 classes"):
        numbers.check(checked(tiny_config), 3)
