"""Contents of a checkpoint: the progress of the loop as JSON, names and shapes of arrays, checksums. No orbax."""

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from foodjax.config.listed import MONITORS
from foodjax.steps.early_stopping import EarlyStopping
from foodjax.steps.metrics import SUMS, Metrics


class LoopState(NamedTuple):
    """State of the training loop that a checkpoint holds beside the arrays.

    Attributes:
        stopping: the early stopping after the last whole epoch.
        total: the metric sums over the steps since then, so that a resumed epoch has the numbers of an unbroken one.
        rows: the numbers of every whole epoch; a lost metrics.jsonl is written again from them.
    """

    stopping: EarlyStopping
    total: Metrics
    rows: Sequence[dict[str, Any]] = ()


def digest(tree: Any, facts: dict[str, Any]) -> str:
    """Returns the SHA-256 of the arrays of a pytree, their names and `facts`, 64 hexadecimal digits."""
    found = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, value in sorted(_leaves(tree).items()):
        array = np.ascontiguousarray(value)
        found.update(f"{name} {array.dtype} {array.shape} ".encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def to_json(loop_state: LoopState) -> dict[str, Any]:
    """Returns what `from_json` reads: numbers, lists and dicts."""
    stopping, total, rows = loop_state
    return {
        "best_loss": stopping.best_value,  # its name from when the loss alone decided
        **{name: getattr(stopping, name) for name in ("best_epoch", "num_bad", "epoch", "monitor")},
        "total": {name: float(getattr(total, name)) for name in SUMS},  # a float holds a float32 exactly
        "rows": list(rows),
    }


def from_json(stored: dict[str, Any], patience: int, monitor: str = "") -> LoopState:
    """Returns the loop state that `to_json` stored, with this patience and this monitor; "" keeps that of then.

    Raises:
        Exception: of many types, when it is not what `to_json` made.
    """
    stopping = {name: stored[name] for name in ("best_epoch", "num_bad", "epoch")}
    stopping |= {"best_value": stored["best_loss"], "monitor": monitor or monitor_of(stored)}
    total = {name: jnp.float32(value) for name, value in stored["total"].items()}
    return LoopState(EarlyStopping(patience, **stopping), Metrics(**total), stored["rows"])


def monitor_of(stored: dict[str, Any]) -> str:
    """Returns the name of the value that chose the best checkpoint, of what `to_json` stored.

    Raises:
        ValueError: it is none of those that train.monitor has.
    """
    found = stored.get("monitor", "val_loss")  # older ones do not have it
    if found not in MONITORS:
        raise ValueError(f"its monitor is {str(found)[:40]!r}")
    return found


def _leaves(tree: Any) -> dict[str, Any]:
    def name(path):
        return "/".join(str(getattr(k, "name", None) or getattr(k, "key", None) or getattr(k, "idx", k)) for k in path)

    return {name(path): x for path, x in jax.tree_util.tree_leaves_with_path(tree)}


def num_bytes(tree: Any) -> int:
    """Returns the bytes of all arrays of a pytree."""
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def shapes(tree: Any) -> dict[str, tuple]:
    """Returns the shape of every leaf of a pytree by its path, "params/logits/kernel"."""
    return {name: tuple(x.shape) for name, x in _leaves(tree).items()}
