"""Keys that another key has replaced: runs, experiments and commands that have them are still understood.

A key that was only renamed has its old name in its field, `was`.
"""

from dataclasses import dataclass
from typing import Any

from foodjax.config import values
from foodjax.config.key import Key, fields, key
from foodjax.config.rules import UNIT, integer
from foodjax.system.errors import UserError

_BLOCKS, _RATE, _RATES = "optimizer.lower_blocks", "optimizer.lower_rate", "optimizer.rates"


@dataclass(frozen=True)
class _Optimizer:
    lower_blocks: int = key(0, integer(0), "blocks", "the first ones, which learn at `optimizer.lower_rate`", since=4)
    lower_rate: float = key(0.0, UNIT, "of learning_rate", "rate of the first blocks; 0 freezes them", since=4)


# Their fields as they were, and the key that has replaced each.
KEYS: dict[str, Key] = {f"optimizer.{name}": about for name, about in fields(_Optimizer).items()}
BY = {_BLOCKS: _RATES, _RATE: _RATES}


def convert(found: dict[str, Any]) -> dict[str, Any]:
    """Returns values, by their dotted names, with `optimizer.rates` in the place of lower_blocks and lower_rate.

    Raises:
        UserError: a value is out of range, or `optimizer.rates` is set to something else as well.
    """
    given = {name: found[name] for name in KEYS if name in found}
    if not given:
        return found
    for name, value in given.items():
        if not KEYS[name].rule.accepts(value):
            raise UserError(f"{name} is {value!r}: needs {KEYS[name].rule.needs}")
    found = {name: value for name, value in found.items() if name not in KEYS}
    blocks, rate = (given.get(name, KEYS[name].default) for name in KEYS)
    listed = found.get("model.blocks")
    if isinstance(listed, tuple | list):
        blocks = min(blocks, len(listed))  # lower_blocks could be more than there are, and rates match something
    table = tuple((f"block{i}/*", float(rate)) for i in range(1, blocks + 1))
    if found.get(_RATES, ()) not in ((), table):
        both = " and ".join(given)
        raise UserError(
            f"config has {_RATES}={values.spell(found[_RATES])!r} and {both}, which it replaces: needs {_RATES} alone"
        )
    return found | {_RATES: table}
