import math

import numpy as np
import pytest
from helpers import fake_run
from scipy import stats

from foodjax.study.compare import compare, paired_test
from foodjax.system.errors import UserError


def test_one_seed_is_mcnemars_exact_test():
    rng = np.random.default_rng(1)
    ours, theirs = rng.random(300) < 0.6, rng.random(300) < 0.5
    difference, (low, high), p = paired_test(ours.astype(float), theirs.astype(float))
    wins, losses = int((ours & ~theirs).sum()), int((~ours & theirs).sum())
    assert difference == pytest.approx((wins - losses) / 300)
    assert p == pytest.approx(stats.binomtest(wins, wins + losses).pvalue, abs=0.01)
    # The bootstrap of a mean is near its normal interval.
    half = 1.96 * np.std(ours.astype(float) - theirs) / math.sqrt(300)
    assert low == pytest.approx(difference - half, abs=0.01)
    assert high == pytest.approx(difference + half, abs=0.01)


def test_equal_predictions_differ_by_nothing():
    same = np.array([1.0, 0.5, 0.0])
    assert paired_test(same, same) == (0.0, (0.0, 0.0), 1.0)


def test_images_that_hang_together_are_not_counted_twice():
    """Two seeds that make the same mistakes are no more evidence than one."""
    rng = np.random.default_rng(2)
    ours, theirs = (rng.random(200) < 0.6).astype(float), (rng.random(200) < 0.52).astype(float)
    once = paired_test(ours, theirs)
    twice = paired_test(np.mean([ours, ours], axis=0), np.mean([theirs, theirs], axis=0))
    assert once == twice


def test_a_comparison_has_mean_deviation_and_paired_difference():
    base = [fake_run("baseline", k, [1, 1, 0, 0] * 20) for k in (0, 1)]
    better = [fake_run("better", 0, [1, 1, 1, 1] * 20), fake_run("better", 1, [1, 1, 1, 0] * 20)]
    first, second = compare([base, better])
    assert math.isnan(first.difference)
    assert first.accuracy == (0.5, 0.0)
    assert second.accuracy.mean == 0.875
    assert second.accuracy.deviation == pytest.approx(0.125 * math.sqrt(2))
    assert second.difference == 0.375
    assert second.interval[0] > 0.25
    assert second.p < 0.001
    assert second.flags == ()
    assert second.val_loss == pytest.approx((1.45, 0.1 / math.sqrt(2)))
    assert second.images_per_second == 110


@pytest.mark.parametrize(
    "other,flag,tested",
    [
        (dict(ids=["b/1", "b/2", "b/3", "b/4"]), "not compared: other test images", False),
        (dict(pixels="q"), "not compared: other pixels (train)", False),
        (dict(pixels="q", data__image_size=32), "other input size (train)", True),
        (dict(pixels="q", data__geometry="crop"), "other geometry (test)", True),
        (dict(pixels="q", data__decoding="plain"), "other decoding (train)", True),
        (dict(device="gpu"), "other device", True),
        (dict(train__epochs=9), "train.epochs 9", True),
        (dict(seed=3), "seeds 3, the baseline's are 0", True),
    ],
)
def test_an_unfair_comparison_is_flagged(other, flag, tested):
    other = {"seed": 0, **other}
    rows = compare([[fake_run("baseline", 0, [1, 1, 0, 0])], [fake_run("x", right=[1, 1, 1, 0], **other)]])
    assert flag in rows[1].flags
    assert math.isnan(rows[1].p) != tested


def test_an_older_run_that_saw_the_same_pixels_is_one_of_its_group():
    group = [fake_run("x", 0, [1, 0]), fake_run("x", 1, [1, 0], data__decoding="plain")]
    assert "decoding" not in " ".join(compare([group])[0].flags)
    group[1] = fake_run("x", 1, [1, 0], data__decoding="plain", pixels="q")
    assert "other decoding (train)" in compare([group])[0].flags


def test_runs_of_one_label_that_differ_are_refused():
    group = [fake_run("x", 0, [1, 0]), fake_run("x", 1, [1, 0], train__patience=3)]
    with pytest.raises(UserError, match="have the same label but differ: train.patience"):
        compare([group])


def with_files(run, files, content):
    """Returns a run whose test photographs have these digests, and this one together."""
    files = dict(zip(run.predictions, files, strict=True))
    return run._replace(files=files, data=run.data | {"test": run.data["test"] | {"content": content}})


def test_the_same_photographs_under_other_names_are_compared_one_by_one():
    base = with_files(fake_run("baseline", 0, [1, 0, 0, 1]), "pqrs", "c")
    other = with_files(fake_run("x", 0, [1, 1, 0, 1], ids=["b/4", "b/3", "b/2", "b/1"]), "srqp", "c")
    _, row = compare([[base], [other]])
    assert row.flags == ("other train images", "other validation images")
    assert row.difference == 0.25
    _, same = compare([[base], [with_files(fake_run("x", 0, [1, 0, 0, 1], ids=list("wxyz")), "spqr"[::-1], "c")]])
    assert same.difference == 0.0


def test_other_photographs_under_the_same_names_are_not_compared():
    base = with_files(fake_run("baseline", 0, [1, 0, 0, 1]), "pqrs", "c")
    other = with_files(fake_run("x", 0, [1, 0, 0, 1], pixels="q"), "tuvw", "d")
    _, row = compare([[base], [other]])
    assert [flag for flag in row.flags if "test images" in flag] == ["not compared: other test images"]
    assert math.isnan(row.p)
    prepared_otherwise = with_files(fake_run("x", 0, [1, 0, 0, 1]), "tuvw", "d")  # the same names and pixels
    assert compare([[base], [prepared_otherwise]])[1].flags == ()
