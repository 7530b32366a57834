import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foodjax.config import listed
from foodjax.config.training_keys import Train
from foodjax.steps.losses import LOSSES, binary_cross_entropy, focal_loss, training_losses

LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], np.float32)
LABELS = np.array([0, 2], np.int32)
SOFTMAX = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
SIGMOID = 1 / (1 + np.exp(-LOGITS))


def losses(labels=LABELS, logits=LOGITS, **keys):
    return np.asarray(training_losses(jnp.asarray(logits), jnp.asarray(labels), Train(**keys)))


def test_the_losses_are_those_of_the_table():
    assert LOSSES.keys() == listed.LOSSES.keys()


def test_binary_cross_entropy_is_the_mean_over_the_classes():
    others = [[1, 2], [0, 1]]
    right = [
        -(np.log(SIGMOID[i, k]) + np.log(1 - SIGMOID[i, others[i]]).sum()) / 3 for i, k in enumerate(LABELS)
    ]  # fmt: skip
    np.testing.assert_allclose(losses(loss="binary_cross_entropy"), right, rtol=1e-5)


def test_binary_cross_entropy_with_smoothing_has_soft_targets():
    targets = np.full((2, 3), 0.1)
    targets[[0, 1], LABELS] += 0.7
    right = -(targets * np.log(SIGMOID) + (1 - targets) * np.log(1 - SIGMOID)).mean(axis=1)
    np.testing.assert_allclose(losses(loss="binary_cross_entropy", label_smoothing=0.3), right, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_weighs_cross_entropy_by_what_is_missing(gamma):
    p = SOFTMAX[[0, 1], LABELS]
    np.testing.assert_allclose(losses(loss="focal", focal_gamma=gamma), -((1 - p) ** gamma) * np.log(p), rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_focal_without_gamma_is_cross_entropy(smoothing):
    keys = {"label_smoothing": smoothing}
    np.testing.assert_allclose(losses(loss="focal", focal_gamma=0.0, **keys), losses(**keys), rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_has_a_finite_gradient_where_the_network_is_sure(gamma):
    logits = jnp.array([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0]])
    targets = jnp.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    found = jax.grad(lambda z: focal_loss(z, targets, gamma).sum())(logits)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[1], [-1.0, 1.0, 0.0], atol=1e-5)  # where p is 0, it is cross-entropy's


@pytest.mark.parametrize("loss", list(LOSSES))
def test_a_mixture_of_two_labels_is_that_of_the_targets(loss):
    share, other = 0.25, np.array([1, 0], np.int32)
    mixed = share * losses(loss=loss) + (1 - share) * losses(other, loss=loss)
    targets = share * np.eye(3)[LABELS] + (1 - share) * np.eye(3)[other]
    right = {
        "cross_entropy": -(targets * np.log(SOFTMAX)).sum(axis=1),
        "binary_cross_entropy": np.asarray(binary_cross_entropy(jnp.asarray(LOGITS), jnp.asarray(targets))),
        "focal": -(targets * (1 - SOFTMAX) ** 2 * np.log(SOFTMAX)).sum(axis=1),
    }
    np.testing.assert_allclose(mixed, right[loss], rtol=1e-5)


@pytest.mark.parametrize("loss", list(LOSSES))
def test_class_weights_weigh_every_loss(loss):
    weighted = losses(loss=loss, class_weights=(2.0, 9.0, 0.5))
    np.testing.assert_allclose(weighted, losses(loss=loss) * [2, 0.5], rtol=1e-6)
