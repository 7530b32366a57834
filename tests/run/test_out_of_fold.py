"""Out-of-fold probabilities: those of scikit-learn's classifiers; nothing in them knows the labels of their fold."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from foodjax.run import linear, out_of_fold
from foodjax.system.errors import UserError


def mixture(num=150, dim=6, num_classes=3, distance=1.0, seed=0):
    """Overlapping Gaussians: (features float32 (N, D), labels)."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(num) % num_classes)
    features = rng.normal(size=(num, dim)) + distance * rng.normal(size=(num_classes, dim))[labels]
    return features.astype(np.float32), labels


def sklearn_probabilities(features, labels, strength, weights, rows):
    """Returns scikit-learn's probabilities of `rows` at the optimum of the same sum, fitted with weights (N,)."""
    standard = StandardScaler().fit_transform(features.astype(np.float64))
    model = LogisticRegression(C=1 / (strength * weights.sum()), tol=1e-9, max_iter=10_000)
    return model.fit(standard, labels, sample_weight=weights).predict_proba(standard[rows])


def test_they_are_those_of_scikit_learn(monkeypatch):
    strength, num_folds = 0.03, 3
    monkeypatch.setattr(linear, "STRENGTHS", (strength,))
    features, labels = mixture()
    found = out_of_fold.predict(features, labels, 3, num_folds)
    assert found.strengths == (strength,) * num_folds
    for fold in range(num_folds):
        given = np.full(len(labels), np.inf)
        for other in set(range(num_folds)) - {fold}:
            rows = np.flatnonzero(found.folds == other)
            seen = ((found.folds != fold) & (found.folds != other)).astype(float)
            probabilities = sklearn_probabilities(features, labels, strength, seen, rows)
            given[rows] = probabilities[np.arange(len(rows)), labels[rows]]
        unlikely = np.argsort(given)[: round(0.08 * np.isfinite(given).sum())]
        weights = (found.folds != fold).astype(float)
        weights[unlikely] *= 1e-6
        rows = np.flatnonzero(found.folds == fold)
        theirs = sklearn_probabilities(features, labels, strength, weights, rows)
        np.testing.assert_allclose(found.probabilities[rows], theirs, atol=0.01)


def test_the_labels_of_a_fold_change_nothing_in_it(monkeypatch):
    features, labels = mixture(120, distance=0.7)
    folds = np.arange(120) % 4
    monkeypatch.setattr(out_of_fold, "stratified_folds", lambda *_: folds)
    before = out_of_fold.predict(features, labels, 3)
    changed = labels.copy()
    inside = np.flatnonzero(folds == 2)
    changed[inside] = np.random.default_rng(1).integers(0, 3, len(inside))
    after = out_of_fold.predict(features, changed, 3)
    assert (changed != labels).sum() > 10
    assert after.strengths[2] == before.strengths[2]
    np.testing.assert_allclose(after.probabilities[inside], before.probabilities[inside], atol=1e-6)
    assert np.abs(after.probabilities - before.probabilities).max() > 0.01


@pytest.fixture
def few_strengths(monkeypatch):
    monkeypatch.setattr(linear, "STRENGTHS", (0.3, 0.1))


def test_wrong_labels_are_the_least_likely(few_strengths):
    features, labels = mixture(distance=4.0)
    wrong = np.arange(0, 150, 20)
    given = labels.copy()
    given[wrong] = (labels[wrong] + 1) % 3
    found = out_of_fold.predict(features, given, 3)
    order = np.argsort(found.probabilities[np.arange(150), given])
    assert set(order[: len(wrong)]) == set(wrong)
    np.testing.assert_allclose(found.probabilities.sum(1), 1)


def test_duplicates_stay_in_one_fold(few_strengths):
    found = out_of_fold.predict(*mixture(), 3, groups=np.arange(150) // 2)
    assert (found.folds[::2] == found.folds[1::2]).all()
    assert set(found.folds) == {0, 1, 2, 3, 4}


def test_classes_of_a_few_photographs():
    features, labels = mixture(9)[0], np.arange(9) % 3
    found = out_of_fold.predict(features, labels, 3, groups=np.array([0, 1, 2, 3, 4, 5, 0, 1, 2]))
    assert found.strengths == (linear.STRENGTHS[len(linear.STRENGTHS) // 2],) * 2
    kept = found.folds >= 0
    assert np.isnan(found.probabilities[~kept]).all()
    np.testing.assert_allclose(found.probabilities[kept].sum(1), 1)
    with pytest.raises(UserError, match="no class has two photographs that are no duplicates"):
        out_of_fold.predict(features, labels, 3, groups=np.zeros(9, int))
