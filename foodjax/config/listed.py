"""Tables of what a config chooses by name: optimizers, losses, and the validation value that decides.

A line has the keys of its group that its choice reads, of those that not all of the table read. `steps.optimizer` and
`steps.losses` have the mathematics under these names, docs/instruments.md the sources.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

_ADAMS = ("momentum", "decay", "epsilon", "weight_decay")

OPTIMIZERS: dict[str, tuple[str, ...]] = {
    "rmsprop": ("momentum", "decay", "epsilon"),
    "adamw": _ADAMS,
    "sgd": ("momentum", "weight_decay"),
    "muon": _ADAMS,
    "lion": ("momentum", "decay", "weight_decay"),
    "lamb": _ADAMS,
    "nadam": _ADAMS,
}

LOSSES: dict[str, tuple[str, ...]] = {
    "cross_entropy": (),
    "binary_cross_entropy": (),
    "focal": ("focal_gamma",),
}

# Validation values that choose the best checkpoint and stop early; whether the highest is the best.
MONITORS = {"val_loss": False, "val_accuracy": True, "val_top5": True, "val_mean_recall": True}


def is_better(value: float, best: float, monitor: str) -> bool:
    """Returns whether a value of train.monitor is better than the best so far; ties and NaN are not."""
    return value > best if MONITORS[monitor] else value < best


def unused(config: Any) -> list[str]:
    """Returns a line for each choice whose group sets keys that it does not read.

    Args:
        config: the experiment, typed.

    Example:
        >>> from foodjax.config.check import checked
        >>> import foodjax
        >>> unused(checked(foodjax.load_config("food10", optimizer__name="lion")))
        ['optimizer.name=lion does not read optimizer.epsilon=1e-07']
    """
    lines = []
    for group, name, table in (("optimizer", "name", OPTIMIZERS), ("train", "loss", LOSSES)):
        values = getattr(config, group)
        chosen = getattr(values, name)
        found = _set_in_vain(values, table, chosen)
        if found:
            named = ", ".join(f"{group}.{key}={getattr(values, key)!r}" for key in found)
            lines.append(f"{group}.{name}={chosen} does not read {named}")
    return lines


def _set_in_vain(values: Any, table: Mapping[str, tuple[str, ...]], chosen: str) -> list[str]:
    defaults = {field.name: field.default for field in dataclasses.fields(values)}
    others = dict.fromkeys(key for read in table.values() for key in read if key not in table[chosen])
    return [key for key in others if getattr(values, key) != defaults[key]]
