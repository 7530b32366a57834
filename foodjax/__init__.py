"""foodjax: image classification in JAX and Flax, from photographs on disk to an evaluated model.

What experiment files need stands here: `from foodjax import variants, Sweep, grid, random`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foodjax.config import variants
    from foodjax.config.check import default_config
    from foodjax.study.space import Sweep, grid, random

__all__ = ["Sweep", "default_config", "grid", "random", "variants"]

_HOMES = {
    "default_config": "config.check",
    "Sweep": "study.space",
    "grid": "study.space",
    "random": "study.space",
    "variants": "config",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'foodjax' has no attribute {name!r}")
    module = importlib.import_module(f"foodjax.{_HOMES[name]}")
    return importlib.import_module("foodjax.config.variants") if name == "variants" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
