"""The comparison's errors on simulated runs, in a small form of benchmarks/false_positives.py."""

import numpy as np
import pytest

from benchmarks.false_positives import Cell, measure, moments, power, simulate
from foodjax.study import significance


@pytest.mark.parametrize(
    "cell", [Cell(3, 0.0, 750), Cell(3, 0.03, 750), Cell(5, 0.01, 750), Cell(5, 0.03, 750, 0, 0.8)]
)
def test_false_positives_are_as_rare_as_promised(cell):
    assert measure(cell, 1200)["foodjax"] <= 0.06


def test_images_alone_and_seeds_alone_err_where_the_other_matters():
    assert measure(Cell(3, 0.03, 750), 400)["images_alone"] > 0.25
    assert measure(Cell(10, 0.0, 750), 400)["seeds_alone"] > 0.12


def test_power_is_that_of_the_components():
    found = measure(Cell(5, 0.01, 750, 0.04), 600)
    assert found["foodjax"] == pytest.approx(power(5, 0.01, 750, 0.04), abs=0.06)
    assert found["covered"] > 0.93


def test_simulated_runs_have_the_accuracy_deviation_and_components_of_their_cell():
    model = moments()
    ours, theirs = simulate(Cell(4, 0.03, 1000, 0.05), 400, np.random.default_rng(0), model["slope"])
    assert theirs.mean() == pytest.approx(model["accuracy"], abs=0.004)
    assert ours.mean() - theirs.mean() == pytest.approx(0.05, abs=0.004)
    deviation = np.sqrt(theirs.mean(-1).var(-1, ddof=1).mean())
    assert deviation == pytest.approx(np.hypot(0.03, np.sqrt(model["residual"] / 1000)), rel=0.06)
    apart = (ours.mean(-2) - theirs.mean(-2)).var(-1).mean()
    assert apart == pytest.approx(model["image"] + 2 * model["residual"] / 4, rel=0.06)


def test_a_failed_seed_of_three_is_no_evidence():
    rng = np.random.default_rng(1)
    ours, theirs = simulate(Cell(3, 0.01, 750), 200, rng, moments()["slope"])
    ours[:, 0] = rng.random((200, 750)) < 0.1
    found = significance.over_seeds(ours, theirs, same_seeds=True)
    assert (found.mean < -0.1).all()
    assert found.p.min() > 0.05
