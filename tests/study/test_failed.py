import math

import pytest

from foodjax.study.failed import Scored, find_failed, scored


def runs(*accuracies, num_images=750, guessing=0.1):
    return [Scored(accuracy, guessing, num_images) for accuracy in accuracies]


def test_guessing_is_what_predictions_that_ignore_the_picture_reach():
    truth = ["a"] * 6 + ["b"] * 3 + ["c"]
    always_a = scored([(name, "a") for name in truth])
    assert always_a == (0.6, pytest.approx(0.6), 10)
    mixed = scored(list(zip(truth, "aaabbbaabc", strict=True)))
    assert mixed.accuracy == 0.5
    assert mixed.guessing == pytest.approx(0.6 * 0.5 + 0.3 * 0.4 + 0.1 * 0.1)
    assert math.isnan(scored([("a", "a"), ("a", "b")]).guessing)


@pytest.mark.parametrize(
    "groups,failed",
    [
        ([runs(0.1, 0.32)], {(0, 0)}),  # two seeds, as in docs/ablations.md
        ([runs(0.11, 0.10, 0.09), runs(0.3)], {(0, 0), (0, 1), (0, 2)}),
        ([runs(0.11, 0.10, 0.09), runs(0.12)], set()),  # nothing learns here
        ([runs(0.62, 0.40, 0.61)], {(0, 1)}),  # beyond guessing, and two siblings alone
        ([runs(0.62, 0.58, 0.60)], set()),
        ([runs(0.60, 0.61, 0.80)], set()),  # a lucky one has not failed
        ([runs(0.62, 0.56, 0.61), runs(0.53, 0.59, 0.63), runs(0.6, 0.52, 0.59)], set()),
        ([runs(0.62, 0.45, 0.61), runs(0.43, 0.62, 0.63), runs(0.6, 0.60, 0.59, 0.61)], {(0, 1), (1, 0)}),
        ([runs(0.7, 0.95, num_images=20, guessing=0.5)], set()),  # few images show little
        ([runs(0.5, 0.95, num_images=200, guessing=math.nan)], {(0, 0)}),
        ([runs(1.0, 1.0, 0.0, num_images=1, guessing=math.nan)], set()),
        ([runs(0.4), runs(0.8)], set()),  # other variants are no siblings
    ],
)
def test_failed_seeds(groups, failed):
    found = find_failed(groups)
    assert {(g, k) for g, group in enumerate(found) for k in group} == failed
