import numpy as np
import pytest

from foodjax.data.folds import KEPT, stratified_folds


def table(labels, folds, num_classes):
    """Photographs of each class in each fold, (F, K)."""
    return np.stack([np.bincount(labels[folds == fold], minlength=num_classes) for fold in range(folds.max() + 1)])


def test_folds_have_equal_shares_of_each_class():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [50, 23, 9]))
    found = table(labels, stratified_folds(labels, 3, 5, 0), 3)
    assert found[:, 0].tolist() == [10] * 5
    assert sorted(found[:, 1]) == [4, 4, 5, 5, 5]
    assert sorted(found[:, 2]) == [1, 2, 2, 2, 2]
    assert np.ptp(found.sum(1)) <= 1


def test_a_seed_is_an_assignment():
    labels = np.arange(100) % 4
    assert (stratified_folds(labels, 4, 5, 1) == stratified_folds(labels, 4, 5, 1)).all()
    assert (stratified_folds(labels, 4, 5, 1) != stratified_folds(labels, 4, 5, 2)).mean() > 0.5


def test_a_class_of_one_photograph_is_never_held_out():
    labels = np.array([0] * 10 + [1] + [2] * 10)
    folds = stratified_folds(labels, 3, 5, 0)
    assert folds[10] == KEPT
    assert (np.delete(folds, 10) >= 0).all()
    assert table(labels, folds, 3)[:, [0, 2]].tolist() == [[2, 2]] * 5


def test_a_small_class_is_in_fewer_folds():
    labels = np.array([0] * 20 + [1] * 3)
    found = table(labels, stratified_folds(labels, 2, 5, 0), 2)
    assert found[:, 0].tolist() == [4] * 5
    assert sorted(found[:, 1]) == [0, 0, 1, 1, 1]


@pytest.mark.parametrize("sizes,num_folds,expected", [
    ((3, 3, 2), 5, 3),
    ((2, 2, 1), 5, 2),
    ((4, 1, 1), 5, 4),
    ((9, 9, 9), 2, 2),
    ((1, 1, 1), 5, 0),
    ((9, 9, 9), 1, 0),
])  # fmt: skip
def test_there_are_no_more_folds_than_photographs_of_a_class(sizes, num_folds, expected):
    folds = stratified_folds(np.repeat(np.arange(3), sizes), 3, num_folds, 0)
    assert folds.max() + 1 == expected
    assert set(folds.tolist()) - {KEPT} == set(range(expected))


def test_a_group_is_in_one_fold():
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 3, 200), rng.integers(0, 60, 200) * 7 - 5  # groups across classes too
    folds = stratified_folds(labels, 3, 5, 0, groups)
    assert all(len(set(folds[groups == group])) == 1 for group in groups)
    found = table(labels, folds, 3)
    assert len(found) == 5
    assert np.ptp(found.sum(1)) <= 6
    assert (np.ptp(found, axis=0) <= 6).all()


@pytest.mark.parametrize("seed", range(50))
def test_a_pair_of_duplicates_never_splits_and_each_class_has_equal_shares(seed):
    rng = np.random.default_rng(seed)
    labels, groups = rng.permutation(np.repeat([0, 1, 2], [50, 23, 10])), np.arange(83)
    first, second = rng.permutation(83)[:24].reshape(2, 12)  # twelve pairs, within and across classes
    groups[second] = groups[first]
    folds = stratified_folds(labels, 3, 5, seed, groups)
    np.testing.assert_array_equal(folds[first], folds[second])
    found = table(labels, folds, 3)
    assert len(found) == 5
    assert found.sum() == 83
    assert np.ptp(found, axis=0).max() <= 1
    assert np.ptp(found.sum(1)) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_groups_of_unequal_sizes_fill_equal_folds(seed):
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(19), [8, 4, 4, *16 * [1]]))
    folds = stratified_folds(np.zeros(32, int), 1, 4, seed, groups)
    assert np.bincount(folds).tolist() == [8] * 4


def test_a_class_whose_photographs_are_duplicates_of_each_other_is_never_held_out():
    labels = np.array([0] * 10 + [1] * 3)
    folds = stratified_folds(labels, 2, 5, 0, groups=np.array([*range(10), 99, 99, 99]))
    assert folds[10:].tolist() == [KEPT] * 3
    assert sorted(folds[:10]) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize("seed", range(200))
def test_the_photographs_outside_a_fold_show_every_class(seed):
    rng = np.random.default_rng(seed)
    num, num_classes = rng.integers(4, 40), rng.integers(2, 6)
    labels, groups = rng.integers(0, num_classes, num), rng.integers(0, rng.integers(1, 30), num)
    folds = stratified_folds(labels, num_classes, rng.integers(2, 7), seed, groups)
    assert all(len(set(folds[groups == group])) == 1 for group in groups)
    assert set(folds.tolist()) - {KEPT} == set(range(folds.max() + 1))
    assert folds.max() != 0, "one fold would be all of them"
    for fold in range(folds.max() + 1):
        assert set(labels[folds != fold]) == set(labels)
