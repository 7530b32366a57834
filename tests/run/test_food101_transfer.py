"""The recipe for a GPU, all 101 classes with ResNet-50, takes its steps here too: with fewer and smaller pictures."""

import itertools

import jax
import numpy as np
import pytest
from helpers import make_food_root, one_device_mesh

from experiments import food101_transfer
from foodjax.config.check import checked
from foodjax.data.host_batches import select_train_batches
from foodjax.data.sets import load_data
from foodjax.models.summary import walk
from foodjax.run import wiring
from foodjax.run.wiring import Engine
from foodjax.steps import step

# Of a parameter in each group: learning rate / optimizer.learning_rate. The head is at depth 5, and has its own factor.
RATES = {
    "backbone/bn1/bias": 0.8**5, "backbone/layer1_0/bn1/bias": 0.8**4, "backbone/layer2_1/bn2/bias": 0.8**3,
    "backbone/layer3_5/bn3/bias": 0.8**2, "backbone/layer4_2/bn3/bias": 0.8, "logits/bias": 10.0,
}  # fmt: skip


@pytest.fixture
def config(tmp_path):
    """The experiment, on 101 drawn classes of two training photographs each, small enough for a test."""
    classes = tuple(f"dish{i:03}" for i in range(101))
    make_food_root(tmp_path / "food-101", classes, num_train=2, num_test=1)
    config = food101_transfer.get_config()
    config.data.update(dir=str(tmp_path / "food-101"), cache_dir=str(tmp_path / "cache"), image_size=40, batch_size=32)
    config.data.validation_fraction = 0.5
    config.model.update(init_from="", input_size=32)
    config.train.progressive_resizing = ((0, 32), (8, 32), (14, 32))
    config.eval.size = 40
    return checked(config)


@pytest.mark.slow
def test_steps_of_all_classes(config, monkeypatch):
    data = load_data(config)
    assert len(data.train.class_names) == 101
    # Faster to compile than for eight devices and with optimisation.
    monkeypatch.setattr(wiring, "create_mesh", lambda _: one_device_mesh())
    monkeypatch.setattr(step, "compiler_options", lambda: {"xla_backend_optimization_level": 0})
    engine = Engine(config, data.train.class_names, steps_per_epoch=1)  # 20 steps, of which 2 warm up
    batches = list(itertools.islice(
        select_train_batches(config.data.backend)(data.train, data.parts.train, config, 0, 2), 2
    ))  # fmt: skip
    assert {batch["image"].shape for batch in batches} == {(32, 32, 32, 3)}
    assert set(batches[0]) == {"image", "label", "other", "share"}  # CutMix
    state = engine.create_state()
    assert state.params["logits"]["kernel"].shape == (2048, 101)
    state.params["logits"]["kernel"] *= 0.1  # so that no class is preferred
    start = jax.device_get({"params": state.params, "batch_stats": state.batch_stats})
    state, metrics = engine.train_step(state, batches[0])
    first = jax.device_get({"params": state.params, "batch_stats": state.batch_stats})
    assert metrics.compute()["loss"] == pytest.approx(np.log(101), abs=0.1)
    jax.tree.map(np.testing.assert_array_equal, first["params"], start["params"])  # the rate rises from 0
    for (path, new), (_, old) in zip(walk(first["batch_stats"]), walk(start["batch_stats"]), strict=True):
        assert not np.array_equal(new, old), path
    state, metrics = engine.train_step(state, batches[1])
    assert np.isfinite(metrics.compute()["loss"])
    second, before = dict(walk(jax.device_get(state.params))), dict(walk(first["params"]))
    for path, new in second.items():
        assert np.isfinite(new).all(), path
        assert not np.array_equal(new, before[path]), path
    # Adam's update is the learning rate where both gradients agree, and no more than 1.0014 times it.
    rate = 4e-4 / 2
    for path, factor in RATES.items():
        largest = np.abs(second[path] - before[path]).max() / rate
        assert 0.97 * factor < largest < 1.01 * factor, path
