"""Learning rate schedules and optimizers from config, in optax; RMSprop has Keras' formula."""

from collections.abc import Callable
from typing import Any

import jax
import optax
import optax.contrib

from foodjax.config import listed
from foodjax.config.keys import Config
from foodjax.config.training_keys import Optimizer
from foodjax.models.layers import HEAD
from foodjax.steps.depths import path_of
from foodjax.steps.rates import with_rates
from foodjax.system.errors import UserError

# Scales Muon's updates to the root mean square of Adam's: both can use one learning rate (Liu et al. 2025).
_ADAM_RMS = 0.2
Rate = float | optax.Schedule


def create_schedule(config: Config, steps_per_epoch: int) -> float | optax.Schedule:
    """Returns the learning rate: a number, or a function of the step.

    "cosine" rises linearly from 0 and falls along a cosine; "one_cycle" does both along cosines and starts at 1/25 of
    the highest rate (Smith and Topin 2018). Both end with the last epoch at final_rate times the highest.

    Args:
        config: the experiment; reads optimizer and train.epochs.
        steps_per_epoch: number of steps of an epoch.
    """
    optimizer, num_steps = config.optimizer, config.train.epochs * steps_per_epoch
    peak, warmup = optimizer.learning_rate, round(optimizer.warmup * num_steps)
    if optimizer.schedule == "one_cycle":
        rise = optax.cosine_decay_schedule(peak, max(warmup, 1))
        fall = optax.cosine_decay_schedule(peak, max(num_steps - warmup, 1), optimizer.final_rate)
        up = lambda step: peak - 24 / 25 * rise(step)  # noqa: E731
        return optax.join_schedules([up, fall], [warmup]) if warmup else fall
    if optimizer.schedule == "cosine":
        fall = optax.cosine_decay_schedule(peak, max(num_steps - warmup, 1), optimizer.final_rate)
    else:
        fall = optax.constant_schedule(peak)
    if warmup:
        return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), fall], [warmup])
    return peak if optimizer.schedule == "constant" else fall


def create_optimizer(config: Config, steps_per_epoch: int = 1) -> optax.GradientTransformation:
    """Builds the optax chain of `config.optimizer`.

    Args:
        config: the experiment.
        steps_per_epoch: number of steps of an epoch, for the schedule and optimizer.unfreeze. The state's structure
            does not depend on it, unless the warmup of a constant schedule rounds to no step.

    Raises:
        UserError: the optimizer has no weight decay, and one is set.
    """
    return create_chain(config, create_schedule(config, steps_per_epoch), steps_per_epoch)


def create_chain(
    config: Config, learning_rate: float | optax.Schedule, steps_per_epoch: int = 1
) -> optax.GradientTransformation:
    """Builds the optax chain of `config.optimizer` with the given learning rate.

    Weight decay is decoupled (AdamW's): w -= learning_rate weight_decay w, for kernels alone. `steps.rates` then scales
    the updates of the parameters that have a learning rate of their own.

    Raises:
        UserError: the optimizer has no weight decay, and one is set.
    """
    o = config.optimizer
    tx = OPTIMIZERS[o.name](o, learning_rate)
    tx = optax.chain(optax.clip_by_global_norm(o.clip_norm), tx) if o.clip_norm else tx
    return with_rates(tx, config, steps_per_epoch)


def _rmsprop(o: Optimizer, learning_rate: Rate) -> optax.GradientTransformation:
    """Keras': v = decay v + (1 - decay) g^2, w -= learning_rate g / sqrt(v + epsilon), v_0 = 0."""
    if o.weight_decay:
        others = ", ".join(name for name, keys in listed.OPTIMIZERS.items() if "weight_decay" in keys)
        raise UserError(f"optimizer.weight_decay is {o.weight_decay}: rmsprop has none, use one of {others}")
    momentum = o.momentum or None
    return optax.rmsprop(learning_rate, decay=o.decay, eps=o.epsilon, eps_in_sqrt=True, momentum=momentum)


def _adamw(o: Optimizer, learning_rate: Rate) -> optax.GradientTransformation:
    """Adam's m / (sqrt(v) + epsilon), both means corrected for their start."""
    return optax.adamw(learning_rate, o.momentum, o.decay, o.epsilon, mask=are_kernels, weight_decay=o.weight_decay)


def _sgd(o: Optimizer, learning_rate: Rate) -> optax.GradientTransformation:
    """With Nesterov's momentum: m = momentum m + g, w -= learning_rate (g + momentum m)."""
    return optax.chain(
        optax.trace(o.momentum, nesterov=True),
        optax.add_decayed_weights(mask=are_kernels, weight_decay=o.weight_decay),
        optax.scale_by_learning_rate(learning_rate),
    )


def _muon(o: Optimizer, learning_rate: Rate) -> optax.GradientTransformation:
    """Momentum of matrices, made orthogonal; Adam for the other weights."""
    return optax.contrib.muon(
        learning_rate, beta=o.momentum, eps=o.epsilon, adam_b1=o.momentum, adam_b2=o.decay,
        muon_weight_dimension_numbers=_muon_axes, consistent_rms=_ADAM_RMS, weight_decay=o.weight_decay,
    )  # fmt: skip


def _lion(o: Optimizer, learning_rate: Rate) -> optax.GradientTransformation:
    """The sign of momentum m + (1 - momentum) g; then m = decay m + (1 - decay) g."""
    return optax.lion(learning_rate, o.momentum, o.decay, mask=are_kernels, weight_decay=o.weight_decay)


def _lamb(o: Optimizer, learning_rate: Rate) -> optax.GradientTransformation:
    """AdamW's update of each array, decay included, at the length of the array itself."""
    return optax.lamb(learning_rate, o.momentum, o.decay, eps=o.epsilon, mask=are_kernels, weight_decay=o.weight_decay)


def _nadam(o: Optimizer, learning_rate: Rate) -> optax.GradientTransformation:
    """AdamW with Nesterov's momentum."""
    return optax.nadamw(learning_rate, o.momentum, o.decay, o.epsilon, mask=are_kernels, weight_decay=o.weight_decay)


# By the names of `config.listed.OPTIMIZERS`, which has the keys that each reads.
OPTIMIZERS: dict[str, Callable[[Optimizer, Rate], optax.GradientTransformation]] = {
    "rmsprop": _rmsprop, "adamw": _adamw, "sgd": _sgd, "muon": _muon, "lion": _lion, "lamb": _lamb, "nadam": _nadam,
}  # fmt: skip


def _muon_axes(params: Any) -> Any:
    """Returns the matrix axes (inputs, outputs) of each kernel that Muon updates, and None for what Adam updates.

    Adam updates the last layer, as Muon's authors advise, and what is no matrix: biases, scales, embeddings, and the
    kernels of depthwise convolutions, (h, w, 1, C), which map each channel to itself.
    """

    def axes(keys, x):
        *modules, name = path_of(keys).split("/")
        is_depthwise = x.ndim == 4 and x.shape[2] == 1
        if name != "kernel" or x.ndim < 2 or is_depthwise or modules[:1] == [HEAD]:
            return None
        return optax.contrib.MuonDimensionNumbers(tuple(range(x.ndim - 1)), x.ndim - 1)

    return jax.tree_util.tree_map_with_path(axes, params)


def are_kernels(params: Any) -> Any:
    """Returns a tree of booleans: True for kernels, False for all else, such as biases, scales and embeddings."""

    def is_kernel(keys, x):
        return x.ndim > 1 and path_of(keys).split("/")[-1] == "kernel"

    return jax.tree_util.tree_map_with_path(is_kernel, params)
