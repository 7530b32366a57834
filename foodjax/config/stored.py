"""The config that a workdir keeps: JSON of every value, readable by every later foodjax. Imports neither jax nor tf."""

import json
from typing import Any

from ml_collections import ConfigDict

from foodjax.config.check import flatten, rules_of, validate
from foodjax.system.errors import UserError, first_line

# A config that was stored before these keys were there. Its run did what the values say: each is that of
# experiments/food10.py, where it leaves out what came with the key. What came together is missing together, or was
# taken out by hand. Whoever adds a key to the config adds it here.
ADDED_LATER: tuple[dict[str, Any], ...] = (
    {"data.tfds_dir": ""},
    {"checkpoint.every_steps": 0, "checkpoint.every_minutes": 10.0},
    {
        "augment.crop_area": (1.0, 1.0), "augment.crop_aspect": 1.0, "augment.contrast": 0.0,
        "augment.saturation": 0.0, "augment.hue": 0.0, "augment.random_ops": 0, "augment.random_strength": 0.5,
        "augment.cutout": 0.0, "augment.mixup": 0.0, "augment.mixup_alpha": 0.2, "augment.cutmix": 0.0,
        "augment.cutmix_alpha": 1.0, "model.input_size": 0, "model.activation": "relu", "model.norm": "none",
        "model.norm_momentum": 0.9, "model.norm_groups": 8, "optimizer.schedule": "constant", "optimizer.warmup": 0.0,
        "optimizer.final_rate": 0.0, "optimizer.momentum": 0.0, "optimizer.weight_decay": 0.0,
        "optimizer.clip_norm": 0.0, "train.label_smoothing": 0.0, "train.class_weights": (), "train.ema_decay": 0.0,
        "train.sizes": (), "eval.size": 0, "eval.crop_area": 1.0, "eval.flip": False,
    },
    {"data.train_per_class": 0, "model.init_from": "", "optimizer.lower_blocks": 0, "optimizer.lower_rate": 0.0},
    {"data.backend": "tf", "model.dtype": "float32", "train.steps_per_dispatch": 8},
    {"eval.calibrate": False},
)  # fmt: skip
_BLOCK = {"kind": "conv"}  # of blocks before there were others


def to_json(config: Any) -> str:
    """Returns the config as JSON text."""

    def plain(value):
        if isinstance(value, (ConfigDict, dict)):
            return {key: plain(value[key]) for key in value}
        return [plain(x) for x in value] if isinstance(value, (tuple, list)) else value

    return json.dumps(plain(config), indent=2) + "\n"


def parse(text: str) -> ConfigDict:
    """Reads what `to_json` wrote; lists become tuples again.

    Raises:
        UserError: the text is not the JSON of a config, whole or not.
    """

    def rich(value):
        if isinstance(value, dict):
            return ConfigDict({key: rich(item) for key, item in value.items()})
        return tuple(rich(x) for x in value) if isinstance(value, list) else value

    try:
        config = rich(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"not a stored config: {first_line(error)}") from None
    if not isinstance(config, ConfigDict):
        raise UserError(f"not a stored config: {text[:40]!r}")
    return config


def complete(config: ConfigDict) -> ConfigDict:
    """Gives a parsed config what an older foodjax did not know, in place, and returns it when it is valid then.

    Raises:
        UserError: names the keys that are missing still, or the one that is unknown, or out of range.
    """
    found = dict(flatten(config))
    for group in ADDED_LATER:
        if not group.keys() & found.keys():
            for key, value in group.items():
                _set(config, key, value)
    blocks = _blocks(config)
    if not any("kind" in block for block in blocks):
        for block in blocks:
            block.update(_BLOCK)
    missing = [key for key in rules_of(config) if key not in dict(flatten(config))]
    if missing:
        raise UserError(f"it lacks {', '.join(missing)}")
    validate(config)
    return config


def _set(config: Any, key: str, value: Any) -> None:
    first, _, rest = key.partition(".")
    if not isinstance(config, ConfigDict):
        return  # of no config that was ever valid; what lacks the key is told
    if not rest:
        if first not in config:  # an empty group in its place stays, and is told as a missing key
            config[first] = value
        return
    if first not in config:
        config[first] = ConfigDict()
    _set(config[first], rest, value)


def _blocks(config: ConfigDict) -> list[ConfigDict]:
    model = config.get("model", None)
    blocks = model.get("blocks", ()) if isinstance(model, ConfigDict) else ()
    return [block for block in blocks if isinstance(block, ConfigDict)] if isinstance(blocks, tuple) else []


def from_json(text: str) -> ConfigDict:
    """Reads the JSON of a valid config, of this foodjax or an older one.

    Raises:
        UserError: as `parse` and `complete` do.
    """
    return complete(parse(text))
