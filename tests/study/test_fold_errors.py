"""The errors of a comparison over folds on real trainings, in a small form of benchmarks/folds.py."""

import numpy as np
import pytest

from benchmarks.folds import Cell, measure, simulate


def test_false_positives_are_rare_where_the_paired_t_test_errs():
    found = measure(Cell(5, 3, 200, 10, 10), 300)
    assert found["foodjax"] <= 0.05
    assert found["paired_t"] > 0.15
    assert found["accuracy_covered"] > 0.93
    assert found["accuracy_covered_t"] < 0.85


def test_the_simulated_networks_have_not_seen_their_fold_and_their_accuracy_is_that_of_new_photographs():
    found = list(simulate(Cell(5, 2, 100, 4, 4, more=0.5), 40, np.random.default_rng(0)))
    (right, true), (_, other) = found
    assert right.shape == (40, 2, 5, 20)
    assert right.mean() == pytest.approx(true.mean(), abs=0.02)
    assert true.mean() > other.mean() + 0.03
    # With a number for each photograph, its own would be learned by heart.
    (right, true), _ = simulate(Cell(5, 1, 100, 0, 70, signal=0.0), 20, np.random.default_rng(1))
    assert right.mean() == pytest.approx(0.5, abs=0.05)
    assert true.mean() == pytest.approx(0.5, abs=0.02)
