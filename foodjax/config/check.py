"""Checks a config and makes it typed: every key known, present and in range. Also: which keys two configs differ in."""

import dataclasses
import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from foodjax.config import keys, replaced
from foodjax.config.blocks import KINDS, Block
from foodjax.config.key import REQUIRED, Scope, fields, groups
from foodjax.config.rules import MAX_LAYERS, choice
from foodjax.system.errors import UserError


def default_config() -> ConfigDict:
    """Returns every key at its default, for an experiment to set its own values in.

    The defaults are neutral: all classes, no augmentation, no blocks.

    Example:
        >>> import foodjax
        >>> config = foodjax.default_config()
        >>> config.data.num_classes = 10
        >>> config.augment.rotation
        0.0
    """
    return to_config_dict(keys.Config())


def to_config_dict(config: keys.Config) -> ConfigDict:
    """Returns a config that may be changed; `checked` makes it typed again."""
    return ConfigDict(tree(config))


def tree(config: Any) -> Any:
    """Returns a config, a group or a block as nested dicts; a block begins with its kind."""
    if isinstance(config, tuple | list):
        return tuple(tree(item) for item in config)
    if dataclasses.is_dataclass(config) or isinstance(config, Mapping | ConfigDict):
        return {name: tree(value) for name, value in _items(config)}
    return config


def checked(config: keys.Config | ConfigDict | Mapping[str, Any]) -> keys.Config:
    """Checks that a config has exactly the known keys, each with a value in range, and returns it typed.

    Keys under an older name are understood, and those that another key has replaced.

    Raises:
        UserError: names the key, the value, and what is needed.
    """
    return config if isinstance(config, keys.Config) else from_leaves(dict(leaves(config)))


def replace(config: keys.Config, changes: Mapping[str, Any]) -> keys.Config:
    """Returns a config with other values, given by their dotted names.

    Raises:
        UserError: names the key, the value, and what is needed.
    """
    return from_leaves(dict(leaves(config)) | dict(changes))


def _items(group: Any) -> Iterator[tuple[str, Any]]:
    if dataclasses.is_dataclass(group):
        if isinstance(group, Block):
            yield "kind", group.kind
        yield from ((f.name, getattr(group, f.name)) for f in dataclasses.fields(group))
    else:
        yield from ((name, group[name]) for name in group)


def leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (dotted name, value) of every key; `model.blocks` is one of them."""
    for name, value in _items(config):
        if isinstance(value, Mapping | ConfigDict) or dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def flatten(config: Any) -> Iterator[tuple[str, Any]]:
    """Yields (dotted name, value) of every key; fields of blocks appear as model.blocks[0].features."""
    for name, value in leaves(config):
        if name == "model.blocks" and isinstance(value, tuple | list) and value:
            for i, block in enumerate(value):
                yield from ((f"{name}[{i}].{inner}", x) for inner, x in _items(block))
        else:
            yield name, value


def nearest(name: str, valid: Collection[str]) -> str:
    """Returns "; did you mean 'x'?" for the valid name most like `name`, or nothing."""
    match = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""


def current_name(name: str) -> str:
    """Returns the name that a key has now, given that, an older one, or that of a key which it has replaced."""
    return next((new for new, key in keys.table().items() if key.was == name), replaced.BY.get(name, name))


def rename_old(found: dict[str, Any]) -> dict[str, Any]:
    """Returns values by the names that their keys have now.

    Raises:
        UserError: a key is given under both names, with two values that somebody chose.
    """
    for new, key in keys.table().items():
        if key.was and key.was in found:
            value = found.pop(key.was)
            if found.get(new, key.default) not in (key.default, value):
                raise UserError(f"config has {new!r} and, under its old name, {key.was!r}: needs one of them")
            found[new] = value
    return found


def from_leaves(found: dict[str, Any]) -> keys.Config:
    """Returns the typed config of values by their dotted names, as `leaves` yields them.

    Raises:
        UserError: as `checked` does.
    """
    found = replaced.convert(rename_old(found))
    blocks = _blocks(found.pop("model.blocks", None))
    rules = {name: key.rule for name, key in keys.table().items()}
    for name in found:
        if name not in rules:
            raise UserError(f"config has no key {name!r}{nearest(name, rules)}")
    for name, rule in rules.items():
        if name not in found:
            raise UserError(f"config lacks {name!r}: needs {rule.needs}")
        if not rule.accepts(found[name]):
            raise UserError(f"{name} is {found[name]!r}: needs {rule.needs}")
    return _build(keys.Config, found | {"model.blocks": blocks})


def _build(cls: Any, values: Mapping[str, Any], prefix: str = "") -> Any:
    inner = groups(cls)
    return cls(
        **{
            f.name: _build(inner[f.name], values, f"{prefix}{f.name}.") if f.name in inner else values[prefix + f.name]
            for f in dataclasses.fields(cls)
        }
    )


def _blocks(listed: Any) -> tuple[Block, ...]:
    if not isinstance(listed, tuple | list) or not all(isinstance(b, Mapping | ConfigDict | Block) for b in listed):
        raise UserError(f"model.blocks is {listed!r}: needs a tuple of blocks")
    blocks, num_layers = [], 0
    for i, block in enumerate(listed):
        blocks.append(_block(f"model.blocks[{i}]", dict(_items(block))))
        num_layers += blocks[-1].num_layers
        if num_layers > MAX_LAYERS:
            raise UserError(
                f"model.blocks has more than {MAX_LAYERS} layers by its block {i}: needs at most {MAX_LAYERS}"
            )
    return tuple(blocks)


def _block(where: str, values: dict[str, Any]) -> Block:
    kind, rule = values.pop("kind", "absent"), choice(*KINDS)
    if not rule.accepts(kind):
        raise UserError(f"{where}.kind is {kind!r}: needs {rule.needs}")
    known = fields(KINDS[kind])
    for name, value in values.items():
        if name not in known:
            raise UserError(f"config has no key '{where}.{name}'{nearest(name, known)}")
        if not known[name].rule.accepts(value):
            raise UserError(f"{where}.{name} is {value!r}: needs {known[name].rule.needs}")
    for name, key in known.items():
        if name not in values and key.default is REQUIRED:
            raise UserError(f"config lacks '{where}.{name}': needs {key.rule.needs}")
    return KINDS[kind](**values)


def names_in(*scopes: Scope) -> tuple[str, ...]:
    """Returns the names of the keys of these scopes."""
    return tuple(name for name, key in keys.table().items() if key.scope in scopes)


def not_identity() -> tuple[str, ...]:
    """Returns the names of the keys in which two runs of one experiment may differ."""
    return names_in("place", "execution")


def difference(ours: Any, theirs: Any, ignore: Collection[str] | None = None) -> str | None:
    """Returns the first key in which two configs differ, with both values, or None.

    Args:
        ours: a config, typed or not, or a part of one.
        theirs: another.
        ignore: names of keys that do not count; None: those that are not part of an experiment's identity. A schedule
            that ends with the last epoch makes `train.epochs` a part of it.
    """
    a, b = dict(flatten(ours)), dict(flatten(theirs))
    ignored = set(not_identity() if ignore is None else ignore)
    if a.get("optimizer.schedule", "constant") != "constant":
        ignored.discard("train.epochs")
    for name in sorted(a.keys() | b.keys()):
        if name not in ignored and a.get(name, "absent") != b.get(name, "absent"):
            return f"{name} is {a.get(name, 'absent')!r} here and {b.get(name, 'absent')!r} there"
    return None


def state_values(config: keys.Config) -> dict[str, Any]:
    """Returns the values that the state before the first step is made of, by their names."""
    found = {name: value for name, value in leaves(config) if name != "model.blocks"}
    kept = {name: value for name, value in found.items() if keys.table()[name].shapes_state}
    for i, block in enumerate(config.model.blocks):
        kept[f"model.blocks[{i}].kind"] = block.kind
        shaping = (name for name, key in fields(type(block)).items() if key.shapes_state)
        kept |= {f"model.blocks[{i}].{name}": getattr(block, name) for name in shaping}
    return kept
