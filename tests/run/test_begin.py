import jax
import numpy as np
import pytest

from foodjax.config.check import replace
from foodjax.data.batches import empty_batch
from foodjax.run import begin
from foodjax.run.wiring import Engine
from foodjax.steps import step
from foodjax.system import memory
from foodjax.system.errors import UserError
from foodjax.workdir.description import read_description


@pytest.fixture
def traced(monkeypatch):
    """A list that gets an entry for each time that a step is traced."""
    traced, rescale = [], step.rescale
    monkeypatch.setattr(step, "rescale", lambda images: traced.append(images.shape) or rescale(images))
    return traced


@pytest.mark.slow
@pytest.mark.parametrize("from_another", [False, True], ids=["random weights", "another run's"])
def test_the_step_is_compiled_beside_the_state(workdir, traced, from_another):
    config, names = read_description(workdir)
    config = replace(config, {"model.init_from": str(workdir)}) if from_another else config
    engine = Engine(config, names, 3)
    state = begin.create_state(engine, 3)
    jax.tree.map(np.testing.assert_array_equal, state, engine.create_state())
    assert len(traced) == 1
    for _ in range(2):
        state, _ = engine.train_step(state, empty_batch(config, 0, 3))
    assert len(traced) == 1


def test_a_network_that_does_not_fit_is_not_compiled(workdir, traced, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(UserError, match=r"a network of [\d,]+ numbers takes .* GiB of memory"):
        begin.create_state(Engine(*read_description(workdir)), 1)
    assert not traced
