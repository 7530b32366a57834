"""The keys of a config, and which values make sense of each. Values live in `experiments/`."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple


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


def integer(low: int) -> Rule:
    """Returns the rule of the integers >= `low`."""
    return Rule(lambda v: _is_int(v) and v >= low, f"an integer >= {low}")


def number(low: float, high: float, words: str) -> Rule:
    """Returns the rule of the numbers from `low` to `high`; `words` tell the range."""
    return Rule(lambda v: _is_number(v) and low <= v <= high, f"a number {words}")


def choice(*names: str) -> Rule:
    """Returns the rule that the value is one of `names`."""
    return Rule(lambda v: v in names, "one of " + ", ".join(names))


def tuple_of(rule: Rule, words: str) -> Rule:
    """Returns the rule of tuples whose members all keep `rule`; `words` tell what those are."""
    return Rule(lambda v: isinstance(v, tuple) and all(rule.accepts(x) for x in v), f"a tuple of {words}")


TEXT = Rule(lambda v: isinstance(v, str), "text")
NAME = Rule(lambda v: isinstance(v, str) and v != "" and "/" not in v, "a name without '/'")
BOOL = Rule(lambda v: isinstance(v, bool), "true or false")
FRACTION = Rule(lambda v: _is_number(v) and 0 <= v < 1, "a number in [0, 1)")
POSITIVE = Rule(lambda v: _is_number(v) and v > 0, "a number > 0")

SCHEMA: dict[str, Rule] = {
    "name": NAME,
    "seed": Rule(lambda v: _is_int(v) and 0 <= v < 2**31, "an integer in [0, 2**31)"),
    "data.backend": choice("tf", "device"),
    "data.source": choice("tfds", "drawn"),
    "data.dir": TEXT,
    "data.tfds_name": TEXT,
    "data.tfds_dir": TEXT,
    "data.num_classes": integer(0),
    "data.class_names": tuple_of(TEXT, "class names"),
    "data.image_size": integer(1),
    "data.resize": choice("nearest", "bilinear", "bicubic", "lanczos", "box"),
    "data.protocol": choice("holdout", "tutorial"),
    "data.validation_fraction": Rule(lambda v: _is_number(v) and 0 < v < 1, "a number in (0, 1)"),
    "data.train_per_class": integer(0),
    "data.batch_size": integer(1),
    "data.eval_batch_size": integer(1),
    "data.on_error": choice("stop", "skip"),
    "data.cache_dir": TEXT,
    "data.drawn_train": integer(1),
    "data.drawn_test": integer(1),
    "augment.rotation": number(0, 180, "of degrees in [0, 180]"),
    "augment.shift_rows": number(0, 1, "in [0, 1]"),
    "augment.shift_columns": number(0, 1, "in [0, 1]"),
    "augment.brightness": Rule(lambda v: _is_pair(v) and 0 <= v[0] <= v[1], "a pair (low, high) with 0 <= low <= high"),
    "augment.flip_horizontal": BOOL,
    "augment.flip_vertical": BOOL,
    "augment.crop_area": Rule(
        lambda v: _is_pair(v) and 0 < v[0] <= v[1] <= 1, "a pair (low, high) with 0 < low <= high <= 1"
    ),
    "augment.crop_aspect": Rule(lambda v: _is_number(v) and v >= 1, "a number >= 1"),
    "augment.contrast": number(0, 1, "in [0, 1]"),
    "augment.saturation": number(0, 1, "in [0, 1]"),
    "augment.hue": number(0, 180, "of degrees in [0, 180]"),
    "augment.random_ops": integer(0),
    "augment.random_strength": number(0, 1, "in [0, 1]"),
    "augment.cutout": number(0, 1, "in [0, 1]"),
    "augment.mixup": number(0, 1, "in [0, 1]"),
    "augment.mixup_alpha": POSITIVE,
    "augment.cutmix": number(0, 1, "in [0, 1]"),
    "augment.cutmix_alpha": POSITIVE,
    "model.init_from": TEXT,
    "model.dtype": choice("float32", "bfloat16"),
    "model.input_size": integer(0),
    "model.activation": choice("relu", "gelu", "silu"),
    "model.norm": choice("none", "batch", "group"),
    "model.norm_momentum": FRACTION,
    "model.norm_groups": integer(1),
    "model.head.pooling": choice("flatten", "average", "max"),
    "model.head.hidden": tuple_of(integer(1), "integers >= 1"),
    "model.head.dropout": FRACTION,
    "optimizer.name": choice("rmsprop", "adamw", "sgd", "muon"),
    "optimizer.learning_rate": POSITIVE,
    "optimizer.lower_blocks": integer(0),
    "optimizer.lower_rate": number(0, 1, "in [0, 1]"),
    "optimizer.schedule": choice("constant", "cosine", "one_cycle"),
    "optimizer.warmup": FRACTION,
    "optimizer.final_rate": number(0, 1, "in [0, 1]"),
    "optimizer.momentum": FRACTION,
    "optimizer.decay": FRACTION,
    "optimizer.epsilon": POSITIVE,
    "optimizer.weight_decay": Rule(lambda v: _is_number(v) and v >= 0, "a number >= 0"),
    "optimizer.clip_norm": Rule(lambda v: _is_number(v) and v >= 0, "a number >= 0"),
    "train.epochs": integer(1),
    "train.steps_per_dispatch": integer(1),
    "train.patience": integer(0),
    "train.label_smoothing": FRACTION,
    "train.class_weights": tuple_of(POSITIVE, "numbers > 0, one for each class"),
    "train.ema_decay": FRACTION,
    "train.sizes": Rule(_are_sizes, "pairs (epoch, pixels) with rising epochs, the first of them 0"),
    "eval.size": integer(0),
    "eval.crop_area": Rule(lambda v: _is_number(v) and 0 < v <= 1, "a number in (0, 1]"),
    "eval.flip": BOOL,
    "eval.calibrate": BOOL,
    "checkpoint.every_steps": integer(0),
    "checkpoint.every_minutes": number(0, math.inf, ">= 0"),
}

# Of each kind of block; the keys are the fields of its class in models/blocks.py, which a test holds.
BLOCK_SCHEMAS: dict[str, dict[str, Rule]] = {
    "conv": {
        "features": integer(1),
        "kernel": integer(1),
        "padding": Rule(
            lambda v: isinstance(v, tuple) and len(v) > 0 and set(v) <= {"SAME", "VALID"},
            "a tuple of 'SAME' or 'VALID', one for each convolution",
        ),
        "pool": integer(1),
        "dropout": FRACTION,
    },
    "stem": {"features": integer(1), "patch": integer(1), "kernel": integer(1)},
    "residual": {"features": integer(1), "pool": integer(1), "depth": integer(0), "dropout": FRACTION},
    "resnet_stem": {"features": integer(1)},
    "resnet": {
        "features": integer(1),
        "stride": Rule(lambda v: _is_int(v) and v in (1, 2), "1 or 2"),
        "depth": integer(1),
    },
}
