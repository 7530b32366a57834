import math

import numpy as np
import pytest
from scipy import optimize, stats

from foodjax.evaluation.scores import wilson_interval
from foodjax.study import significance


def table(accuracies, num_images=20_000):
    """Returns rows with these means whose images are alike, so that seeds alone differ."""
    return np.repeat(np.array(accuracies)[:, None], num_images, 1)


def test_where_images_do_not_matter_it_is_welchs_test():
    ours, theirs = [0.61, 0.64, 0.60], [0.55, 0.60, 0.59, 0.57]
    found = significance.over_seeds(table(ours), table(theirs), same_seeds=False)
    welch = stats.ttest_ind(ours, theirs, equal_var=False)
    assert found.p == pytest.approx(welch.pvalue, rel=1e-3)
    low, high = welch.confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-3)
    assert not found.paired


def test_where_seeds_do_not_matter_it_is_the_paired_test_over_images():
    rng = np.random.default_rng(0)
    ours, theirs = (np.repeat(rng.random((1, 300)) < share, 3, 0).astype(float) for share in (0.6, 0.5))
    found = significance.over_seeds(ours, theirs, same_seeds=True)
    assert found.p == pytest.approx(stats.ttest_rel(ours[0], theirs[0]).pvalue, rel=1e-6)


def test_the_variance_is_that_of_the_components():
    """By loops, as docs/statistics.md writes them."""
    rng = np.random.default_rng(1)
    ours, theirs = ((rng.random((n, 40)) < 0.6).astype(float) for n in (3, 4))
    seeds, squares, residual = 0.0, 0.0, 0.0
    for right in (ours, theirs):
        n, count = right.shape
        one = stats.tvar(right.mean(1)) / n
        rest = [
            (right[s, i] - right[s].mean() - right[:, i].mean() + right.mean()) ** 2
            for s in range(n)
            for i in range(count)
        ]
        seeds, squares = seeds + one, squares + one**2 / (n - 1)
        residual += sum(rest) / ((n - 1) * (count - 1)) / (n * count)
    images = stats.tvar(ours.mean(0) - theirs.mean(0)) / 40
    variance = max(seeds, images, seeds + images - residual)
    degrees = variance**2 / (squares + images**2 / 39)
    found = significance.over_seeds(ours, theirs, same_seeds=False)
    assert found.mean == pytest.approx(ours.mean() - theirs.mean())
    assert found.high - found.mean == pytest.approx(stats.t.ppf(0.975, degrees) * math.sqrt(variance))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.mean) / math.sqrt(variance), degrees))


def test_seeds_are_paired_only_where_a_correlation_is_shown():
    theirs = np.array([0.50, 0.55, 0.60, 0.65, 0.70])
    ours = theirs + [0.02, 0.03, 0.02, 0.03, 0.025]
    found = significance.over_seeds(table(ours), table(theirs), same_seeds=True)
    assert found.paired
    assert found.p == pytest.approx(stats.ttest_rel(ours, theirs).pvalue, rel=1e-2)
    assert not significance.over_seeds(table(ours), table(theirs), same_seeds=False).paired
    assert not significance.over_seeds(table(ours[:4]), table(theirs[:4]), same_seeds=True).paired
    for order in ([2, 0, 4, 1, 3], [4, 3, 2, 1, 0]):  # without a correlation, and with a negative one
        assert not significance.over_seeds(table(ours[order]), table(theirs), same_seeds=True).paired


def test_many_comparisons_at_once_are_each_alone():
    rng = np.random.default_rng(2)
    seed = 0.3 * rng.random((6, 6, 1))
    ours, theirs = ((rng.random((6, 6, 50)) < 0.5 + seed).astype(np.float32) for _ in range(2))
    theirs[3] = ours[3]
    together = significance.over_seeds(ours, theirs, same_seeds=True)
    for k in range(6):
        alone = significance.over_seeds(ours[k].astype(float), theirs[k].astype(float), same_seeds=True)
        assert [x[k] for x in together] == pytest.approx(list(alone), abs=1e-5)
    assert together.paired[3]


def test_variants_that_do_not_differ_have_p_1_and_an_interval_of_two_images():
    same = table([1.0, 1.0, 1.0], 500)
    found = significance.over_seeds(same, same, same_seeds=True)
    assert found.p == 1
    assert found.high == pytest.approx(1.96 / 500, rel=0.01)
    with pytest.raises(ValueError, match="3 and 2 seeds: needs at least 3"):
        significance.over_seeds(same, same[:2], same_seeds=False)


def test_two_networks_are_compared_by_mcnemars_exact_test():
    rng = np.random.default_rng(1)
    ours, theirs = rng.random(300) < 0.6, rng.random(300) < 0.5
    found = significance.over_images(ours.astype(float), theirs.astype(float))
    wins, losses = int((ours & ~theirs).sum()), int((~ours & theirs).sum())
    assert found.mean == pytest.approx((wins - losses) / 300)
    assert found.p == pytest.approx(stats.binomtest(wins, wins + losses).pvalue)
    half = 1.96 * np.std(ours.astype(float) - theirs) / math.sqrt(300)
    assert found.low == pytest.approx(found.mean - half, abs=0.01)
    assert found.high == pytest.approx(found.mean + half, abs=0.01)
    same = significance.over_images(ours, ours)
    assert (same.mean, same.p) == (0, 1)
    assert same.low == pytest.approx(-same.high)
    assert same.high == pytest.approx(1.96 * math.sqrt(2) / 302, rel=1e-3)


def test_the_probability_of_winning_is_the_share_of_pairs():
    share, low, high = significance.wins(np.array([0.5, 0.7, 0.8]), np.array([0.6, 0.7]), paired=False)
    assert share == pytest.approx(3.5 / 6)  # a tie is a half

    def beyond(theta):  # by how far the share, half a pair nearer, lies outside: Newcombe's variance of 3 and 2 values
        more = (2.5 - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return abs(share - theta) - 0.5 / 6 - 1.959964 * math.sqrt(theta * (1 - theta) / 6 * (1 + more))

    assert low == pytest.approx(optimize.brentq(beyond, 1e-9, share))
    assert high == pytest.approx(optimize.brentq(beyond, share, 1))
    ours, theirs = np.arange(10), np.arange(10) + np.array([-1] * 8 + [1] * 2)
    share, low, high = significance.wins(ours, theirs, paired=True)
    assert share == 0.8
    assert 0.8 - low == pytest.approx(0.05 + 1.959964 * math.sqrt(low * (1 - low) / 10))
    assert high - 0.8 == pytest.approx(0.05 + 1.959964 * math.sqrt(high * (1 - high) / 10))
    assert low < wilson_interval(8, 10)[0]


def test_three_seeds_that_win_every_pair_do_not_exclude_a_draw():
    """By chance alone they do so in a tenth of all comparisons."""
    share, low, high = significance.wins(np.array([0.7, 0.8, 0.9]), np.array([0.4, 0.5, 0.6]), paired=False)
    assert (share, high) == (1, 1)
    assert 0.4 < low < 0.5
    assert significance.wins(np.arange(5, 10), np.arange(5), paired=False)[1] > 0.5


def test_holms_correction():
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert significance.holm([0.9, 0.8]) == [1, 1]
    assert significance.holm([]) == []
