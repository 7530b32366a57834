"""Transfer learning: a network starts from the weights of another one, `model.init_from`.

Both networks have the same layers, by name and shape, but for those that keep their random weights: the last one,
`logits`, where the classes are others, and everything behind a backbone whose weights come from a file.
"""

from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp

from foodjax.steps.state import TrainState
from foodjax.system.errors import UserError
from foodjax.workdir.checkpoint_content import shapes


def initialise(state: TrainState, source: Any, *, keep: Collection[str], origin: str) -> TrainState:
    """Returns `state` with the weights of another network, and averages that start there.

    Args:
        state: before the first step.
        source: the other network's variables, {"params", "batch_stats"}; a missing part is empty.
        keep: names of the modules that `state` keeps, such as `layers.HEAD`.
        origin: where the weights come from, for the message.

    Raises:
        UserError: the networks differ in other layers too.
    """
    own = {"params": state.params, "batch_stats": state.batch_stats}
    taken = {
        part: dict(source.get(part, {})) | {name: layers[name] for name in keep if name in layers}
        for part, layers in own.items()
    }
    found, needed = shapes(taken), shapes(own)
    for name in sorted(found.keys() | needed.keys()):
        if found.get(name) != needed.get(name):
            raise UserError(
                f"{origin} does not fit the model: {name} is {found.get(name, 'absent')} there, needs "
                f"{needed.get(name, 'absent')}"
            )
    taken = jax.tree.map(jnp.asarray, taken)
    ema = jax.tree.map(jnp.copy, taken) if state.ema else state.ema
    return state.replace(params=taken["params"], batch_stats=taken["batch_stats"], ema=ema)  # pyright: ignore
