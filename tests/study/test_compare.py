import math

import numpy as np
import pytest
from helpers import fake_run
from scipy import stats

from foodjax.study.compare import IMAGES, SEEDS, TOO_FEW, compare
from foodjax.system.errors import UserError


def classes(run, kinds=2):
    """Returns a run whose images belong to some classes in turn; a wrong prediction names the next class."""
    rights = [true == predicted for true, predicted in run.predictions.values()]
    named = [(str(k % kinds), str((k + (not right)) % kinds)) for k, right in enumerate(rights)]
    return run._replace(predictions=dict(zip(run.predictions, named, strict=True)))


def drawn(label, seed, share, rng, count=750):
    """Returns a run with ten classes that predicts a share of the images right."""
    return classes(fake_run(label, seed, [bool(right) for right in rng.random(count) < share]), 10)


def test_a_comparison_has_mean_deviation_and_difference():
    base = [fake_run("baseline", k, [1, 1, 0, 0] * 20) for k in (0, 1, 2)]
    rights = [1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 0]
    first, second = compare([base, [fake_run("better", k, right * 20) for k, right in enumerate(rights)]])
    assert math.isnan(first.difference)
    assert first.accuracy == (0.5, 0.0)
    assert first.tested == ""
    assert second.accuracy == pytest.approx((2.5 / 3, 0.25 / math.sqrt(3)))
    assert second.difference == pytest.approx(1 / 3)
    assert 0 < second.interval[0] < 0.1
    assert sum(second.interval) == pytest.approx(2 / 3)
    assert second.p == pytest.approx(0.0342, abs=1e-4)
    assert second.p_holm == second.p
    assert second.wins == 1
    assert second.wins_interval == pytest.approx((0.448, 1), abs=1e-3)
    assert second.tested == SEEDS
    assert second.flags == ()
    assert second.val_loss == pytest.approx((1.4, 0.1))
    assert second.images_per_second == 110


def test_a_failed_seed_of_three_is_named_and_is_no_evidence():
    rng = np.random.default_rng(0)
    base = [drawn("baseline", k, 0.4, rng) for k in range(3)]
    one_lost = [drawn("x", k, share, rng) for k, share in enumerate((0.1, 0.4, 0.4))]
    _, row = compare([base, one_lost])
    assert row.difference < -0.07
    assert row.p > 0.3
    assert row.failed == (0,)
    assert row.flags == (f"seed 0 failed ({100 * one_lost[0].result['test_accuracy']:.1f} %, no better than guessing)",)
    low = [drawn("x", k, share, rng) for k, share in enumerate((0.4, 0.2, 0.4))]
    _, row = compare([base, low])
    assert row.p > 0.1
    assert row.failed == (1,)
    assert row.flags[0].startswith("seed 1 stands apart (")
    assert compare([low, base])[0].failed == (1,)  # the baseline's too


def test_two_seeds_are_too_few_and_one_of_each_are_two_networks():
    runs = [[fake_run(label, k, right * 20) for k in range(3)] for label, right in (("a", [1, 0]), ("b", [1, 1]))]
    for ours, theirs in ((2, 2), (3, 2), (2, 3), (1, 3), (3, 1)):
        _, row = compare([runs[0][:theirs], runs[1][:ours]])
        assert row.difference == 0.5
        assert row.tested == TOO_FEW
        assert math.isnan(row.p)
        assert math.isnan(row.interval[0])
    _, row = compare([runs[0][:1], runs[1][:1]])
    assert row.tested == IMAGES
    assert row.p == pytest.approx(stats.binomtest(20, 20).pvalue)
    assert math.isnan(row.wins)


def test_two_runs_with_one_seed_are_one_draw():
    base = [fake_run("a", k, [1, 0] * 20) for k in range(3)]
    again = [fake_run("b", 0, [1, 1] * 20) for _ in range(3)]
    _, row = compare([base, again])
    assert row.num_seeds == 1
    assert row.tested == TOO_FEW
    assert "2 runs with a seed that another has: not counted" in row.flags


def test_p_is_adjusted_for_the_number_of_variants():
    rng = np.random.default_rng(3)
    shares = {"a": 0.5, "b": 0.6, "c": 0.57, "d": 0.5}
    groups = [[fake_run(label, 0, list(rng.random(300) < share))] for label, share in shares.items()]
    rows = compare(groups)
    by_size = sorted(rows[1:], key=lambda row: row.p)
    assert by_size[0].p_holm == pytest.approx(3 * by_size[0].p)
    assert by_size[1].p_holm == pytest.approx(max(2 * by_size[1].p, by_size[0].p_holm))
    assert math.isnan(rows[0].p_holm)


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
