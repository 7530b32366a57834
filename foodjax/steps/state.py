"""The training state, one pytree, and its initial value."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from foodjax.config.keys import Config
from foodjax.models.convnet import ConvNet, init_variables


@struct.dataclass
class TrainState:
    """Everything that a training step reads and replaces.

    Attributes:
        step: int32 scalar, number of steps taken.
        params: the network's parameters, float32.
        opt_state: the optimizer's state.
        rng: raw key data of the run; the key of step s is folded from it, so that no key is threaded.
        batch_stats: running means and variances of batch normalisation; empty without it.
        ema: exponential moving averages of params and batch_stats, as {"params", "batch_stats"}; empty when the run
            keeps none.
    """

    step: jax.Array
    params: Any
    opt_state: Any
    rng: jax.Array
    batch_stats: Any = struct.field(default_factory=dict)
    ema: Any = struct.field(default_factory=dict)

    @property
    def variables(self) -> Any:
        """The variables to evaluate: the averages if the run keeps them, else params and batch_stats."""
        return self.ema or {"params": self.params, "batch_stats": self.batch_stats}

    def split(self) -> tuple[Any, "TrainState"]:
        """Returns `variables`, and the state without them: what only training needs. No array is in both."""
        without: dict[str, Any] = {"ema": {}} if self.ema else {"params": {}, "batch_stats": {}}
        return self.variables, self.replace(**without)  # pyright: ignore[reportAttributeAccessIssue]

    def join(self, variables: Any) -> "TrainState":
        """Returns the whole state again, of which `split` made `variables` and this one."""
        found = {"ema": variables} if self.params else variables
        return self.replace(**found)  # pyright: ignore[reportAttributeAccessIssue]


def create_train_state(config: Config, model: ConvNet, tx: optax.GradientTransformation) -> TrainState:
    """Returns the state before the first step; a pure function of the arguments.

    Args:
        config: the experiment; reads the seed, the side of the pictures and train.ema_decay.
        model: the network.
        tx: the optimizer.
    """
    init_key, rng = jax.random.split(jax.random.PRNGKey(config.seed))
    variables = _init(config, model, init_key)
    params = variables["params"]
    # Copies: the step donates its state, and no buffer can be donated twice.
    ema = jax.tree.map(jnp.copy, variables) if config.train.ema_decay else {}
    return TrainState(jnp.zeros((), jnp.int32), params, tx.init(params), rng, variables["batch_stats"], ema)


def _init(config: Config, model: ConvNet, key: jax.Array) -> dict[str, Any]:
    return {"batch_stats": {}} | init_variables(model, key, config.input_size)


def abstract_train_state(config: Config, model: ConvNet, tx: optax.GradientTransformation) -> TrainState:
    """Returns the state's shapes and dtypes, to restore a checkpoint into; computes nothing."""
    return jax.eval_shape(lambda: create_train_state(config, model, tx))


def abstract_variables(config: Config, model: ConvNet) -> dict[str, Any]:
    """Returns the shapes and dtypes of what evaluation runs on, `TrainState.variables`; computes nothing."""
    return jax.eval_shape(lambda: _init(config, model, jax.random.PRNGKey(0)))


@jax.jit
def all_finite(params: Any) -> jax.Array:
    """Returns whether every number of a pytree is finite, a boolean on the device."""
    # 0 x is 0 for every finite x alone. XLA compiles sums in a quarter of the time that it takes for `all`.
    return jnp.isfinite(jnp.stack([(0 * x).sum() for x in jax.tree.leaves(params)]).sum())
