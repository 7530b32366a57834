import json

import jax
import numpy as np
import pytest

from foodjax.config.check import checked, replace
from foodjax.data import balance
from foodjax.data.prepared import Prepared
from foodjax.data.sets import Data
from foodjax.data.split import Indices
from foodjax.run import find_lr, loop
from foodjax.run.wiring import Engine
from foodjax.system.errors import UserError


def config_of(tiny_config, **train):
    return replace(checked(tiny_config), {f"train.{name}": value for name, value in train.items()})


def test_the_weight_of_a_class_is_n_over_k_times_its_size(tiny_config):
    labels = np.array([0] * 6 + [1] * 2 + [2] * 1)
    weights = balance.class_weights(config_of(tiny_config, balance="classes"), labels, 3)
    assert weights == (0.5, 1.5, 3.0)  # 9 / (3 * 6), 9 / (3 * 2), 9 / (3 * 1)
    assert np.array(weights)[labels].mean() == 1
    assert [n * w for n, w in zip((6, 2, 1), weights, strict=True)] == [3, 3, 3]


def test_they_are_those_of_scikit_learn(tiny_config):
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat([0, 1, 2, 3], [7, 13, 1, 29])
    weights = balance.class_weights(config_of(tiny_config, balance="classes"), labels, 4)
    np.testing.assert_allclose(weights, compute_class_weight("balanced", classes=np.arange(4), y=labels), rtol=1e-15)


def test_without_it_the_given_weights_stay(tiny_config):
    labels = np.array([0, 0, 1])
    assert balance.class_weights(config_of(tiny_config), labels, 2) == ()
    assert balance.class_weights(config_of(tiny_config, class_weights=(2.0, 1.0)), labels, 2) == (2.0, 1.0)


def test_both_are_refused(tiny_config):
    config = config_of(tiny_config, balance="classes", class_weights=(2.0, 1.0))
    with pytest.raises(UserError, match=r"train.balance is 'classes' and train.class_weights is \(2.0, 1.0\): needs o"):
        balance.class_weights(config, np.array([0, 1]), 2)


def test_a_class_without_images_counts_for_none(tiny_config):
    weights = balance.class_weights(config_of(tiny_config, balance="classes"), np.array([0, 2, 2, 2]), 3)
    assert weights == (2.0, 1.0, 4 / 6)  # 4 / (2 * 1), none, 4 / (2 * 3)


def data_of(sizes, validating, given=False, side=16):
    """Random pictures of classes of these sizes, and as many of each that validate."""
    names = tuple("abcdefgh"[: len(sizes)])

    def prepared(counts):
        labels = np.repeat(np.arange(len(counts)), counts)
        images = np.random.default_rng(0).integers(0, 256, (len(labels), side, side, 3), dtype=np.uint8)
        return Prepared(names, images, labels, [f"{names[k]}/{i}" for i, k in enumerate(labels)])

    whole = prepared(np.add(sizes, 0 if given else validating))
    rows = [np.flatnonzero(whole.labels == k) for k in range(len(sizes))]
    train = np.concatenate([r[: len(r) if given else len(r) - v] for r, v in zip(rows, validating, strict=True)])
    own = prepared(validating) if given else None
    held = np.arange(sum(validating)) if given else np.setdiff1d(np.arange(len(whole.labels)), train)
    parts = Indices(train, held, np.arange(len(whole.labels)), False, given)
    return Data(whole, whole, parts, own)


@pytest.mark.parametrize("sizes,validating,given,train,lines", [
    ([50, 5], [1, 1], False, {}, []),
    ([51, 5], [1, 1], False, {}, [
        "the classes are unequal: 'a' has 51 training images, 'b' has 5; train.balance=classes gives each class the "
        "same weight",
    ]),
    ([51, 5], [1, 1], False, {"class_weights": (1.0, 2.0)}, [
        "the classes are unequal: 'a' has 51 training images, 'b' has 5",
    ]),
    ([60, 5, 25], [1, 1, 1], False, {"balance": "classes"}, [
        "the classes are unequal: 'a' has 60 training images, 'b' has 5",
        "train.balance=classes: the loss of an image counts 0.5 times in 'a' to 6 times in 'b'",
    ]),
    ([5, 5], [1, 1], False, {"balance": "classes"}, [
        "train.balance=classes: the classes are equal, every image counts the same",
    ]),
    ([8, 3], [1, 0], False, {}, [
        "classes without validation images: 'b' (3 to train); data.validation_fraction=0.34 holds one out of each",
    ]),
    ([8, 6, 7], [1, 0, 0], False, {}, [
        "classes without validation images: 'b' (6 to train), 'c' (7 to train); data.validation_fraction=0.17 holds "
        "one out of each",
    ]),
    ([8, 1], [1, 0], False, {}, [
        "classes without validation images: 'b' (1 to train); needs at least 2 images of a class to hold one out",
    ]),
    ([8, 3], [1, 0], True, {}, ["classes without validation images: 'b' (3 to train)"]),
    ([8] + 7 * [3], [1] + 7 * [0], True, {}, [
        "classes without validation images: 'b' (3 to train), 'c' (3 to train), 'd' (3 to train), 'e' (3 to train), "
        "'f' (3 to train) and 2 more",
    ]),
])  # fmt: skip
def test_the_lines_about_unequal_and_small_classes(tiny_config, sizes, validating, given, train, lines):
    data = data_of(sizes, validating, given)
    assert balance.warnings(config_of(tiny_config, **train), data.train, data.validation, data.parts) == lines


def test_the_fraction_that_is_named_holds_one_out():
    for count in range(2, 130):
        fraction = float(balance._fraction(np.array([count + 3, count])).split("=")[1].split()[0])
        assert 0 < fraction < 1
        assert int(fraction * count) >= 1


def unequal(tiny_config, **values):
    config = replace(checked(tiny_config), {"data.batch_size": 8, "train.balance": "classes", **values})
    return config, data_of([24, 8, 3, 5], [2, 2, 2, 2])


def test_a_step_minimises_the_weighted_loss_of_its_batch(tiny_config):
    config, data = unequal(tiny_config)
    weights = balance.class_weights(config, data.train.labels[data.parts.train], 4)
    assert weights == (40 / 96, 40 / 32, 40 / 12, 40 / 20)
    batch = {"image": data.train.images[:8], "label": np.array([0, 0, 1, 1, 2, 2, 3, 3], np.int32)}
    sums = {}
    for name, of in (("balanced", weights), ("plain", None)):
        engine = Engine(config, data.train.class_names, class_weights=of)
        state = engine.create_state()
        losses = []
        for k in range(4):  # of the two images of a class, in one batch of them alone
            chosen = {"image": np.repeat(batch["image"][2 * k : 2 * k + 2], 4, 0), "label": np.full(8, k, np.int32)}
            _, metrics = engine.train_step(jax.tree.map(np.array, state), chosen)
            losses.append(float(metrics.loss_sum))
        sums[name] = losses
    np.testing.assert_allclose(sums["balanced"], np.array(sums["plain"]) * weights, rtol=1e-5)


@pytest.mark.slow
def test_every_backend_and_a_resumed_run_weigh_alike(tiny_config, tmp_path):
    rows = {}
    for backend in ("tf", "threads", "device"):
        config, data = unequal(tiny_config, **{"data.backend": backend, "train.epochs": 2})
        loop.train(config, tmp_path / backend, data=data)
        rows[backend] = (tmp_path / backend / "metrics.jsonl").read_text()
    assert rows["tf"] == rows["threads"]
    for ours, theirs in zip(rows["device"].splitlines(), rows["tf"].splitlines(), strict=True):
        assert json.loads(ours) == pytest.approx(json.loads(theirs), rel=1e-3)
    for epochs in (1, 2):
        config, data = unequal(tiny_config, **{"train.epochs": epochs})
        loop.train(config, tmp_path / "resumed", data=data)
    assert (tmp_path / "resumed" / "metrics.jsonl").read_text() == rows["tf"]


def test_the_range_test_weighs_too(tiny_config, monkeypatch):
    config, data = unequal(tiny_config, **{"train.class_weights": (1.0,) * 4})
    monkeypatch.setattr(find_lr, "load_chosen", lambda config: (config, data))
    with pytest.raises(UserError, match="needs one of them"):
        find_lr.range_test(config)
