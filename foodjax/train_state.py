"""What training carries from step to step, as one pytree."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from foodjax.model import ConvNet, init_params


@struct.dataclass
class TrainState:
    """Everything that a training step reads and replaces.

    Attributes:
        step: int32 scalar, number of steps taken.
        params: the network's parameters, float32.
        opt_state: the optimizer's state.
        rng: raw key data of the run; the key of step s is folded from it, so that no key is threaded.
    """

    step: jax.Array
    params: Any
    opt_state: Any
    rng: jax.Array


def create_train_state(model: ConvNet, tx: optax.GradientTransformation, seed: int, image_size: int) -> TrainState:
    """Returns the state before the first step; a pure function of the arguments."""
    init_key, rng = jax.random.split(jax.random.PRNGKey(seed))
    params = init_params(model, init_key, image_size)
    return TrainState(jnp.zeros((), jnp.int32), params, tx.init(params), rng)


def abstract_train_state(model: ConvNet, tx: optax.GradientTransformation, image_size: int) -> TrainState:
    """Returns the state's shapes and dtypes, to restore a checkpoint into; computes nothing."""
    return jax.eval_shape(lambda: create_train_state(model, tx, 0, image_size))
