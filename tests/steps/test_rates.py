import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import stored_in_format_10
from ml_collections import ConfigDict

from experiments import demo, food10
from foodjax.config import stored
from foodjax.config.check import checked, replace
from foodjax.models.convnet import create_model
from foodjax.steps.optimizer import create_optimizer
from foodjax.steps.rates import check_table, rate_of, unfreeze_from_the_head
from foodjax.steps.state import create_train_state
from foodjax.steps.step import train_step
from foodjax.system.errors import UserError

LAYERS = ("block1", "block2", "block10", "dense1", "logits")
PARAMS = {name: {"kernel": np.ones((2, 2), np.float32), "bias": np.ones(2, np.float32)} for name in LAYERS}


def config_of(name="adamw", **changes):
    """An experiment of ten blocks, so that block1 and block10 are two."""
    config = demo.get_config()
    config.model.blocks = (ConfigDict(dict(kind="stem", features=4, patch=1, kernel=1)),) * 10
    config.optimizer.update(name=name, learning_rate=0.1, momentum=0.9, decay=0.99, **changes)
    return checked(config)


def updates_of(config, steps=1, steps_per_epoch=1):
    """The updates of each of some steps, whose gradients are all 1."""
    tx = create_optimizer(config, steps_per_epoch)
    grads, state, found = jax.tree.map(jnp.ones_like, PARAMS), tx.init(PARAMS), []
    for _ in range(steps):
        updates, state = tx.update(grads, state, PARAMS)
        found.append(updates)
    return found


def factors(updates, full):
    """The ratio of each layer's updates, which must be the same for all its numbers, to those at the full rate."""
    found = {}
    for layer in LAYERS:
        ratios = [np.asarray(updates[layer][x]) / np.asarray(full[layer][x]) for x in ("kernel", "bias")]
        assert all(np.ptp(ratio) == 0 for ratio in ratios)
        found[layer] = tuple(float(ratio.flat[0]) for ratio in ratios)
    return found


@pytest.mark.parametrize("name", ["adamw", "sgd", "muon", "rmsprop"])
@pytest.mark.parametrize(
    "rates,expected",
    [
        ([("block1/*", 0.25)], {"block1": (0.25, 0.25)}),
        ([("block1*", 0.25)], {"block1": (0.25, 0.25), "block10": (0.25, 0.25)}),
        ([("logits/*", 4.0), ("block2/*", 0.0)], {"logits": (4.0, 4.0), "block2": (0.0, 0.0)}),
        ([("block2/bias", 0.5), ("block2/*", 2.0)], {"block2": (2.0, 0.5)}),
        (
            [("logits/*", 1.0), ("*/bias", 0.0), ("*", 0.5)],
            {x: (0.5, 0.0) for x in LAYERS} | {"logits": (1.0, 1.0)},
        ),
    ],
)
def test_the_first_pattern_that_matches_gives_the_rate(name, rates, expected):
    (full,), (updates,) = updates_of(config_of(name)), updates_of(config_of(name, rates=tuple(rates)))
    assert all(np.abs(x).min() > 0 for x in jax.tree.leaves(full))
    assert factors(updates, full) == dict.fromkeys(LAYERS, (1.0, 1.0)) | expected


def test_weight_decay_is_scaled_too():
    rates = (("block1/*", 0.25), ("block2/*", 0.0))
    zeros = jax.tree.map(np.zeros_like, PARAMS)
    tx = create_optimizer(config_of(weight_decay=0.5, rates=rates))
    updates, _ = tx.update(zeros, tx.init(PARAMS), PARAMS)
    expected = {"block1": -0.1 * 0.5 * 0.25, "block2": 0.0, "block10": -0.1 * 0.5}
    for layer, value in expected.items():
        np.testing.assert_allclose(updates[layer]["kernel"], value, rtol=1e-6)


def test_the_rate_falls_with_the_depth():
    (full,), (updates,) = updates_of(config_of()), updates_of(config_of(layer_decay=0.5))
    expected = {"block1": 0.5**10, "block2": 0.5**9, "block10": 0.5, "dense1": 1.0, "logits": 1.0}
    assert factors(updates, full) == {layer: (x, x) for layer, x in expected.items()}


def test_rates_and_the_decay_multiply():
    rates = (("block10/*", 4.0), ("block2/*", 0.0))
    (full,), (updates,) = updates_of(config_of()), updates_of(config_of(layer_decay=0.5, rates=rates))
    expected = {"block1": 0.5**10, "block2": 0.0, "block10": 2.0, "dense1": 1.0, "logits": 1.0}
    assert factors(updates, full) == {layer: (x, x) for layer, x in expected.items()}


def test_depths_start_from_the_head_down():
    """With 3 steps an epoch and 2 epochs between two depths, of eleven."""
    full, found = updates_of(config_of("sgd"), 61), updates_of(config_of("sgd", unfreeze=2), 61, steps_per_epoch=3)
    starts = {"logits": 0, "dense1": 0, "block10": 6, "block2": 9 * 6, "block1": 10 * 6}
    for step in range(61):
        assert factors(found[step], full[step]) == {
            layer: (float(step >= start),) * 2 for layer, start in starts.items()
        }, step


def test_unfreezing_counts_on_from_a_restored_state():
    tx = unfreeze_from_the_head(("block*", "*"), 3)
    params = {"block1": jnp.ones(2), "logits": jnp.ones(2)}
    state, seen = tx.init(params), []
    for _ in range(5):
        updates, state = tx.update(params, state)
        seen.append(float(updates["block1"][0]))
        state = jax.tree.map(lambda x: jnp.asarray(np.asarray(x)), state)  # as from a checkpoint
    assert seen == [0, 0, 0, 1, 1]
    assert int(state.count) == 5


@pytest.mark.slow
def test_frozen_parameters_have_no_moments_and_their_gradients_are_not_computed(tiny_config):
    def flops_and_moments(rates):
        config = replace(checked(tiny_config), {"optimizer.name": "adamw", "optimizer.rates": rates})
        model, tx = create_model(config, 3), create_optimizer(config)
        state = create_train_state(config, model, tx)
        step = jax.jit(functools.partial(train_step, config=config, model=model, tx=tx))
        batch = {"image": jnp.zeros((8, 16, 16, 3), jnp.uint8), "label": jnp.zeros(8, jnp.int32)}
        return step.lower(state, batch).compile().cost_analysis()["flops"], sum(
            x.size for x in jax.tree.leaves(state.opt_state)
        )

    flops, moments = flops_and_moments(())
    frozen_flops, frozen_moments = flops_and_moments((("block*", 0.0),))
    count = sum(3 * 3 * inputs * 8 + 8 for inputs in (3, 8))
    assert moments - frozen_moments == 2 * count
    # Five convolutions without: two forward, two gradients of kernels, one of an input. The two forward remain.
    assert frozen_flops < 0.6 * flops
    slow_flops, slow_moments = flops_and_moments((("block*", 0.5),))
    assert slow_flops >= flops
    assert slow_moments == moments


COUNT = "[0].count"
STRUCTURE = {
    (0, 0.0): [COUNT, *(f"[0].{m}['{x}']['w']" for m in ("mu", "nu") for x in ("block1", "block2", "logits"))],
    (1, 0.0): [
        ".inner_states['upper'].inner_state[0].count",
        ".inner_states['upper'].inner_state[0].mu['block2']['w']",
        ".inner_states['upper'].inner_state[0].mu['logits']['w']",
        ".inner_states['upper'].inner_state[0].nu['block2']['w']",
        ".inner_states['upper'].inner_state[0].nu['logits']['w']",
    ],
    (1, 0.25): [
        "[0][0].count",
        "[0][0].mu['block1']['w']",
        "[0][0].mu['block2']['w']",
        "[0][0].mu['logits']['w']",
        "[0][0].nu['block1']['w']",
        "[0][0].nu['block2']['w']",
        "[0][0].nu['logits']['w']",
    ],
}


@pytest.mark.parametrize("lower_blocks,lower_rate", STRUCTURE)
def test_a_run_stored_with_lower_blocks_has_the_state_that_it_had(lower_blocks, lower_rate):
    """The paths are those that foodjax had with lower_blocks; checkpoints hold them."""
    config = food10.get_config()
    config.optimizer.update(name="adamw", momentum=0.9)
    config = stored.from_json(stored_in_format_10(config, lower_blocks=lower_blocks, lower_rate=lower_rate))
    params = {name: {"w": jnp.ones(2)} for name in ("block1", "block2", "logits")}
    state = create_optimizer(config).init(params)
    found = [jax.tree_util.keystr(keys) for keys, _ in jax.tree_util.tree_leaves_with_path(state)]
    assert found == STRUCTURE[lower_blocks, lower_rate]
    if lower_rate:  # parts without numbers are in a checkpoint's tree too
        assert list(state[1].inner_states) == ["lower", "upper"]
        assert not jax.tree.leaves(state[1])


PATHS = ["block1/conv1/kernel", "block1/conv1/bias", "block2/conv1/kernel", "block10/conv1/kernel", "logits/bias"]


@pytest.mark.parametrize(
    "table,message",
    [
        (
            [("blok1/*", 0.1)],
            r"optimizer.rates has 'blok1/\*', which matches no parameter: .* such as block1/\*, block",
        ),
        ([("logits", 10.0)], r"optimizer.rates has 'logits', which matches .* such as logits/\*, logits/bias"),
        ([("*", 0.1), ("logits/*", 1.0)], r"has 'logits/\*' behind others that match all of its parameters: .*before"),
        ([("block1*", 0.0), ("*", 0.0)], "optimizer.rates freezes every parameter: needs one with a rate > 0"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(table, message):
    with pytest.raises(UserError, match=message):
        check_table(table, PATHS)


def test_tables_that_can_be_meant():
    check_table([], PATHS)
    check_table([("logits/*", 10.0), ("*", 0.0)], PATHS)
    check_table([("block*", 0.0)], PATHS)
    assert rate_of("logits/bias", [("logits/*", 10.0), ("*", 0.0)]) == 10.0
    assert rate_of("logits/bias", [("block*", 0.0)]) == 1.0


def test_a_pattern_of_no_parameter_is_refused_before_the_first_step():
    config = config_of(rates=(("block3/*", 0.1),))
    with pytest.raises(UserError, match=r"optimizer.rates has 'block3/\*', which matches no parameter"):
        jax.jit(create_optimizer(config).init).eval_shape(PARAMS)
