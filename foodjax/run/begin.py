"""The beginning of a training: room for its steps, the state before the first, and the step, compiled beside it."""

from concurrent.futures import ThreadPoolExecutor

import jax

from foodjax.data.batches import empty_batch
from foodjax.data.mapped import release_all
from foodjax.data.sets import Data
from foodjax.run.wiring import Engine
from foodjax.steps.state import TrainState
from foodjax.system import hosts
from foodjax.system.malloc import keep_small_blocks_apart


def make_room(data: Data) -> None:
    """Prepares the memory of the process for the steps, after the imports and the data."""
    keep_small_blocks_apart()
    for prepared in (data.train, data.test):  # all was read to find duplicates
        release_all(prepared.images)


def create_state(engine: Engine, steps_per_epoch: int) -> TrainState:
    """Returns the state before the first step.

    The program that creates it takes seconds to compile, and so does the train step of batches made on the host. On the
    CPU of one process they are compiled side by side; a GPU's compiler times kernels, and nothing may run beside it.

    Args:
        engine: the network.
        steps_per_epoch: number of steps of an epoch.

    Raises:
        UserError: the network does not fit into memory, or the weights of model.init_from cannot be used.
    """
    if engine.config.data.backend == "device" or hosts.count() > 1 or jax.default_backend() != "cpu":
        return engine.create_state()
    lowered = engine.lower_train_step(empty_batch(engine.config, 0, steps_per_epoch))
    with ThreadPoolExecutor(1, "compile") as pool:
        compiled = pool.submit(lowered.compile)
        state = engine.create_state()
        compiled.result()
    return state
