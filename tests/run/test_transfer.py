from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from foodjax.config.check import checked
from foodjax.data.split import first_of_each
from foodjax.run import loop
from foodjax.run.wiring import Engine, load_variables
from foodjax.system.errors import UserError
from foodjax.workdir.description import read_description


class Source(NamedTuple):
    """A finished run."""

    config: ConfigDict
    workdir: Path


@pytest.fixture
def source(tiny_config, tmp_path):
    """A run on seven of the ten drawn classes, with running statistics and averages."""
    tiny_config.model.blocks = (
        ConfigDict(dict(kind="stem", features=6, patch=2, kernel=3)),
        ConfigDict(dict(kind="residual", features=6, pool=2, depth=1, dropout=0.0)),
    )
    tiny_config.model.norm = "batch"
    tiny_config.model.head.update(pooling="average", hidden=())
    tiny_config.optimizer.update(name="adamw", learning_rate=3e-3, momentum=0.9, decay=0.99)
    tiny_config.data.class_names = ("bars", "checkerboard", "cross", "crescent", "dots", "hexagon", "ring")
    tiny_config.train.update(epochs=1, ema_decay=0.9)
    loop.train(tiny_config, tmp_path / "seven")
    return Source(tiny_config, tmp_path / "seven")


@pytest.mark.slow
def test_other_classes_take_all_but_the_head_and_frozen_blocks_stay(source, tmp_path):
    config = source.config
    variables, names = load_variables(source.workdir)
    assert len(names) == 7
    config.data.class_names = ("spiral", "star", "triangle")
    config.data.update(train_per_class=6, batch_size=16)
    config.model.init_from = str(source.workdir)
    config.optimizer.rates = (("block1/*", 0.0),)
    engine = Engine(checked(config), config.data.class_names)
    state = engine.create_state()
    assert state.params["logits"]["kernel"].shape == (6, 3)
    for part in ("block1", "block2"):
        jax.tree.map(np.testing.assert_array_equal, state.params[part], variables["params"][part])
    jax.tree.map(np.testing.assert_array_equal, state.batch_stats, variables["batch_stats"])
    jax.tree.map(np.testing.assert_array_equal, state.ema["params"], state.params)
    loop.train(config, tmp_path / "three")
    adapted, _ = load_variables(tmp_path / "three")
    jax.tree.map(np.testing.assert_array_equal, adapted["params"]["block1"], variables["params"]["block1"])
    changed = adapted["params"]["block2"]["conv1"]["kernel"] - variables["params"]["block2"]["conv1"]["kernel"]
    assert np.abs(changed).max() > 1e-4
    _, stored = read_description(tmp_path / "three")
    assert stored == ("spiral", "star", "triangle")
    same = Engine(checked(config), names).create_state()
    np.testing.assert_array_equal(same.params["logits"]["kernel"], variables["params"]["logits"]["kernel"])
    config.model.blocks[1].features = 7
    with pytest.raises(
        UserError, match=r"does not fit the model: batch_stats/block2/norm1/mean is \(6,\) there, needs"
    ):
        Engine(checked(config), config.data.class_names).create_state()


def test_a_place_without_a_run_is_refused(tiny_config, tmp_path):
    tiny_config.model.init_from = str(tmp_path)
    with pytest.raises(UserError, match="holds no run"):
        Engine(checked(tiny_config), ("a", "b")).create_state()


def test_a_pattern_of_no_parameter_is_refused_before_the_workdir_has_a_config(tiny_config, tmp_path):
    tiny_config.optimizer.rates = (("blok1/*", 0.1),)
    with pytest.raises(UserError, match=r"optimizer.rates has 'blok1/\*', which matches no parameter: .*block1/\*"):
        loop.train(tiny_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_first_rows_of_each_class():
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    np.testing.assert_array_equal(first_of_each(np.array([0, 2, 3, 4, 6, 7, 8]), labels, 2), [0, 2, 3, 4, 6, 7])
