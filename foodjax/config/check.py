"""What a config must hold: every key, its type and its range, checked before any work is done.

`schema` knows which values make sense. Neither imports jax or tf.
"""

import difflib
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from foodjax.config.keys import BLOCK_SCHEMAS, SCHEMA, Rule, choice
from foodjax.system.errors import UserError

# Where things lie, how batches get to the device, how long to go on, and how fast to evaluate: none of these makes
# another experiment.
# A schedule that ends ends with the last epoch: then the number of epochs is part of the experiment.
NOT_IDENTITY = (
    "data.cache_dir", "data.tfds_dir", "data.backend", "data.eval_batch_size", "train.steps_per_dispatch",
    "train.epochs", "checkpoint.every_steps", "checkpoint.every_minutes",
)  # fmt: skip


def flatten(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (dotted key, value) of every leaf; blocks appear as model.blocks[0].features."""
    for key in config:
        path, value = f"{prefix}{key}", config[key]
        if isinstance(value, (ConfigDict, dict)):
            yield from flatten(value, path + ".")
        elif isinstance(value, (tuple, list)) and value and all(isinstance(x, (ConfigDict, dict)) for x in value):
            for i, item in enumerate(value):
                yield from flatten(item, f"{path}[{i}].")
        else:
            yield path, value


def nearest(name: str, valid: Any) -> str:
    """Returns "; did you mean 'x'?" for the valid name most like `name`, or nothing."""
    match = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""


def _accepts(rule: Rule, value: Any) -> bool:
    try:
        return bool(rule.accepts(value))
    except (TypeError, ValueError, OverflowError):  # of a kind, or a size, that cannot even be compared
        return False


def rules_of(config: Any) -> dict[str, Rule]:
    """Returns the rule of every key that `config` must have; its blocks, by their kind, tell which those are.

    Raises:
        UserError: it has no blocks, or one of an unknown kind.
    """
    model = config.get("model", None)
    blocks = model.get("blocks", None) if isinstance(model, (ConfigDict, dict)) else None
    if not isinstance(blocks, (tuple, list)) or not all(isinstance(b, (ConfigDict, dict)) for b in blocks):
        raise UserError(f"model.blocks is {blocks!r}: needs a tuple of blocks")
    rules, kind = dict(SCHEMA), choice(*BLOCK_SCHEMAS)
    for i, block in enumerate(blocks):
        if not _accepts(kind, block.get("kind", None)):
            raise UserError(f"model.blocks[{i}].kind is {block.get('kind', 'absent')!r}: needs {kind.needs}")
        own = {"kind": kind} | BLOCK_SCHEMAS[block["kind"]]
        rules.update({f"model.blocks[{i}].{key}": rule for key, rule in own.items()})
    return rules


def validate(config: Any) -> None:
    """Checks that `config` has exactly the known keys, each with a value in range.

    Raises:
        UserError: names the key, the value, and what is needed.
    """
    rules, found = rules_of(config), dict(flatten(config))
    found.pop("model.blocks", None)  # an empty tuple of blocks is a leaf
    for key in found:
        if key not in rules:
            raise UserError(f"config has no key {key!r}{nearest(key, rules)}")
    for key, rule in rules.items():
        if key not in found:
            raise UserError(f"config lacks {key!r}: needs {rule.needs}")
        if not _accepts(rule, found[key]):
            raise UserError(f"{key} is {found[key]!r}: needs {rule.needs}")


def input_size(config: Any) -> int:
    """Returns the side of the pictures that the network trains on, pixels."""
    return config.model.input_size or config.data.image_size


def difference(ours: Any, theirs: Any, ignore: tuple[str, ...] = NOT_IDENTITY) -> str | None:
    """Returns the first key in which two configs differ, with both values, or None."""
    a, b = dict(flatten(ours)), dict(flatten(theirs))
    if a.get("optimizer.schedule", "constant") != "constant":
        ignore = tuple(key for key in ignore if key != "train.epochs")
    for key in sorted(a.keys() | b.keys()):
        if key not in ignore and a.get(key, "absent") != b.get(key, "absent"):
            return f"{key} is {a.get(key, 'absent')!r} here and {b.get(key, 'absent')!r} there"
    return None


def of_state(config: Any) -> dict[str, Any]:
    """Returns the values that a state before the first step is made of; dropout and dtype come into play later."""
    own = ("seed", "data.image_size", "optimizer.name", "train.ema_decay")
    return {
        key: value
        for key, value in flatten(config)
        if key in own or (key.startswith("model.") and not key.endswith((".dropout", ".dtype")))
    }
