"""Norms of a training step: of its gradient, its update and the weights."""

from typing import Any

import jax
import optax


def norms_of(grads: Any, updates: Any, params: Any) -> dict[str, jax.Array]:
    """Returns the Euclidean norms of all arrays of a pytree together, float32 scalars.

    Args:
        grads: gradient of the loss, before optimizer.clip_norm; also that of weights whose rate is 0.
        updates: what the step adds to the weights, weight decay included.
        params: the weights after the step.
    """
    # The barrier keeps the sums out of the loops that compute these arrays: a step with norms takes the same numbers.
    grads, updates, params = jax.lax.optimization_barrier((grads, updates, params))
    found = {"grad_norm": grads, "update_norm": updates, "weight_norm": params}
    return {name: optax.global_norm(tree) for name, tree in found.items()}
