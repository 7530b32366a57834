"""The linear classifier beside scikit-learn's, which minimises the same sum by another program."""

import re

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from foodjax.data.folds import KEPT, stratified_folds
from foodjax.run import linear, logistic
from foodjax.system.errors import UserError


def mixture(num=300, dim=20, num_classes=4, distance=0.8, seed=0, shares=None):
    """Overlapping Gaussians of very unequal scales, far from 0: (features float32, labels)."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(num_classes, num, p=shares)
    labels[:num_classes] = np.arange(num_classes)
    features = rng.normal(size=(num, dim)) + distance * rng.normal(size=(num_classes, dim))[labels]
    return (features * 10 ** rng.uniform(-2, 2, dim) + rng.normal(size=dim)).astype(np.float32), labels


def probabilities(fitted, features):
    """In float64, from the logits of the classifier on features as they are."""
    logits = features.astype(np.float64) @ fitted.kernel + fitted.bias
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def sklearn_of(features, labels, strength, weights=None, scaler=None):
    """Returns scikit-learn's probabilities of any features, at the optimum of the same sum."""
    scaler = scaler or StandardScaler().fit(features.astype(np.float64))
    of_rows = np.ones(len(labels)) if weights is None else np.asarray(weights)[labels]
    # With two classes it has one vector w, whose penalty is twice that of the vectors w/2 and -w/2 of ours.
    factor = 2 if labels.max() == 1 else 1
    model = LogisticRegression(C=factor / (strength * of_rows.sum()), tol=1e-10, max_iter=20_000)
    model.fit(scaler.transform(features.astype(np.float64)), labels, sample_weight=of_rows)
    return lambda rows: model.predict_proba(scaler.transform(rows.astype(np.float64)))


@pytest.mark.parametrize("sizes", [
    {"num": 300, "dim": 20, "num_classes": 4},
    {"num": 300, "dim": 20, "num_classes": 2},
    {"num": 40, "dim": 90, "num_classes": 3},  # fewer photographs than features
    {"num": 60, "dim": 60, "num_classes": 7},
    {"num": 200, "dim": 1, "num_classes": 3},
    {"num": 300, "dim": 20, "num_classes": 3, "shares": (0.9, 0.08, 0.02)},
], ids=lambda sizes: "-".join(str(n) for n in sizes.values()))  # fmt: skip
@pytest.mark.parametrize("strength", [10.0, 0.1, 1e-3])
def test_it_is_the_optimum_of_scikit_learn(sizes, strength):
    num = sizes["num"]
    features, labels = mixture(**{**sizes, "num": 2 * num})
    features, others, labels = features[:num], features[num:], labels[:num]
    fitted = linear.fit(features, labels, sizes["num_classes"], strengths=[strength])
    theirs = sklearn_of(features, labels, strength)
    np.testing.assert_allclose(probabilities(fitted, features), theirs(features), atol=2e-5)
    np.testing.assert_allclose(probabilities(fitted, others), theirs(others), atol=2e-4)
    assert fitted.strength == strength
    assert fitted.kernel.dtype == fitted.bias.dtype == np.float32
    assert abs(fitted.bias.mean()) <= 1e-5 * np.abs(fitted.bias).max()


def test_weights_of_classes_are_those_of_scikit_learn():
    features, labels = mixture(num_classes=3, distance=0.3, shares=(0.7, 0.2, 0.1))
    weights = 300 / (3 * np.bincount(labels))
    fitted = linear.fit(features, labels, 3, strengths=[0.01], class_weights=weights)
    theirs = sklearn_of(features, labels, 0.01, weights)(features)
    np.testing.assert_allclose(probabilities(fitted, features), theirs, atol=2e-5)
    scaled = linear.fit(features, labels, 3, strengths=[0.01], class_weights=7 * weights)
    np.testing.assert_allclose(scaled.kernel, fitted.kernel, rtol=1e-3, atol=1e-7)
    plain = probabilities(linear.fit(features, labels, 3, strengths=[0.01]), features)
    assert plain[:, 2].mean() < theirs[:, 2].mean() - 0.05


def gradient_norm(features, labels, kernel, bias, strength):
    """Of the mean loss with the penalty, by kernel and bias, in float64."""
    residuals = features @ kernel + bias
    residuals = np.exp(residuals - residuals.max(1, keepdims=True))
    residuals = residuals / residuals.sum(1, keepdims=True) - np.eye(len(bias))[labels]
    by_kernel = features.T @ residuals / len(labels) + strength * kernel
    return np.sqrt((by_kernel**2).sum() + (residuals.mean(0) ** 2).sum())


@pytest.mark.parametrize("gap", [1e-1, 1e-5, 1e-8, 1e-11])
@pytest.mark.parametrize("num", [300, 15])
def test_the_gradient_at_the_end_is_as_small_as_stated(gap, num):
    features, labels = mixture(num)
    features = StandardScaler().fit_transform(features.astype(np.float64))
    regression = logistic.LogisticRegression(logistic.rotate(features), labels, np.ones((1, num)), 4)
    for strength in (1.0, 1e-3):  # the second one starts where the first one has ended
        found = regression.minimise(strength, gap)
        norm = gradient_norm(features, labels, *regression.classifier(0), strength)
        assert found <= gap
        assert norm**2 / (2 * strength) == pytest.approx(found, rel=1e-3, abs=1e-16)


def test_it_starts_at_the_shares_of_the_classes():
    features, labels = mixture(shares=(0.1, 0.2, 0.3, 0.4))
    features = StandardScaler().fit_transform(features.astype(np.float64))
    regression = logistic.LogisticRegression(logistic.rotate(features), labels, np.ones((1, 300)), 4)
    shares = np.bincount(labels) / 300
    np.testing.assert_allclose(np.exp(regression.log_probabilities()), np.broadcast_to(shares, (300, 1, 4)), rtol=1e-12)


@pytest.mark.parametrize("gap,off,moved", [(1e-11, 1e-6, 0), (linear._GAP_OF_FOLDS, 2e-4, 1)], ids=["exact", "usual"])
def test_the_table_is_that_of_scikit_learn_on_the_same_folds(monkeypatch, gap, off, moved):
    monkeypatch.setattr(linear, "_GAP_OF_FOLDS", gap)
    features, labels = mixture(num=150, dim=12, num_classes=3)
    weights, strengths, seed = np.array([0.5, 1.0, 1.5]), (1.0, 0.03), 3
    fitted = linear.fit(features, labels, 3, strengths, num_folds=4, seed=seed, class_weights=weights)
    folds = stratified_folds(labels, 3, 4, seed)
    scaler = StandardScaler().fit(features.astype(np.float64))
    assert fitted.num_folds == 4
    assert [row.strength for row in fitted.folds] == [1.0, 0.03]
    for row in fitted.folds:
        held_out, right = np.zeros((150, 3)), []
        for fold in range(4):
            trained = sklearn_of(features[folds != fold], labels[folds != fold], row.strength, weights, scaler)
            held_out[folds == fold] = trained(features[folds == fold])
            right.append(np.mean(held_out[folds == fold].argmax(1) == labels[folds == fold]))
        assert row.loss == pytest.approx(log_loss(labels, held_out, sample_weight=weights[labels]), abs=off)
        assert row.accuracy == pytest.approx(np.mean(held_out.argmax(1) == labels), abs=moved / 150 + 1e-12)
        assert row.deviation == pytest.approx(np.std(right, ddof=1), abs=moved / 30 + 1e-12)


def test_the_strength_with_the_smallest_loss_is_taken_and_the_search_ends_behind_it():
    features, labels = mixture(num=400, dim=40, distance=0.35)
    fitted = linear.fit(features, labels, 4)
    losses = [row.loss for row in fitted.folds]
    assert [row.strength for row in fitted.folds] == list(linear.STRENGTHS[: len(losses)])
    assert np.argmin(losses) == len(losses) - 3
    assert 0 < np.argmin(losses) < len(linear.STRENGTHS) - 3
    assert fitted.strength == linear.STRENGTHS[np.argmin(losses)]
    assert fitted.held_out == fitted.folds[np.argmin(losses)]
    again = linear.fit(features, labels, 4, strengths=[fitted.strength])
    np.testing.assert_allclose(fitted.kernel, again.kernel, rtol=1e-3, atol=1e-8)


def test_given_strengths_are_all_tried_the_strongest_first():
    features, labels = mixture()
    fitted = linear.fit(features, labels, 4, strengths=[1e-4, 30, 1e-3, 30, 300])
    assert [row.strength for row in fitted.folds] == [300, 30, 1e-3, 1e-4]


def test_features_that_say_nothing_predict_the_shares_of_the_classes():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [120, 40])
    fitted = linear.fit(rng.normal(size=(160, 200)).astype(np.float32), labels, 2)
    assert fitted.strength >= 10
    found = probabilities(fitted, rng.normal(size=(160, 200)))
    np.testing.assert_allclose(found, np.broadcast_to([0.75, 0.25], (160, 2)), atol=0.15)
    np.testing.assert_allclose(found.mean(0), [0.75, 0.25], atol=0.01)
    assert fitted.folds[0].accuracy == 0.75


@pytest.mark.parametrize("value", [0.0, 0.1, 1000.0])
def test_a_constant_feature_changes_nothing(value):
    features, labels = mixture(num=100, dim=5)
    more = np.insert(features, 2, np.float32(value), axis=1)
    fitted, plain = (linear.fit(of, labels, 4, strengths=[0.01]) for of in (more, features))
    assert not fitted.kernel[2].any()
    np.testing.assert_allclose(np.delete(fitted.kernel, 2, 0), plain.kernel, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(fitted.bias, plain.bias, rtol=1e-3, atol=1e-5)
    more[:, 2] = -7  # in other photographs it varies
    np.testing.assert_allclose(probabilities(fitted, more), probabilities(plain, features), atol=1e-4)


def test_a_feature_that_varies_by_rounding_alone_is_constant():
    features, labels = mixture(num=100, dim=5)
    features[:, 2] = np.where(labels == 1, np.nextafter(np.float32(1000), np.float32(2000)), 1000)
    assert len(set(features[:, 2])) == 2
    assert not linear.fit(features, labels, 4, strengths=[0.01]).kernel[2].any()


def test_constant_features_alone_predict_the_shares_of_the_classes():
    fitted = linear.fit(np.full((8, 3), 0.3, np.float32), np.array([0, 0, 0, 0, 0, 0, 1, 1]), 2)
    assert not fitted.kernel.any()
    np.testing.assert_allclose(probabilities(fitted, np.zeros((1, 3))), [[0.75, 0.25]], atol=1e-6)


def test_one_photograph_of_each_class_needs_no_cross_validation():
    features, labels = mixture(num=4, dim=30)
    fitted = linear.fit(features, labels, 4, strengths=[1e-3, 1.0, 1e-1])
    assert fitted.folds == ()
    assert fitted.held_out is None
    assert fitted.num_folds == 0
    assert fitted.strength == 0.1
    np.testing.assert_allclose(probabilities(fitted, features), sklearn_of(features, labels, 0.1)(features), atol=2e-5)


def test_duplicates_in_other_folds_would_be_remembered():
    rng = np.random.default_rng(0)  # random labels: there is nothing to learn but the photographs
    features = np.repeat(rng.normal(size=(40, 60)), 3, axis=0).astype(np.float32)
    labels, groups = np.repeat(np.arange(40) % 2, 3), np.repeat(np.arange(40), 3)
    strengths = [1e-2]
    (apart,) = linear.fit(features, labels, 2, strengths).folds
    (together,) = linear.fit(features, labels, 2, strengths, groups=groups).folds
    assert apart.accuracy > 0.95
    assert together.accuracy < 0.7


def test_separable_classes_and_a_weak_penalty_end():
    features, labels = mixture(num=60, dim=80, distance=3)
    fitted = linear.fit(features, labels, 4, strengths=[1e-7])
    assert fitted.folds[0].accuracy > 0.9
    theirs = sklearn_of(features, labels, 1e-7)(features)
    np.testing.assert_allclose(probabilities(fitted, features), theirs, atol=1e-3)


def test_an_optimum_that_is_not_reached_is_told(monkeypatch, capsys):
    features, labels = mixture()
    linear.fit(features, labels, 4, strengths=[1e-3])
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(logistic, "_MAX_STEPS", 3)
    linear.fit(features, labels, 4, strengths=[1e-3])
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"the linear classifier of strength 0.001 is within .*e-\d+ nats of its optimum, not 1e-11", line
    )


def test_correlated_features_take_less_than_half_of_the_steps_of_scikit_learn(monkeypatch):
    rng = np.random.default_rng(0)
    features, labels = mixture(num=400, dim=120, num_classes=10, distance=0.3)
    # A spectrum like that of features of networks.
    features = StandardScaler().fit_transform(features) * np.arange(1, 121) ** -0.75 @ rng.normal(size=(120, 120))
    features = StandardScaler().fit_transform(features)
    regression = logistic.LogisticRegression(logistic.rotate(features), labels, np.ones((1, 400)), 10)
    calls, loss = [], logistic.LogisticRegression._loss
    monkeypatch.setattr(logistic.LogisticRegression, "_loss", lambda *given: calls.append(0) or loss(*given))
    regression.minimise(0.03, 1e-6)
    plain = LogisticRegression(C=1 / (0.03 * 400), tol=1e-4).fit(features, labels)
    norm = gradient_norm(features, labels, *regression.classifier(0), 0.03)
    assert norm < gradient_norm(features, labels, plain.coef_.T, plain.intercept_, 0.03)
    assert len(calls) < plain.n_iter_[0] / 2


def test_the_inverse_hessian_is_that_of_the_formula_of_bfgs():
    rng = np.random.default_rng(0)
    num_steps, shape = 4, (3, 2, 5)  # two functions of 15 variables
    gradient, inverse = rng.normal(size=shape), rng.uniform(0.5, 2, shape)
    steps, curvatures = rng.normal(size=(num_steps, *shape)), rng.uniform(0.1, 3, shape)
    changes = steps * curvatures + 0.05 * rng.normal(size=steps.shape)
    weights = 1 / (steps * changes).sum((1, 3))  # (steps, 2)
    found = logistic._times_inverse_hessian(gradient, list(zip(steps, changes, weights, strict=True)), inverse)
    for number in range(2):
        s, y = (of[:, :, number].reshape(num_steps, 15) for of in (steps, changes))
        hessian = np.diag(inverse[:, number].ravel())
        hessian *= s[-1] @ y[-1] / (y[-1] @ hessian @ y[-1])
        for step, change in zip(s, y, strict=True):
            left = np.eye(15) - np.outer(step, change) / (step @ change)
            hessian = left @ hessian @ left.T + np.outer(step, step) / (step @ change)
        np.testing.assert_allclose(found[:, number].ravel(), hessian @ gradient[:, number].ravel(), rtol=1e-9)


def test_an_optimum_without_errors_takes_less_than_half_of_the_steps_by_guessing_again(monkeypatch):
    features, labels = mixture(num=300, dim=50, distance=3)
    rotated = logistic.rotate(StandardScaler().fit_transform(features.astype(np.float64)))
    loss, calls = logistic.LogisticRegression._loss, {}
    for stages in ((), logistic._STAGES):
        monkeypatch.setattr(logistic, "_STAGES", stages)
        count = calls.setdefault(stages, [])
        monkeypatch.setattr(logistic.LogisticRegression, "_loss", lambda *given, n=count: n.append(0) or loss(*given))
        regression = logistic.LogisticRegression(rotated, labels, np.ones((1, 300)), 4)
        assert regression.minimise(1e-4, 1e-9) <= 1e-9
        assert (regression.log_probabilities()[:, 0].argmax(1) == labels).all()
    assert len(calls[logistic._STAGES]) < len(calls[()]) / 2


def test_too_little_memory_is_told(monkeypatch):
    features, labels = mixture()
    monkeypatch.setattr(linear.memory, "available", lambda: 8 * 300 * 3 * 20)
    with pytest.raises(UserError, match="a linear classifier of 300 photographs takes 0.0 GiB of memory, and 0.0 GiB"):
        linear.fit(features, labels, 4, [1.0])
    linear.fit(features, labels, 4, [1.0], num_folds=1)


@pytest.mark.parametrize("changes,error,message", [
    ({"strengths": [0.1, 0.0]}, UserError, r"the strengths of the penalty are \[0.1, 0.0\]: needs numbers above 0"),
    ({"strengths": []}, UserError, r"are \[\]: needs numbers above 0"),
    ({"strengths": [np.nan]}, UserError, "needs numbers above 0"),
    ({"num_classes": 5}, UserError, "class number 4 has no photograph to train on: needs at least one of each class"),
    ({"num_classes": 1, "labels": np.zeros(12, int)}, UserError, "there is 1 class: a linear classifier needs at le"),
    ({"num_classes": 3}, ValueError, "labels are 0 to 3: needs 0 to 2"),
    ({"labels": np.arange(11) % 4}, ValueError, r"features are \(12, 2\), labels \(11,\), class weights \(4,\): needs"),
    ({"class_weights": [1.0, 1.0, 1.0]}, ValueError, r"class weights \(3,\): needs \(N, D\), \(N,\) and \(4,\)"),
    ({"class_weights": [1.0, 1.0, 0.0, 2.0]}, ValueError, "needs numbers above 0"),
    ({"features": np.where(np.arange(24).reshape(12, 2) == 7, np.inf, 1)}, UserError,
     "the features of photograph 3 of 12 are not finite"),
])  # fmt: skip
def test_what_it_refuses(changes, error, message):
    arguments = {"features": np.ones((12, 2), np.float32), "labels": np.arange(12) % 4, "num_classes": 4}
    with pytest.raises(error, match=message):
        linear.fit(**{**arguments, **changes})


def test_a_class_of_one_photograph_is_learnt():
    features, labels = mixture(num=61, dim=70, num_classes=3)
    labels[labels == 2] = 1
    labels[60] = 2
    fitted = linear.fit(features, labels, 3, num_folds=3, strengths=[1e-3])
    assert stratified_folds(labels, 3, 3, 0)[60] == KEPT
    assert fitted.num_folds == 3
    assert probabilities(fitted, features)[60].argmax() == 2
