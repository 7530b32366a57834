"""docs/config.md, made from the keys: `python -m foodjax.config.docs > docs/config.md`."""

from typing import Any

from foodjax.config.blocks import KINDS
from foodjax.config.key import REQUIRED, Key, fields
from foodjax.config.keys import table
from foodjax.config.variants import OPTIONS, augmentations

_TOP = """# Config

Made by `python -m foodjax.config.docs > docs/config.md`; `foodjax help KEY` says the same of one key. Any key can be
set on the command line as `--config.KEY=VALUE`, or in an experiment as `config.KEY = VALUE`. The defaults change
nothing; what an experiment sets stands in its file.

On the command line a value is `true`, a number or text as it is; a tuple has commas, `0.5,1.0`, and a tuple of pairs
colons too, `0:48,20:64`; nothing at all is an empty tuple. A text with a comma inside a tuple has quotes. A pattern
of paths has a `*`, which needs quotes in a shell: `'--config.optimizer.rates=block1/*:0.1,logits/*:10'`. Python's own
spelling, such as `'(0.5, 1.0)'`, is read too.

Scope says what a key belongs to. *experiment*: two runs of one experiment agree in it. *evaluation*: that too, but an
evaluation may change it. *place*: where things lie and how much of a machine is used; runs of one experiment
may differ in it, as photographs are known by their content. *execution*: how far and how fast a run goes, and
where it is shown; they may differ in it too.

| key | default | values | unit | meaning | scope |
|---|---|---|---|---|---|
"""
_BLOCKS = """
## Blocks

`model.blocks` is a tuple of blocks, each with its `kind` and the fields of that kind.

| kind | field | values | unit | meaning |
|---|---|---|---|---|
"""
_VARIANTS = """
## Variants

Behind an experiment stands its variant, NAME=VALUE between commas, applied from left to right:
`food10:drop_block=4,lr=3e-4`. Blocks count from 1, as in the layer table; a wrong name lists the valid ones. NAME may
also be any key of the config, such as `model.blocks[3].kernel=3`, where blocks count from 0; a tuple has brackets
there.

| variant | does |
|---|---|
"""


def to_markdown() -> str:
    """Returns the whole page."""
    text = _TOP
    for name, key in table().items():
        text += _row(f"`{name}`", _value(key.default), key.rule.needs, key.unit, _meaning(key), key.scope)
    text += _BLOCKS
    for kind, cls in KINDS.items():
        for name, key in fields(cls).items():
            default = "" if key.default is REQUIRED else f"; default {_value(key.default)}"
            text += _row(f"`{kind}`", f"`{name}`", key.rule.needs, key.unit, key.meaning + default)
    text += _VARIANTS
    for name, option in OPTIONS.items():
        parts = f": {', '.join(augmentations())}" if name == "drop_augment" else ""
        text += _row(f"`{name}={option.example}`", option.meaning + parts)
    return text


def _meaning(key: Key) -> str:
    return key.meaning + (f" (once `{key.was}`)" if key.was else "")


def _value(value: Any) -> str:
    return f"`{value!r}`" if value != "" else "empty"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    print(to_markdown(), end="")
