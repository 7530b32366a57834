"""Transfer learning: a network starts from the weights of another one, `model.init_from`.

Both networks have the same layers, by name and shape. The last one, `logits`, is taken over if the classes are the
same; otherwise it starts from random weights.
"""

from typing import Any

import jax
import jax.numpy as jnp

from foodjax.models.layers import HEAD
from foodjax.steps.state import TrainState
from foodjax.system.errors import UserError
from foodjax.workdir.checkpoint_content import shapes


def initialise(state: TrainState, source: Any, *, keep_head: bool, origin: str) -> TrainState:
    """Returns `state` with the weights of another network, and averages that start there.

    Args:
        state: before the first step.
        source: the other network's variables, {"params", "batch_stats"}; a missing part is empty.
        keep_head: keep the last layer of `state`.
        origin: where the weights come from, for the message.

    Raises:
        UserError: the networks differ in more than their last layer.
    """
    own = {"params": state.params, "batch_stats": state.batch_stats}
    taken = {part: dict(source.get(part, {})) for part in own}
    if keep_head:
        taken["params"][HEAD] = own["params"][HEAD]
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
