"""Two forms of an operation with the same values: one that XLA runs fast on CPU, and the plain one.

A program for another runtime needs the plain forms: few operations that every runtime knows.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax

# JAX counts it among the keys of its caches: a function that was traced in one form is traced again in the other.
_IS_PLAIN = jax.make_user_context(False)
_LEVEL = jax.make_user_context("")


def native(level: str) -> Any:
    """Returns a context in which networks are traced with the native kernels; `native.library.level`, "" for none."""
    return _LEVEL(level)


def native_level() -> str:
    """Returns the level of the context of `native`; "" outside one."""
    return _LEVEL.value


def plain() -> Any:
    """Returns a context in which networks are traced in their plain forms, for every platform."""
    return _IS_PLAIN(True)


def is_plain() -> bool:
    """Returns whether the context is that of `plain`."""
    return _IS_PLAIN.value


def by_platform(*operands: jax.Array, cpu: Callable[..., Any], default: Callable[..., Any]) -> Any:
    """Returns cpu(*operands) on CPU and default(*operands) elsewhere, which is the plain form."""
    if is_plain():
        return default(*operands)
    return lax.platform_dependent(*operands, cpu=cpu, default=default)
