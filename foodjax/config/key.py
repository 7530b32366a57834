"""One key of a config: default, rule, unit, meaning, history and scope, written once as a field of a dataclass.

    blur: float = key(0.0, UNIT, "of the side", "largest standard deviation of a Gaussian blur", since=8)

Everything else is derived from the fields: the defaults, validation, docs/config.md, what a run means that was stored
before the key existed, what makes two runs the same experiment, and what an evaluation may change.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_type_hints

from foodjax.config.rules import Rule

# Scope        part of a run's identity   an evaluation may change it
# experiment   yes                        no
# evaluation   yes                        yes
# place        no                         yes   where things lie on this machine, and how much of it is used
# execution    no                         no    how far and how fast the run goes
# The photographs are part of the identity by their content, see workdir/data_check.py.
Scope = Literal["experiment", "evaluation", "place", "execution"]


class Key(NamedTuple):
    """What is known of a key beside its default and type.

    Attributes:
        rule: which values it takes.
        unit: of its value, in a few words; "" for none.
        meaning: in a line.
        since: the format of stored configs in which it appeared; see `stored.FORMAT`.
        before: its value in a run that was stored before it existed.
        was: its name in older formats, "group.key"; "" when it was never renamed.
        scope: what it belongs to.
        shapes_state: whether the state before the first step depends on it.
        part: of augment: name of the augmentation that its default switches off; "" for keys that only tune one.
        default: its default, or REQUIRED.
        type: of its value, such as tuple[float, float].
    """

    rule: Rule
    unit: str
    meaning: str
    since: int
    before: Any
    was: str
    scope: Scope
    shapes_state: bool
    part: str
    default: Any
    type: Any = None


REQUIRED = dataclasses.MISSING


def key(
    default: Any,
    rule: Rule,
    unit: str,
    meaning: str,
    *,
    since: int = 0,
    before: Any = REQUIRED,
    was: str = "",
    scope: Scope = "experiment",
    shapes_state: bool = False,
    part: str = "",
) -> Any:
    """Returns the dataclass field of a key; the arguments are the attributes of `Key`.

    Without `before` a run that was stored before the key existed has its default.
    """
    assert default is REQUIRED or rule.accepts(default), f"default {default!r}: {meaning} needs {rule.needs}"
    before = default if before is REQUIRED else before
    about = Key(rule, unit, meaning, since, before, was, scope, shapes_state, part, default)
    return dataclasses.field(default=default, metadata={"key": about})


def fields(cls: type) -> dict[str, Key]:
    """Returns the keys of a group or of a kind of block, by their names."""
    types = get_type_hints(cls)
    return {
        f.name: f.metadata["key"]._replace(type=types[f.name]) for f in dataclasses.fields(cls) if "key" in f.metadata
    }


def groups(cls: type) -> dict[str, type]:
    """Returns the groups of keys inside a config or a group, by their names."""
    types = get_type_hints(cls)
    return {f.name: types[f.name] for f in dataclasses.fields(cls) if dataclasses.is_dataclass(types[f.name])}


def walk(cls: type, prefix: str = "") -> Iterator[tuple[str, Key]]:
    """Yields (dotted name, key) of all keys of a config, in the order of its fields."""
    own, inner = fields(cls), groups(cls)
    for f in dataclasses.fields(cls):
        if f.name in own:
            yield prefix + f.name, own[f.name]
        elif f.name in inner:
            yield from walk(inner[f.name], f"{prefix}{f.name}.")
