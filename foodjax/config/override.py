"""Sets one key of an experiment's config, from text or as a value: what overrides, variants and load_config share."""

import functools
import re
from typing import Any

from ml_collections import ConfigDict

from foodjax.config import keys, replaced, values
from foodjax.config.blocks import KINDS
from foodjax.config.check import current_name, flatten, nearest
from foodjax.config.key import Key, fields
from foodjax.system.errors import UserError

_BLOCKS = "model.blocks"
_BLOCK = re.compile(
    r"model\.blocks(?:\[(\d+)\]|\.(\d+))\.(\w+)"
)  # zsh expands [3]: model.blocks.3.kernel needs no quotes


def canonical(name: str) -> str:
    """Returns the name of a key as configs have it, given that, an older one, or model.blocks.3.kernel."""
    found = _BLOCK.fullmatch(name)
    return f"{_BLOCKS}[{int(found[1] or found[2])}].{found[3]}" if found else current_name(name)


def assign(config: Any, name: str, given: Any) -> None:
    """Sets a key, after a check of its value alone.

    Args:
        config: an experiment's ConfigDict, changed in place.
        name: of the key, dotted; a field of a block is model.blocks[3].kernel or model.blocks.3.kernel, from 0.
        given: text, which is read as the key's type says; or a value.

    Raises:
        UserError: there is no such key, or the value is none of its.
    """
    if name not in replaced.KEYS:  # `checked` converts them, all together
        name = canonical(name)
    if name == _BLOCKS:
        config.model.blocks = _to_blocks(given)
        return
    key, group, last = _find(config, name)
    value = given
    if isinstance(given, str):
        try:
            value = values.parse(given, key.type)
        except ValueError:
            raise UserError(f"{name} is {given[:200]!r}: needs {key.rule.needs}") from None
    if isinstance(value, list):
        value = tuple(tuple(x) if isinstance(x, list) else x for x in value)
    if key.type is float and type(value) is int:
        value = float(value)
    if not key.rule.accepts(value):
        raise UserError(f"{name} is {value!r}: needs {key.rule.needs}")
    with group.ignore_type(), group.unlocked():  # a 0 in an experiment makes no key an integer
        group[last] = value


def _find(config: Any, name: str) -> tuple[Key, Any, str]:
    """Returns what is known of a key, the group that it lies in, and its last name."""
    block = _BLOCK.fullmatch(name)
    if block is None and name in (table := keys.table() | replaced.KEYS):
        *path, last = name.split(".")
        return table[name], functools.reduce(lambda group, part: group[part], path, config), last
    if block is not None and int(block[1]) < len(config.model.blocks):
        group = config.model.blocks[int(block[1])]
        known = fields(KINDS[group["kind"]]) if group.get("kind") in KINDS else {}
        if block[3] in known:
            return known[block[3]], group, block[3]
    known = dict(flatten(config)) | keys.table()
    raise UserError(f"config has no key {name!r}{nearest(name, known)}")


def _to_blocks(given: Any) -> tuple[ConfigDict, ...]:
    found = values.literal(given) if isinstance(given, str) else given
    if not isinstance(found, list | tuple) or not all(isinstance(block, dict | ConfigDict) for block in found):
        raise UserError(f"{_BLOCKS} is {str(given)[:200]!r}: needs a tuple of blocks such as {{'kind': 'stem', ...}}")
    return tuple(block if isinstance(block, ConfigDict) else ConfigDict(block) for block in found)
