"""Tables of what a config chooses by name: optimizers, losses, and the validation value that decides.

A line has the keys that its choice reads. `steps.optimizer` and `steps.losses` have the mathematics under these names.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple


class Chosen(NamedTuple):
    """A line of a table.

    Attributes:
        keys: of its group that it reads, and others of the table may not.
        source: where it is from.
    """

    keys: tuple[str, ...]
    source: str


_ADAMS = ("momentum", "decay", "epsilon", "weight_decay")

OPTIMIZERS = {
    "rmsprop": Chosen(("momentum", "decay", "epsilon"), "Keras' arithmetic"),
    "adamw": Chosen(_ADAMS, "Loshchilov and Hutter 2019"),
    "sgd": Chosen(("momentum", "weight_decay"), "with Nesterov's momentum"),
    "muon": Chosen(_ADAMS, "Jordan 2024; Liu et al. 2025"),
    "lion": Chosen(("momentum", "decay", "weight_decay"), "Chen et al. 2023"),
    "lamb": Chosen(_ADAMS, "You et al. 2020"),
    "nadam": Chosen(_ADAMS, "Dozat 2016"),
}

LOSSES = {
    "cross_entropy": Chosen((), "of the softmax"),
    "binary_cross_entropy": Chosen((), "one class against the rest, as in Wightman et al. 2021"),
    "focal": Chosen(("focal_gamma",), "Lin et al. 2017, of the softmax"),
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


def _set_in_vain(values: Any, table: Mapping[str, Chosen], chosen: str) -> list[str]:
    defaults = {field.name: field.default for field in dataclasses.fields(values)}
    others = dict.fromkeys(key for line in table.values() for key in line.keys if key not in table[chosen].keys)
    return [key for key in others if getattr(values, key) != defaults[key]]
