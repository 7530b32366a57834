import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from experiments import food10
from foodjax.config import listed
from foodjax.config.check import checked
from foodjax.steps.depths import path_of
from foodjax.steps.optimizer import OPTIMIZERS, are_kernels, create_optimizer, create_schedule
from foodjax.system.errors import UserError

PARAMS = {"block1": {"conv1": {"kernel": jnp.full((3, 3, 2, 4), 0.5), "bias": jnp.ones(4)}},
          "logits": {"kernel": jnp.full((4, 3), 0.5), "bias": jnp.ones(3)}}  # fmt: skip


def config_of(**changes):
    config = food10.get_config()
    config.train.epochs = 10
    config.optimizer.update(changes)
    return checked(config)


def test_a_constant_rate_stays_a_number():
    assert create_schedule(config_of(), 7) == 1e-4


def test_cosine_rises_linearly_and_ends_with_the_last_epoch():
    rate = create_schedule(config_of(schedule="cosine", learning_rate=2.0, warmup=0.2, final_rate=0.1), 10)
    np.testing.assert_allclose([rate(s) for s in (0, 10, 20, 60, 100)], [0, 1, 2, 1.1, 0.2], atol=1e-5)


def test_one_cycle_rises_and_falls_along_cosines():
    rate = create_schedule(config_of(schedule="one_cycle", learning_rate=2.5, warmup=0.4), 10)
    np.testing.assert_allclose([rate(s) for s in (0, 20, 40, 70, 100)], [0.1, 1.3, 2.5, 1.25, 0], atol=1e-5)


def step_of(config, grads, params=PARAMS, steps=1):
    tx = create_optimizer(config)
    state = tx.init(params)
    for _ in range(steps):
        updates, state = tx.update(grads, state, params)
    return updates


@pytest.mark.parametrize("name", ["adamw", "sgd", "muon", "lion", "nadam"])
def test_weight_decay_shrinks_kernels_alone(name):
    config = config_of(name=name, learning_rate=0.1, momentum=0.9, weight_decay=0.2)
    updates = step_of(config, jax.tree.map(jnp.zeros_like, PARAMS))
    np.testing.assert_allclose(updates["block1"]["conv1"]["kernel"], -0.1 * 0.2 * 0.5, rtol=1e-4)
    assert not np.any(updates["block1"]["conv1"]["bias"])
    assert not np.any(updates["logits"]["bias"])


# A transformer's, a ConvNeXt's and an Inception's, by name and shape, and which of the two treats each as a matrix.
NAMES = {
    "embed/conv/kernel": ((16, 16, 3, 8), "decayed by muon"),
    "embed/cls": ((1, 1, 8), "adam"),
    "embed/positions": ((1, 5, 8), "adam"),
    "stage1/layer_scale": ((8, 1), "adam"),
    "stage1/depthwise/kernel": ((7, 7, 1, 8), "decayed by adamw"),
    "stage1/norm/scale": ((8,), "adam"),
    "stage1/attention/bias": ((2, 4), "adam"),
    "stage1/dense/kernel": ((8, 4), "decayed by muon"),
    "logits/kernel": ((8, 3), "decayed by adamw"),
    "logits/bias": ((3,), "adam"),
}


def tree_of(values):
    """Nested dicts of values by their paths."""
    return unflatten_dict({tuple(path.split("/")): value for path, value in values.items()})


def test_only_kernels_are_decayed_whatever_the_shape_of_the_others():
    params = tree_of({path: jnp.ones(shape) for path, (shape, _) in NAMES.items()})
    assert are_kernels(params) == tree_of({path: "decayed" in how for path, (_, how) in NAMES.items()})


def test_muon_updates_matrices_alone():
    params = tree_of({path: jnp.ones(shape) for path, (shape, _) in NAMES.items()})
    state = create_optimizer(config_of(name="muon", momentum=0.9)).init(params)
    moments = {name: state.inner_states[name].inner_state[0].mu for name in ("muon", "adam")}
    found = {
        name: {path_of(keys) for keys, _ in jax.tree_util.tree_leaves_with_path(mu)} for name, mu in moments.items()
    }
    by_muon = {path for path, (_, how) in NAMES.items() if "muon" in how}
    assert found == {"muon": by_muon, "adam": NAMES.keys() - by_muon}


def test_weight_decay_with_rmsprop_is_refused():
    with pytest.raises(UserError, match=r"optimizer.weight_decay is 0.1: rmsprop has none"):
        create_optimizer(config_of(weight_decay=0.1))


@pytest.mark.slow
def test_clipping_shortens_the_whole_gradient():
    config = config_of(name="sgd", learning_rate=1.0, clip_norm=2.0)
    long, short = (jax.tree.map(lambda x, f=f: jnp.full(x.shape, f), PARAMS) for f in (3.0, 0.01))
    norm = np.sqrt(sum(float((x**2).sum()) for x in jax.tree.leaves(step_of(config, long))))
    assert norm == pytest.approx(2.0, rel=1e-4)
    np.testing.assert_allclose(step_of(config, short)["logits"]["bias"], -0.01, rtol=1e-4)


def test_sgd_has_nesterovs_momentum():
    grads = jax.tree.map(jnp.ones_like, PARAMS)
    updates = step_of(config_of(name="sgd", learning_rate=1.0, momentum=0.5), grads, steps=2)
    # m1 = 1, m2 = 0.5 m1 + 1 = 1.5, update = g + 0.5 m2
    np.testing.assert_allclose(updates["logits"]["bias"], -(1 + 0.5 * 1.5), rtol=1e-5)


def test_adamw_reads_both_betas():
    grads = jax.tree.map(jnp.ones_like, PARAMS)
    tx = create_optimizer(config_of(name="adamw", learning_rate=1.0, momentum=0.5, decay=0.75))
    state = tx.init(PARAMS)
    _, state = tx.update(grads, state, PARAMS)
    moments = state[0]
    np.testing.assert_allclose(moments.mu["logits"]["bias"], 0.5)
    np.testing.assert_allclose(moments.nu["logits"]["bias"], 0.25)


def test_the_optimizers_are_those_of_the_table():
    assert OPTIMIZERS.keys() == listed.OPTIMIZERS.keys()


def two_steps(**changes):
    """Returns w after each of two steps from 0.5 with the gradients 1 and -3."""
    tx, w, found = create_optimizer(config_of(learning_rate=0.1, momentum=0.8, decay=0.5, **changes)), 0.5, []
    state = tx.init({"w": jnp.array(w)})
    for g in (1.0, -3.0):
        updates, state = tx.update({"w": jnp.array(g)}, state, {"w": jnp.array(w)})
        w += float(updates["w"])
        found.append(w)
    return found


def test_lion_takes_the_sign_of_an_interpolated_momentum():
    # m1 = 0.5; the second sign is that of 0.8 * 0.5 - 0.2 * 3 = -0.2.
    assert two_steps(name="lion") == pytest.approx([0.4, 0.5], rel=1e-6)


def test_nadam_looks_ahead():
    # m = 0.2, v = 0.5; m = -0.44, v = 4.75. Dozat's step has the next mean, from this gradient once more.
    first = (0.8 * 0.2 / (1 - 0.8**2) + 0.2 * 1 / (1 - 0.8)) / np.sqrt(0.5 / (1 - 0.5))
    second = (0.8 * -0.44 / (1 - 0.8**3) - 0.2 * 3 / (1 - 0.8**2)) / np.sqrt(4.75 / (1 - 0.5**2))
    assert two_steps(name="nadam") == pytest.approx([0.5 - 0.1 * first, 0.5 - 0.1 * (first + second)], rel=1e-5)


def test_lamb_takes_steps_as_long_as_the_weights():
    # Of a single number Adam's step has a sign and no length: LAMB gives it that of w.
    assert two_steps(name="lamb") == pytest.approx([0.5 * 0.9, 0.45 * 1.1], rel=1e-5)
    params = {"kernel": jnp.array([[3.0, 0.0], [0.0, 4.0]])}
    tx = create_optimizer(config_of(name="lamb", learning_rate=0.1, momentum=0.9, weight_decay=0.5))
    updates, _ = tx.update({"kernel": jnp.ones((2, 2))}, tx.init(params), params)
    step = 1 + 0.5 * np.asarray(params["kernel"])  # Adam's first step, and the decay
    np.testing.assert_allclose(updates["kernel"], -0.1 * 5 * step / np.linalg.norm(step), rtol=1e-5)


def test_muon_makes_the_singular_values_of_a_convolution_alike_and_leaves_the_head_to_adam():
    config = config_of(name="muon", learning_rate=1.0, momentum=0.9, decay=0.99)
    grads = jax.tree.map(
        lambda x: jax.random.normal(jax.random.PRNGKey(0), x.shape) * jnp.arange(1.0, 1 + x.shape[-1]), PARAMS
    )
    updates = step_of(config, grads)
    values = np.linalg.svd(np.asarray(updates["block1"]["conv1"]["kernel"]).reshape(18, 4), compute_uv=False)
    assert values.max() / values.min() < 2
    assert np.linalg.cond(np.asarray(grads["block1"]["conv1"]["kernel"]).reshape(18, 4)) > 2
    lengths = np.abs(updates["logits"]["kernel"])
    assert lengths.min() > 1
    assert lengths.max() / lengths.min() < 1.001  # Adam's first step is one of signs


def test_the_state_does_not_depend_on_the_length_of_the_schedule():
    config = config_of(name="adamw", schedule="cosine", warmup=0.1)
    shapes = [jax.eval_shape(create_optimizer(config, n).init, PARAMS) for n in (1, 50)]
    assert jax.tree.structure(shapes[0]) == jax.tree.structure(shapes[1])
