"""Depth of every parameter, from the stem to the head, for learning rates that depend on it.

A parameter's path is its names joined by slashes, such as block1/conv1/kernel. A network's order is a tuple of patterns
of paths from the stem to the head; a parameter has the depth of the first pattern that matches it. In a pattern, as in
shells, * stands for any text, here slashes too, ? for one letter and [ab] for one of several.
"""

import fnmatch
from collections.abc import Sequence
from typing import Any

import jax

from foodjax.config.keys import Config
from foodjax.models.backbones.registry import groups


def order_of(config: Config) -> tuple[str, ...]:
    """Returns the patterns of the network of `config`, from the stem to the head; a | stands between alternatives.

    The head is what no other pattern matches: the hidden dense layers and the logits. It learns at the full rate and
    from the first step on. A network of another kind has its own patterns here, the last of them "*".
    """
    backbone = groups(config.model.backbone) if config.model.backbone else ()
    return (*map("|".join, backbone), *(f"block{i}/*" for i in range(1, len(config.model.blocks) + 1)), "*")


def path_of(keys: Sequence[Any]) -> str:
    """Returns the path of a parameter, given its keys in the tree of parameters."""
    return jax.tree_util.keystr(tuple(keys), simple=True, separator="/")


def first_match(path: str, patterns: Sequence[str]) -> int | None:
    """Returns the index of the first pattern that matches a path, or None."""
    return next((i for i, pattern in enumerate(patterns) if fnmatch.fnmatchcase(path, pattern)), None)


def depth_of(path: str, order: Sequence[str]) -> int:
    """Returns the depth of a parameter: 0 at the stem, len(order) - 1 at the head.

    Raises:
        ValueError: no pattern of the order matches.
    """
    found = next((i for i, group in enumerate(order) if first_match(path, group.split("|")) is not None), None)
    if found is None:
        raise ValueError(f"parameter {path} has no place in the order {tuple(order)}: needs a pattern that matches")
    return found
