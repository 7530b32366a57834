"""Nearest neighbours beside loops over all photographs."""

import numpy as np
import pytest

from foodjax.run import neighbours
from foodjax.run.neighbours import choose_neighbours, nearest
from foodjax.system.errors import UserError


def mixture(num, dim=6, num_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num)
    means = np.random.default_rng(9).normal(size=(num_classes, dim))
    return (means[labels] + rng.normal(size=(num, dim))).astype(np.float32), labels


def votes_of(query, features, labels, num_classes, k, temperature):
    """Of one photograph: pairs of similarity and label, sorted, one after the other."""
    pairs = []
    for other, label in zip(features.astype(float), labels, strict=True):
        pairs.append((query @ other / np.sqrt((query @ query) * (other @ other)), label))
    votes = np.zeros(num_classes)
    for similarity, label in sorted(pairs, reverse=True)[:k]:
        votes[label] += np.exp(similarity / temperature)
    return votes / votes.sum()


@pytest.mark.parametrize("k,temperature", [(1, 0.07), (5, 0.07), (20, 0.07), (20, 1.0), (90, 0.3)])
def test_the_probabilities_are_those_of_a_loop(k, temperature):
    features, labels = mixture(90)
    others, _ = mixture(31, seed=1)
    found = nearest(features, labels, others, 3, k, temperature)
    expected = [votes_of(query, features, labels, 3, k, temperature) for query in others.astype(float)]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_blocks_change_nothing(monkeypatch):
    features, labels = mixture(90)
    others, _ = mixture(31, seed=1)
    whole, chosen = nearest(features, labels, others, 3), choose_neighbours(features, labels, 3)
    monkeypatch.setattr(neighbours, "_BLOCK", 7 * 90)
    np.testing.assert_allclose(nearest(features, labels, others, 3), whole, atol=1e-6)
    assert choose_neighbours(features, labels, 3) == chosen


def test_the_length_of_features_does_not_matter():
    features, labels = mixture(50)
    others, _ = mixture(10, seed=1)
    lengths = np.random.default_rng(0).uniform(0.01, 100, (50, 1)).astype(np.float32)
    found = nearest(features * lengths, labels, others * 1e-20, 3)
    np.testing.assert_allclose(found, nearest(features, labels, others, 3), atol=1e-5)


def test_more_neighbours_than_photographs_are_all_of_them():
    features, labels = mixture(7)
    others, _ = mixture(4, seed=1)
    np.testing.assert_array_equal(nearest(features, labels, others, 3, 100), nearest(features, labels, others, 3, 7))
    assert nearest(features, labels, others[:0], 3).shape == (0, 3)


def test_a_low_temperature_is_the_nearest_one_alone():
    features, labels = mixture(50)
    others, _ = mixture(10, seed=1)
    cold = nearest(features, labels, others, 3, 20, temperature=1e-6)
    np.testing.assert_allclose(cold, nearest(features, labels, others, 3, 1), atol=1e-6)


def test_features_of_zeros_are_as_similar_to_all():
    features, labels = np.eye(4, dtype=np.float32), np.array([0, 1, 1, 2])
    np.testing.assert_allclose(nearest(features, labels, np.zeros((1, 4)), 3), [[0.25, 0.5, 0.25]])


def accuracy_of(features, labels, num_classes, k, groups):
    """Each photograph by a loop over the others, without its group."""
    right = []
    for row, query in enumerate(features.astype(float)):
        others = groups != groups[row]
        right.append(votes_of(query, features[others], labels[others], num_classes, k, 0.07).argmax() == labels[row])
    return np.mean(right)


@pytest.mark.parametrize("num,of_one,seed", [(90, 1, 0), (90, 4, 0), (12, 1, 3)])
def test_the_chosen_number_is_the_best_of_a_loop(num, of_one, seed):
    features, labels = mixture(num, dim=4, seed=seed)
    groups = np.arange(num) // of_one
    accuracies = {k: accuracy_of(features, labels, 3, k, groups) for k in neighbours.COUNTS}
    k, accuracy = choose_neighbours(features, labels, 3, groups if of_one > 1 else None)
    assert k == max(accuracies, key=lambda count: (accuracies[count], -count))
    assert accuracy == pytest.approx(accuracies[k], abs=1e-12)
    assert len(set(accuracies.values())) > 1, "any number would do"


def test_duplicates_do_not_vote_for_each_other():
    rng = np.random.default_rng(0)  # random labels, every photograph three times
    features = np.repeat(rng.normal(size=(60, 30)), 3, axis=0).astype(np.float32)
    labels, groups = np.repeat(rng.integers(0, 2, 60), 3), np.repeat(np.arange(60), 3)
    assert choose_neighbours(features, labels, 2) == (1, 1.0)
    assert choose_neighbours(features, labels, 2, groups)[1] < 0.7


def test_photographs_without_others_are_refused():
    with pytest.raises(UserError, match="3 training photographs that are duplicates of each other: neighbours need"):
        choose_neighbours(np.ones((3, 2)), np.array([0, 1, 1]), 2, groups=np.zeros(3))
