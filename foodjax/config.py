"""What a config must hold: every key, its type and its range, checked before any work is done.

Values live in `experiments/`; this module knows which values make sense. It imports neither jax nor tf.
"""

import difflib
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from foodjax.errors import UserError


class Rule(NamedTuple):
    """A test of one value and the words that complete "needs ..."."""

    accepts: Callable[[Any], bool]
    needs: str


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))


def _are_sizes(value: Any) -> bool:
    """Tells whether `value` is ((0, side), (epoch, side), ...) with rising epochs."""
    if not isinstance(value, tuple) or not all(
        isinstance(x, tuple) and len(x) == 2 and all(map(_is_int, x)) and x[1] > 0 for x in value
    ):
        return False
    epochs = [epoch for epoch, _ in value]
    return epochs[:1] in ([], [0]) and epochs == sorted(set(epochs))


def _integer(low: int) -> Rule:
    return Rule(lambda v: _is_int(v) and v >= low, f"an integer >= {low}")


def _number(low: float, high: float, words: str) -> Rule:
    return Rule(lambda v: _is_number(v) and low <= v <= high, f"a number {words}")


def _choice(*names: str) -> Rule:
    return Rule(lambda v: v in names, "one of " + ", ".join(names))


def _tuple_of(rule: Rule, words: str) -> Rule:
    return Rule(lambda v: isinstance(v, tuple) and all(rule.accepts(x) for x in v), f"a tuple of {words}")


_TEXT = Rule(lambda v: isinstance(v, str), "text")
_NAME = Rule(lambda v: isinstance(v, str) and v != "" and "/" not in v, "a name without '/'")
_BOOL = Rule(lambda v: isinstance(v, bool), "true or false")
_FRACTION = Rule(lambda v: _is_number(v) and 0 <= v < 1, "a number in [0, 1)")
_POSITIVE = Rule(lambda v: _is_number(v) and v > 0, "a number > 0")

SCHEMA: dict[str, Rule] = {
    "name": _NAME,
    "seed": Rule(lambda v: _is_int(v) and 0 <= v < 2**31, "an integer in [0, 2**31)"),
    "data.backend": _choice("tf", "device"),
    "data.source": _choice("tfds", "drawn"),
    "data.dir": _TEXT,
    "data.tfds_name": _TEXT,
    "data.tfds_dir": _TEXT,
    "data.num_classes": _integer(0),
    "data.class_names": _tuple_of(_TEXT, "class names"),
    "data.image_size": _integer(1),
    "data.resize": _choice("nearest", "bilinear", "bicubic", "lanczos", "box"),
    "data.protocol": _choice("holdout", "tutorial"),
    "data.validation_fraction": Rule(lambda v: _is_number(v) and 0 < v < 1, "a number in (0, 1)"),
    "data.train_per_class": _integer(0),
    "data.batch_size": _integer(1),
    "data.eval_batch_size": _integer(1),
    "data.on_error": _choice("stop", "skip"),
    "data.cache_dir": _TEXT,
    "data.drawn_train": _integer(1),
    "data.drawn_test": _integer(1),
    "augment.rotation": _number(0, 180, "of degrees in [0, 180]"),
    "augment.shift_rows": _number(0, 1, "in [0, 1]"),
    "augment.shift_columns": _number(0, 1, "in [0, 1]"),
    "augment.brightness": Rule(lambda v: _is_pair(v) and 0 <= v[0] <= v[1], "a pair (low, high) with 0 <= low <= high"),
    "augment.flip_horizontal": _BOOL,
    "augment.flip_vertical": _BOOL,
    "augment.crop_area": Rule(
        lambda v: _is_pair(v) and 0 < v[0] <= v[1] <= 1, "a pair (low, high) with 0 < low <= high <= 1"
    ),
    "augment.crop_aspect": Rule(lambda v: _is_number(v) and v >= 1, "a number >= 1"),
    "augment.contrast": _number(0, 1, "in [0, 1]"),
    "augment.saturation": _number(0, 1, "in [0, 1]"),
    "augment.hue": _number(0, 180, "of degrees in [0, 180]"),
    "augment.random_ops": _integer(0),
    "augment.random_strength": _number(0, 1, "in [0, 1]"),
    "augment.cutout": _number(0, 1, "in [0, 1]"),
    "augment.mixup": _number(0, 1, "in [0, 1]"),
    "augment.mixup_alpha": _POSITIVE,
    "augment.cutmix": _number(0, 1, "in [0, 1]"),
    "augment.cutmix_alpha": _POSITIVE,
    "model.init_from": _TEXT,
    "model.dtype": _choice("float32", "bfloat16"),
    "model.input_size": _integer(0),
    "model.activation": _choice("relu", "gelu", "silu"),
    "model.norm": _choice("none", "batch", "group"),
    "model.norm_momentum": _FRACTION,
    "model.norm_groups": _integer(1),
    "model.head.pooling": _choice("flatten", "average", "max"),
    "model.head.hidden": _tuple_of(_integer(1), "integers >= 1"),
    "model.head.dropout": _FRACTION,
    "optimizer.name": _choice("rmsprop", "adamw", "sgd", "muon"),
    "optimizer.learning_rate": _POSITIVE,
    "optimizer.lower_blocks": _integer(0),
    "optimizer.lower_rate": _number(0, 1, "in [0, 1]"),
    "optimizer.schedule": _choice("constant", "cosine", "one_cycle"),
    "optimizer.warmup": _FRACTION,
    "optimizer.final_rate": _number(0, 1, "in [0, 1]"),
    "optimizer.momentum": _FRACTION,
    "optimizer.decay": _FRACTION,
    "optimizer.epsilon": _POSITIVE,
    "optimizer.weight_decay": Rule(lambda v: _is_number(v) and v >= 0, "a number >= 0"),
    "optimizer.clip_norm": Rule(lambda v: _is_number(v) and v >= 0, "a number >= 0"),
    "train.epochs": _integer(1),
    "train.steps_per_dispatch": _integer(1),
    "train.patience": _integer(0),
    "train.label_smoothing": _FRACTION,
    "train.class_weights": _tuple_of(_POSITIVE, "numbers > 0, one for each class"),
    "train.ema_decay": _FRACTION,
    "train.sizes": Rule(_are_sizes, "pairs (epoch, pixels) with rising epochs, the first of them 0"),
    "eval.size": _integer(0),
    "eval.crop_area": Rule(lambda v: _is_number(v) and 0 < v <= 1, "a number in (0, 1]"),
    "eval.flip": _BOOL,
    "eval.calibrate": _BOOL,
    "checkpoint.every_steps": _integer(0),
    "checkpoint.every_minutes": _number(0, math.inf, ">= 0"),
}

# Of each kind of block; the keys are the fields of its class in foodjax.blocks, which a test holds.
BLOCK_SCHEMAS: dict[str, dict[str, Rule]] = {
    "conv": {
        "features": _integer(1),
        "kernel": _integer(1),
        "padding": Rule(
            lambda v: isinstance(v, tuple) and len(v) > 0 and set(v) <= {"SAME", "VALID"},
            "a tuple of 'SAME' or 'VALID', one for each convolution",
        ),
        "pool": _integer(1),
        "dropout": _FRACTION,
    },
    "stem": {"features": _integer(1), "patch": _integer(1), "kernel": _integer(1)},
    "residual": {"features": _integer(1), "pool": _integer(1), "depth": _integer(0), "dropout": _FRACTION},
    "resnet_stem": {"features": _integer(1)},
    "resnet": {
        "features": _integer(1),
        "stride": Rule(lambda v: _is_int(v) and v in (1, 2), "1 or 2"),
        "depth": _integer(1),
    },
}

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
    rules, kind = dict(SCHEMA), _choice(*BLOCK_SCHEMAS)
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
