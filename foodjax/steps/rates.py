"""Learning rates by parameter: a table of patterns, a factor for each depth, and gradual unfreezing.

All of them scale the finished updates, weight decay included, which is the same as another learning rate. The labels
"lower" and "upper", and what is nested in what, are in stored checkpoints: older runs restore into them.
"""

import difflib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from foodjax.config.keys import Config
from foodjax.steps.depths import depth_of, first_match, order_of, path_of
from foodjax.system.errors import UserError

Table = Sequence[tuple[str, float]]


def with_rates(
    tx: optax.GradientTransformation, config: Config, steps_per_epoch: int = 1
) -> optax.GradientTransformation:
    """Returns `tx` with the learning rates of optimizer.rates, layer_decay and unfreeze.

    XLA does not compute the gradients of parameters whose rate is 0, and the optimizer keeps no moments for them.
    With the defaults, `tx` itself is returned.

    Args:
        tx: the optimizer, at the full learning rate.
        config: the experiment.
        steps_per_epoch: number of steps of an epoch, for optimizer.unfreeze.

    Returns:
        The optimizer. Its `init` raises UserError for a pattern that sets the rate of no parameter.
    """
    o, order = config.optimizer, order_of(config)
    head = len(order) - 1

    def factor(path: str) -> float:
        return rate_of(path, o.rates) * o.layer_decay ** (head - depth_of(path, order))

    # By the values of the table, so that one whose rates are all 1 has a state of the same structure.
    if any(rate > 0 for _, rate in o.rates) or o.layer_decay < 1:
        slower = _split(_scale_each(factor), optax.identity(), lambda path: factor(path) != 1)
        tx = optax.chain(tx, slower)
    if o.unfreeze:
        tx = optax.chain(tx, unfreeze_from_the_head(order, o.unfreeze * steps_per_epoch))
    if any(rate == 0 for _, rate in o.rates):
        tx = _split(optax.set_to_zero(), tx, lambda path: rate_of(path, o.rates) == 0)
    return _checking(tx, o.rates) if o.rates else tx


def rate_of(path: str, table: Table) -> float:
    """Returns the rate of the first pattern that matches a parameter's path; 1 if none does."""
    found = first_match(path, [pattern for pattern, _ in table])
    return 1.0 if found is None else table[found][1]


class UnfreezeState(NamedTuple):
    """State of `unfreeze_from_the_head`.

    Attributes:
        count: int32 scalar, number of steps taken.
    """

    count: jax.Array


def unfreeze_from_the_head(order: Sequence[str], steps: int) -> optax.GradientTransformation:
    """Gradual unfreezing (Howard and Ruder 2018): a parameter at depth d of D changes from step (D - d) `steps` on.

    Its updates before are 0. The optimizer's moments see all gradients, and are ready when the parameter starts.

    Args:
        order: patterns of paths from the stem to the head.
        steps: between the start of one depth and that of the one below.
    """
    head = len(order) - 1

    def update(updates, state, params=None):
        del params

        def mask(keys, x):
            start = (head - depth_of(path_of(keys), order)) * steps
            return jnp.where(state.count >= start, x, 0) if start else x

        updates = jax.tree_util.tree_map_with_path(mask, updates)
        return updates, UnfreezeState(state.count + 1)

    return optax.GradientTransformation(lambda params: UnfreezeState(jnp.zeros((), jnp.int32)), update)


def _scale_each(factor: Callable[[str], float]) -> optax.GradientTransformation:
    """Multiplies every update by the factor of its path; has no state."""

    def update(updates, params):
        del params
        return jax.tree_util.tree_map_with_path(lambda keys, x: factor(path_of(keys)) * x, updates)

    return optax.stateless(update)


def _split(
    lower: optax.GradientTransformation, upper: optax.GradientTransformation, is_lower: Callable[[str], bool]
) -> optax.GradientTransformation:
    """Applies `lower` to the parameters whose path it is for, and `upper` to the others."""

    def label(keys, _):
        return "lower" if is_lower(path_of(keys)) else "upper"

    def labels(params):
        return jax.tree_util.tree_map_with_path(label, params)

    return optax.partition({"lower": lower, "upper": upper}, labels)


def _checking(tx: optax.GradientTransformation, table: Table) -> optax.GradientTransformation:
    """Returns `tx`, whose `init` checks the table first."""

    def init(params):
        check_table(table, [path_of(keys) for keys, _ in jax.tree_util.tree_leaves_with_path(params)])
        return tx.init(params)

    return optax.GradientTransformation(init, tx.update)


def check_table(table: Table, paths: Sequence[str]) -> None:
    """Checks that every pattern of optimizer.rates sets the rate of a parameter, and that one learns.

    Raises:
        UserError: names the pattern and the nearest that would match.
    """
    patterns = [pattern for pattern, _ in table]
    first = {path: first_match(path, patterns) for path in paths}
    for i, pattern in enumerate(patterns):
        if i in first.values():
            continue
        if any(first_match(path, [pattern]) is not None for path in paths):
            raise UserError(
                f"optimizer.rates has {pattern!r} behind others that match all of its parameters: needs it before them"
            )
        groups = {"/".join(path.split("/")[:n]) + "/*" for path in paths for n in range(1, path.count("/") + 1)}
        near = difflib.get_close_matches(pattern, sorted({*paths, *groups}), n=3, cutoff=0.0)
        raise UserError(
            f"optimizer.rates has {pattern!r}, which matches no parameter: needs a pattern such as {', '.join(near)}"
        )
    if all(i is not None and table[i][1] == 0 for i in first.values()):
        raise UserError("optimizer.rates freezes every parameter: needs one with a rate > 0")
