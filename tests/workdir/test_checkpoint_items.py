"""What a checkpoint stores and who reads which part of it, in today's form and the older one."""

import shutil
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from faults import older_form
from helpers import one_device_mesh
from ml_collections import ConfigDict

from foodjax.config.check import checked
from foodjax.models.convnet import create_model
from foodjax.steps.devices import create_mesh
from foodjax.steps.early_stopping import EarlyStopping
from foodjax.steps.metrics import Metrics
from foodjax.steps.optimizer import create_optimizer
from foodjax.steps.state import TrainState, abstract_train_state, abstract_variables, create_train_state
from foodjax.system.errors import UserError
from foodjax.workdir.checkpoint_content import LoopState, digest, shapes
from foodjax.workdir.checkpoints import Checkpoints, load_best_weights

pytestmark = pytest.mark.slow

FORMS = ("today's", "older")


class Saved(NamedTuple):
    """Two checkpoints and what was saved; the first is the best."""

    checkpoints: Checkpoints
    states: dict[int, TrainState]
    abstract_state: TrainState
    abstract_weights: dict

    def restore(self, step):
        return self.checkpoints.restore(step, self.abstract_state, one_device_mesh())

    def restore_weights(self, step):
        return self.checkpoints.restore_weights(step, self.abstract_weights, one_device_mesh())

    def folder(self, step, item=""):
        return self.checkpoints.folder / str(step) / item


def numbered(state, step):
    """Returns the state with other numbers in every array: the averages are not the weights."""
    leaves, structure = jax.tree.flatten(state)
    leaves = [x + (1000 * step + i) for i, x in enumerate(leaves)]
    return jax.tree.unflatten(structure, leaves).replace(step=jnp.int32(step))


def save(config, workdir, form):
    config.model.blocks = (ConfigDict(dict(kind="stem", features=6, patch=4, kernel=1)),)
    config.model.norm = "batch"
    config.model.head.update(pooling="average", hidden=())
    config = checked(config)
    model, tx = create_model(config, 10), create_optimizer(config)
    state = create_train_state(config, model, tx)
    checkpoints, states, stopping = Checkpoints(workdir), {}, EarlyStopping(9)
    for step, loss in ((4, 0.5), (8, 0.7)):
        stopping, states[step] = stopping.update(loss), numbered(state, step)
        rows = [{"epoch": 1, "val_loss": 0.5}, {"epoch": 2, "val_loss": 0.7}][: stopping.epoch]
        checkpoints.save(states[step], LoopState(stopping, Metrics.zeros(), rows), loss)
    checkpoints.wait()
    saved = Saved(checkpoints, states, abstract_train_state(config, model, tx), abstract_variables(config, model))
    if form == "older":
        older_form.rewrite(workdir, saved.abstract_state, one_device_mesh())
    return saved


@pytest.fixture(params=[0.0, pytest.param(0.9, marks=pytest.mark.slow)], ids=["", "averages"])
def config(request, tiny_config):
    tiny_config.train.ema_decay = request.param
    return tiny_config


@pytest.fixture
def saved(config, tmp_path):
    found = save(config, tmp_path, "today's")
    yield found
    found.checkpoints.close()


def flip_arrays(folder):
    """Flips a bit in the middle of every file of arrays."""
    for path in folder.rglob("d/*"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def assert_equal(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)


@pytest.mark.parametrize("form", FORMS)
def test_the_state_and_its_weights_come_back_to_the_bit(config, tmp_path, form):
    saved = save(config, tmp_path, form)
    assert saved.folder(4, "state").is_dir() == (form == "older")
    for step, state in saved.states.items():
        assert_equal(saved.restore(step), state)
        assert_equal(saved.restore_weights(step), state.variables)
    best, weights = load_best_weights(tmp_path, saved.abstract_weights, create_mesh(8))
    assert best == 4
    assert_equal(weights, saved.states[4].variables)
    assert saved.checkpoints.restore_loop_state(8, 9).stopping.num_bad == 1
    saved.checkpoints.close()


OPTIMIZERS = {
    "rmsprop": dict(momentum=0.9),
    "adamw": dict(clip_norm=1.0, schedule="cosine", layer_decay=0.5, unfreeze=2),
    "sgd": dict(rates=(("block1/*", 0.0),)),
    "muon": dict(rates=(("block1/*", 0.5),)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_weights_of_an_older_checkpoint_are_found_whatever_optimizer_it_holds(tiny_config, tmp_path, name):
    tiny_config.optimizer.update(name=name, **OPTIMIZERS[name])
    saved = save(tiny_config, tmp_path, "older")
    assert_equal(saved.restore_weights(4), saved.states[4].variables)
    saved.checkpoints.close()


def test_no_array_is_stored_twice(saved):
    with ocp.StandardCheckpointer() as reader:
        trees = {x: reader.metadata(saved.folder(4, x)).item_metadata.tree for x in ("weights", "training")}
    weights, training = shapes(trees["weights"]), shapes(trees["training"])
    assert weights == shapes(saved.states[4].variables)
    whole = shapes(saved.states[4])
    if saved.states[4].ema:
        assert training == {name: shape for name, shape in whole.items() if not name.startswith("ema/")}
    else:
        assert weights | training == whole
        assert not weights.keys() & training.keys()


@pytest.mark.parametrize("damage", [shutil.rmtree, flip_arrays], ids=["deleted", "a bit flipped"])
def test_weights_are_read_without_any_file_of_the_training(saved, damage):
    damage(saved.folder(4, "training"))
    assert_equal(saved.restore_weights(4), saved.states[4].variables)
    with pytest.raises(UserError, match="cannot read checkpoint .*/4: "):
        saved.restore(4)


@pytest.mark.parametrize("damage", [shutil.rmtree, flip_arrays], ids=["deleted", "a bit flipped"])
def test_damaged_weights_are_noticed_by_all(saved, damage):
    damage(saved.folder(4, "weights"))
    for restore in (saved.restore_weights, saved.restore):
        with pytest.raises(UserError, match="cannot read checkpoint .*/4: "):
            restore(4)


def replace(source, target):
    shutil.rmtree(target)
    shutil.copytree(source, target)


@pytest.mark.parametrize("form", FORMS)
def test_a_checkpoint_under_the_name_of_another_step_is_noticed(config, tmp_path, form):
    saved = save(config, tmp_path, form)
    replace(saved.folder(4), saved.folder(8))
    for restore in (saved.restore_weights, saved.restore):
        with pytest.raises(UserError, match="checksum is another one|it is of step 4"):
            restore(8)
    saved.checkpoints.close()


def test_an_item_of_another_checkpoint_is_noticed(saved):
    for item in ("weights", "training"):
        shutil.copytree(saved.folder(8, item), saved.folder(8, "kept"))
        replace(saved.folder(4, item), saved.folder(8, item))
        with pytest.raises(UserError, match="checksum is another one"):
            saved.restore(8)
        replace(saved.folder(8, "kept"), saved.folder(8, item))
        shutil.rmtree(saved.folder(8, "kept"))
    assert_equal(saved.restore(8), saved.states[8])


def test_the_training_belongs_to_its_weights(saved, tmp_path):
    """The same step of another run, with its own checksum: each item is whole, and yet they are not one state."""
    other = Checkpoints(tmp_path / "other")
    state = saved.states[8]
    weights, training = state.split()
    changed = training.join(jax.tree.map(lambda x: x + 1, weights))
    other.save(changed, saved.checkpoints.restore_loop_state(8, 9), 0.7)
    other.close()
    replace(other.folder / "8/weights", saved.folder(8, "weights"))
    path = saved.folder(8, "progress/metadata")
    ours, theirs = path.read_text(), (other.folder / "8/progress/metadata").read_text()
    checksum = digest(weights, {"step": 8})
    path.write_text(ours.replace(checksum, digest(changed.variables, {"step": 8})))
    assert digest(changed.variables, {"step": 8}) in theirs
    assert_equal(saved.restore_weights(8), changed.variables)
    with pytest.raises(UserError, match="checksum is another one"):
        saved.restore(8)


@pytest.mark.parametrize("form", FORMS)
def test_weights_of_another_network_are_refused(config, tmp_path, form):
    saved = save(config, tmp_path, form)
    config.model.blocks[0].features = 7
    other = checked(config)
    like = abstract_variables(other, create_model(other, 10))
    with pytest.raises(
        UserError, match=r"does not fit the model: params/block1/conv/kernel is \(1, 1, 48, 6\) there, needs"
    ):
        saved.checkpoints.restore_weights(4, like, one_device_mesh())
    saved.checkpoints.close()


@pytest.mark.parametrize("damage", [shutil.rmtree, flip_arrays], ids=["deleted", "a bit flipped"])
def test_all_of_an_older_checkpoint_is_verified_for_its_weights(config, tmp_path, damage):
    saved = save(config, tmp_path, "older")
    damage(saved.folder(4, "state"))
    with pytest.raises(UserError, match="cannot read checkpoint .*/4: "):
        saved.restore_weights(4)
    saved.checkpoints.close()


def test_the_older_checksum_is_the_one_that_was_stored():
    """The number is what foodjax gave these arrays when checkpoints had one item (commit 98a32fe)."""
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    state = {
        "params": {"block1": {"kernel": kernel}},
        "opt_state": ({"count": np.int32(4)}, ()),
        "step": np.int32(4),
    }
    facts = {"epoch": 1, "rows": [{"val_loss": float("nan")}]}
    expected = "c4052045657ecf878c8bf9ef48fbf57a48b57937fc63c52d87f71430dfb8848a"
    assert digest(state, facts) == expected
    assert older_form.digest(state, facts) == expected
