"""Variants of an experiment, written behind its name or file: `food10:drop_block=4,lr=3e-4`.

A variant is a list of NAME=VALUE between commas, applied from left to right. NAME is one of OPTIONS, an option of the
experiment's own, or a key of the config (`model.blocks[3].kernel`). Blocks are counted from 1, as in the layer table.

Example:
    >>> import foodjax
    >>> config = foodjax.variants.apply(foodjax.load_config("food10"), "drop_block=4,lr=3e-4")
    >>> config.name, len(config.model.blocks)
    ('food10-drop_block=4-lr=3e-4', 3)
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from foodjax.config import keys, values
from foodjax.config.check import current_name, nearest
from foodjax.config.override import assign
from foodjax.system.errors import UserError

Draft = Any  # a ConfigDict, still to be checked: pyright cannot know its attributes


class Option(NamedTuple):
    """A short name for a change of the config.

    Attributes:
        example: a value, for the list of valid options.
        meaning: what it does, in a few words.
        change: change(config, text) applies it; raises ValueError with what is needed.
    """

    example: str
    meaning: str
    change: Callable[[Draft, str], None]


def _block_number(config: Draft, text: str) -> int:
    count = len(config.model.blocks)
    if not count:
        raise ValueError("model.blocks: the network has none")
    if not text.isdecimal() or not 1 <= int(text) <= count:
        raise ValueError(f"a block from 1 to {count}")
    return int(text)


def _drop_block(config: Draft, text: str) -> None:
    number = _block_number(config, text)
    config.model.blocks = config.model.blocks[: number - 1] + config.model.blocks[number:]


def _add_block(config: Draft, text: str) -> None:
    # A copy that keeps the picture's size, so that nothing but the added layers differs.
    number = _block_number(config, text)
    block = config.model.blocks[number - 1].copy_and_resolve_references()
    keeping = {"pool": 1, "patch": 1, "padding": ("SAME",) * len(block.get("padding", ()))}
    block.update({key: value for key, value in keeping.items() if key in block})
    config.model.blocks = (*config.model.blocks[:number], block, *config.model.blocks[number:])


def _blocks(config: Draft, text: str) -> None:
    config.model.blocks = config.model.blocks[: _block_number(config, text)]


def _pool(config: Draft, kind: str) -> None:
    if kind not in ("avg", "max", "flatten"):
        raise ValueError("avg, max or flatten, between the blocks and the head")
    config.model.head.pooling = "average" if kind == "avg" else kind


def _of_blocks(config: Draft, name: str, text: str) -> None:
    having = [i for i, block in enumerate(config.model.blocks) if name in block]
    if not having:
        raise ValueError(f"a network with a block that has a {name}")
    for i in having:
        assign(config, f"model.blocks[{i}].{name}", text)


def _kernel(config: Draft, text: str) -> None:
    _of_blocks(config, "kernel", text)


def _dropout(config: Draft, text: str) -> None:
    _of_blocks(config, "dropout", text)
    assign(config, "model.head.dropout", text)


def _lr(config: Draft, text: str) -> None:
    assign(config, "optimizer.learning_rate", text)


def augmentations() -> dict[str, list[str]]:
    """Returns the names of the augmentations, each with the keys whose defaults switch it off."""
    found: dict[str, list[str]] = {}
    for name, key in keys.table().items():
        if key.part:
            found.setdefault(key.part, []).append(name)
    return found


def _drop_augment(config: Draft, name: str) -> None:
    known = augmentations()
    renamed = keys.table().get(current_name(f"augment.{name}"))
    if renamed and renamed.was == f"augment.{name}":  # a variant written when the key had its old name
        name = renamed.part
    if name != "all" and name not in known:
        raise ValueError("one of " + ", ".join([*known, "all"]))
    for part in known if name == "all" else [name]:
        config.update_from_flattened_dict({key: keys.table()[key].default for key in known[part]})


OPTIONS = {
    "drop_block": Option("4", "leaves out a block", _drop_block),
    "add_block": Option("3", "adds a copy behind a block that keeps the picture's size", _add_block),
    "blocks": Option("3", "keeps the first blocks", _blocks),
    "pool": Option("avg", "avg, max or flatten, before the head", _pool),
    "kernel": Option("3", "side of the kernels of every block", _kernel),
    "dropout": Option("0.5", "of every block and of the head", _dropout),
    "lr": Option("3e-4", "`optimizer.learning_rate`", _lr),
    "drop_augment": Option("rotation", "leaves out one augmentation, or all", _drop_augment),
}


class Variant(NamedTuple):
    """A parsed variant.

    Attributes:
        text: as it was written.
        own: the value of each option of the experiment's own, given or default.
        changes: (name, text of the value) of the others, in order.
    """

    text: str
    own: dict[str, Any]
    changes: tuple[tuple[str, str], ...]


def parse(arg: str, **own: tuple[Any, ...]) -> Variant:
    """Parses what stands behind the colon of `--config FILE:VARIANT`.

    Args:
        arg: "drop_block=4,lr=3e-4"; commas inside brackets do not separate.
        **own: options that only this experiment has, each with its allowed values, the default first:
            `parse(arg, budget=("gpu", "cpu")).own["budget"]`.

    Raises:
        UserError: names what cannot be used and lists what can.
    """
    chosen, changes, seen = {name: allowed[0] for name, allowed in own.items()}, [], set()
    for item in filter(None, values.split(arg)):
        name, equals, text = item.partition("=")
        if not equals or not text:
            raise UserError(f"variant {item!r} is not NAME=VALUE: {_valid(own)}")
        if name in seen:
            raise UserError(f"variant {arg!r} has {name} twice: needs it once")
        seen.add(name)
        if name in own:
            value = values.literal(text)
            if value not in own[name]:
                raise UserError(f"variant {name} is {value!r}: needs one of {', '.join(map(str, own[name]))}")
            chosen[name] = value
        elif name in OPTIONS or "." in name or name in ("name", "seed"):
            changes.append((name, text))
        else:
            raise UserError(f"variant {name!r} is unknown{nearest(name, [*OPTIONS, *own])}: {_valid(own)}")
    return Variant(arg, chosen, tuple(changes))


def apply(config: Draft, variant: str | Variant) -> Draft:
    """Changes `config` as the variant says, names it after the variant, and returns it.

    Raises:
        UserError: names what cannot be used and says what is needed.
    """
    if isinstance(variant, str):
        variant = parse(variant)
    if variant.text:
        config.name += "-" + slug(variant.text)
    for name, text in variant.changes:
        if name in OPTIONS:
            try:
                OPTIONS[name].change(config, text)
            except ValueError as error:
                raise UserError(f"variant {name} is {values.literal(text)!r}: needs {error}") from None
        else:
            assign(config, name, text)
    return config


def slug(text: str) -> str:
    """Returns a variant as a part of a file name."""
    return re.sub(r"[^\w.=+-]+", "-", text).strip("-")


def _valid(own: dict[str, tuple[Any, ...]]) -> str:
    listed = [f"{name}={option.example}" for name, option in OPTIONS.items()]
    listed += [f"{name}={'|'.join(map(str, allowed))}" for name, allowed in own.items()]
    return "needs " + ", ".join(listed) + ", or a key of the config such as train.epochs=5"
