import functools

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import one_device_mesh
from ml_collections import ConfigDict

from experiments import food10
from foodjax.config.check import checked
from foodjax.config.training_keys import Train
from foodjax.data.augment.apply import view
from foodjax.models.convnet import create_model
from foodjax.steps.early_stopping import EarlyStopping
from foodjax.steps.losses import training_losses
from foodjax.steps.metrics import Metrics
from foodjax.steps.optimizer import create_optimizer
from foodjax.steps.state import abstract_train_state, all_finite, create_train_state
from foodjax.steps.step import make_steps, train_step
from foodjax.system.errors import UserError
from foodjax.workdir.checkpoint_content import LoopState
from foodjax.workdir.checkpoints import Checkpoints


def small_config(tiny_config, **train):
    """One normalised block and an average, cheap to compile."""
    tiny_config.model.blocks = (ConfigDict(dict(kind="stem", features=6, patch=4, kernel=1)),)
    tiny_config.model.norm = "batch"
    tiny_config.model.head.update(pooling="average", hidden=())
    tiny_config.optimizer.update(name="sgd", learning_rate=0.5)
    tiny_config.train.update(train)
    return tiny_config


def batch_of(number=8, **more):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (number, 16, 16, 3), dtype=np.uint8)
    return {"image": images, "label": np.arange(number, dtype=np.int32)} | more


def run(config, batch, steps=1):
    config = checked(config)
    model, tx = create_model(config, 10), create_optimizer(config)
    train_step, eval_step = make_steps(config, model, tx, one_device_mesh())
    states = [create_train_state(config, model, tx)]
    for _ in range(steps):
        state, metrics = train_step(jax.tree.map(jnp.copy, states[-1]), batch)
        states.append(state)
    return states, metrics, eval_step


def test_label_smoothing_and_class_weights():
    logits, labels = jnp.log(jnp.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])), jnp.array([0, 2])
    plain, smooth = -np.log([0.5, 0.8]), -np.log([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]).mean(axis=1)
    np.testing.assert_allclose(training_losses(logits, labels, Train()), plain, rtol=1e-5)
    np.testing.assert_allclose(
        training_losses(logits, labels, Train(label_smoothing=0.3)), 0.7 * plain + 0.3 * smooth, rtol=1e-5
    )
    np.testing.assert_allclose(
        training_losses(logits, labels, Train(class_weights=(2.0, 9.0, 0.5))), plain * [2, 0.5], rtol=1e-5
    )
    with pytest.raises(UserError, match="train.class_weights has 2 numbers: needs 3"):
        training_losses(logits, labels, Train(class_weights=(1.0, 2.0)))


def test_a_mixed_label_weighs_both_losses(tiny_config):
    config = small_config(tiny_config)
    other = np.roll(np.arange(8, dtype=np.int32), 1)
    config = checked(config)
    model, tx = create_model(config, 10), create_optimizer(config)
    train_step, _ = make_steps(config, model, tx, one_device_mesh())
    mean = {}
    for share in (1.0, 0.0, 0.25):
        batch = batch_of(other=other, share=np.full(8, share, np.float32))
        mean[share] = train_step(create_train_state(config, model, tx), batch)[1].compute()["loss"]
    assert mean[0.25] == pytest.approx(0.25 * mean[1.0] + 0.75 * mean[0.0], rel=1e-5)
    assert run(config, batch_of())[1].compute()["loss"] == pytest.approx(mean[1.0], rel=1e-6)


def test_the_average_follows_the_weights_and_is_what_evaluation_sees(tiny_config):
    config = small_config(tiny_config, ema_decay=0.5)
    states, _, eval_step = run(config, batch_of(), steps=8)
    kernel = lambda params: np.asarray(params["logits"]["kernel"])  # noqa: E731
    average = kernel(states[0].params)
    for i, state in enumerate(states[1:]):
        decay = min(0.5, (1 + i) / (10 + i))
        average = decay * average + (1 - decay) * kernel(state.params)
        np.testing.assert_allclose(kernel(state.ema["params"]), average, rtol=1e-4, atol=1e-6)
    last = states[-1]
    assert np.abs(kernel(last.params) - average).max() > 1e-3
    assert last.variables is last.ema
    seen, trained = (
        eval_step(v, batch_of(mask=np.ones(8, np.float32)))[1]
        for v in (last.variables, {"params": last.params, "batch_stats": last.batch_stats})
    )
    assert np.abs(np.asarray(seen) - np.asarray(trained)).max() > 1e-4


def test_running_statistics_and_averages_come_back_from_a_checkpoint(tiny_config, tmp_path):
    config = small_config(tiny_config, ema_decay=0.9)
    states, *_ = run(config, batch_of())
    assert not np.array_equal(*(s.batch_stats["block1"]["norm"]["mean"] for s in states))
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(states[-1], LoopState(EarlyStopping(1).update(1.0), Metrics.zeros()), 1.0)
    checkpoints.wait()
    config = checked(config)
    like = abstract_train_state(config, create_model(config, 10), create_optimizer(config))
    restored = checkpoints.restore(checkpoints.latest_step(), like, one_device_mesh())
    checkpoints.close()
    jax.tree.map(np.testing.assert_array_equal, restored, states[-1])


def test_frozen_statistics_are_used_in_training_and_stay(tiny_config):
    seen = {}
    for frozen in (False, True):
        config = small_config(tiny_config, freeze_batch_stats=frozen)
        states, metrics, eval_step = run(config, batch_of(), steps=2)
        before, after = (jax.tree.map(np.asarray, state.batch_stats["block1"]["norm"]) for state in states[1:])
        seen[frozen] = not np.array_equal(before["mean"], after["mean"])
        # The loss before the last step, of the same weights and statistics.
        batch = batch_of(mask=np.ones(8, np.float32))
        evaluated = eval_step(states[1].variables, batch)[0].compute()["loss"]
        assert (metrics.compute()["loss"] == pytest.approx(evaluated, rel=1e-5)) == frozen
        assert states[2].batch_stats.keys() == states[0].batch_stats.keys()
        changed = np.abs(np.asarray(states[2].params["block1"]["norm"]["scale"]) - 1).max()
        assert changed > 1e-4  # its scale and bias learn
    assert seen == {False: True, True: False}


def test_flip_averaging_gives_a_picture_and_its_mirror_image_the_same_probabilities(tiny_config):
    config = small_config(tiny_config)
    config.model.head.pooling = "flatten"
    images = batch_of()["image"]
    results = {}
    for flip in (False, True):
        config.eval.flip = flip
        states, _, eval_step = run(config, batch_of())
        masked = {"label": np.arange(8, dtype=np.int32), "mask": np.ones(8, np.float32)}
        metrics, probs = eval_step(states[-1].variables, {"image": images, **masked})
        mirrored = eval_step(states[-1].variables, {"image": images[:, :, ::-1], **masked})[1]
        results[flip] = np.asarray(probs), np.asarray(mirrored), metrics.compute()["loss"]
    assert np.abs(results[False][0] - results[False][1]).max() > 1e-3
    np.testing.assert_allclose(results[True][0], results[True][1], atol=1e-5)
    average = (results[False][0] + results[False][1]) / 2
    np.testing.assert_allclose(results[True][0], average, atol=1e-5)
    assert results[True][2] == pytest.approx(-np.log(average[np.arange(8), np.arange(8)]).mean(), rel=1e-4)


@pytest.mark.slow
def test_evaluation_sees_the_size_it_asks_for(tiny_config):
    config = small_config(tiny_config)
    config.eval.size = 8
    states, _, eval_step = run(config, batch_of())
    probs = eval_step(states[-1].variables, batch_of(mask=np.ones(8, np.float32)))[1]
    small = view(jnp.asarray(batch_of()["image"]), 8, 1.0) / 255
    logits = create_model(checked(config), 10).apply(states[-1].variables, small, train=False)
    np.testing.assert_allclose(probs, jax.nn.softmax(logits), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_accelerators_keep_their_own_convolutions(dtype):
    """The tutorial's step as it is handed to each compiler; none of them need be here."""
    config = food10.get_config()
    config.model.dtype = dtype
    config = checked(config)
    model, tx = create_model(config, 10), create_optimizer(config)
    step = jax.jit(functools.partial(train_step, config=config, model=model, tx=tx))
    images = jax.ShapeDtypeStruct((4, 128, 128, 3), jnp.uint8)
    arguments = abstract_train_state(config, model, tx), {"image": images, "label": jnp.zeros(4, jnp.int32)}

    def count(platform):
        text = jax.export.export(step, platforms=[platform])(*arguments).mlir_module()
        return text.count("stablehlo.convolution"), text.count("stablehlo.dot_general")

    # Eight convolutions and two products, their gradients, and none for the pictures.
    assert count("cuda") == count("tpu") == (8 + 8 + 7, 3 * 2)
    if dtype == "float32":
        assert count("cpu")[0] == (8 - 2) + (8 - 2) + (7 - 2)  # the two of 5 x 5 are Winograd's


@pytest.mark.parametrize(
    ("number", "finite"),
    [(0.0, True), (-0.0, True), (3e38, True), (-3e38, True), (1e-45, True)]
    + [(np.inf, False), (-np.inf, False), (np.nan, False)],
)
def test_one_number_that_is_not_finite_is_found(number, finite):
    params = {"kernel": np.full((3, 4), 3e38, np.float32), "bias": np.zeros(5, np.float32)}
    params["kernel"][2, 1] = number
    assert bool(all_finite(params)) is finite
