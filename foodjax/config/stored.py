"""The config that a workdir keeps: JSON of every value with a format number, readable by every later foodjax.

A key says in its field since which format it exists and what a run did before. Configs without a number are of format
0: keys of one format are then all there or all missing.
"""

import json
from typing import Any

from foodjax.config import keys, replaced
from foodjax.config.blocks import KINDS, Block, Conv
from foodjax.config.check import from_leaves, leaves, rename_old, tree
from foodjax.config.key import Key, fields
from foodjax.config.keys import Config
from foodjax.system.errors import UserError, first_line

_FIRST_NUMBERED = 7


def current_format() -> int:
    """Returns the format that is written: the one of the newest key or field of a block."""
    known = [*keys.table().values(), *(key for kind in KINDS.values() for key in fields(kind).values())]
    return max(_FIRST_NUMBERED, *(key.since for key in known))


def to_json(config: Config) -> str:
    """Returns the config as JSON text."""
    return json.dumps({"format": current_format()} | tree(config), indent=2) + "\n"


def parse(text: str) -> dict[str, Any]:
    """Reads the JSON of a config, whole or not; lists become tuples.

    Raises:
        UserError: the text is not the JSON of a config.
    """

    def tuples(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: tuples(item) for name, item in value.items()}
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    try:
        config = tuples(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise UserError(f"not a stored config: {first_line(error)}") from None
    if not isinstance(config, dict):
        raise UserError(f"not a stored config: {text[:40]!r}")
    return config


def complete(stored: dict[str, Any]) -> Config:
    """Returns the typed config of what `parse` read, with the keys that came later at what was done before them.

    Raises:
        UserError: names the keys that are missing still, or the one that is unknown, or out of range.
    """
    stored = dict(stored)
    number = stored.pop("format", 0)
    if type(number) is not int or not 0 <= number <= current_format():
        raise UserError(f"its format is {number!r}: this foodjax reads formats up to {current_format()}")
    try:
        found = rename_old(dict(leaves(stored)))
    except RecursionError as error:
        raise UserError(f"not a stored config: {first_line(error)}") from None
    found = replaced.convert(_later(keys.table(), number, found))
    blocks = found.get("model.blocks", ())
    if isinstance(blocks, tuple) and all(isinstance(block, dict) for block in blocks):
        if number == 0 and not any("kind" in block for block in blocks):
            blocks = tuple({"kind": Conv.kind} | block for block in blocks)
        found["model.blocks"] = tuple(_complete_block(block, number) for block in blocks)
    missing = [name for name in keys.table() if name not in found]
    missing += _missing_fields(found.get("model.blocks"))
    if missing:
        raise UserError(f"it lacks {', '.join(missing)}")
    return from_leaves(found)


def _missing_fields(blocks: Any) -> list[str]:
    """Returns the fields that blocks of known kinds lack; an experiment may leave out those with a default."""
    if not isinstance(blocks, tuple) or not all(isinstance(block, dict) for block in blocks):
        return []
    kinds = [(i, block, _kind(block)) for i, block in enumerate(blocks)]
    return [f"model.blocks[{i}].{name}" for i, b, kind in kinds if kind for name in fields(kind) if name not in b]


def _kind(block: dict[str, Any]) -> type[Block] | None:
    kind = block.get("kind")
    return KINDS.get(kind) if isinstance(kind, str) else None


def _complete_block(block: dict[str, Any], number: int) -> dict[str, Any]:
    kind = _kind(block)
    return _later(fields(kind), number, block) if kind else block


def _later(known: dict[str, Key], number: int, found: dict[str, Any]) -> dict[str, Any]:
    """Returns the values with those of the keys that came after format `number`."""
    came: dict[int, list[str]] = {}
    for name, key in known.items():
        came.setdefault(key.since, []).append(name)
    added = {}
    for since, names in came.items():
        # Format 0 says nothing of the keys up to the first number: what came together is missing together.
        if since > number and not (number == 0 and any(name in found for name in names)):
            added |= {name: known[name].before for name in names}
    return added | found


def from_json(text: str) -> Config:
    """Reads the JSON of a valid config, of this foodjax or an older one.

    Raises:
        UserError: as `parse` and `complete` do.
    """
    return complete(parse(text))
