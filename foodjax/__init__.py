"""foodjax: image classification in JAX and Flax, from photographs on disk to an evaluated model.

What notebooks and experiment files need is here: `from foodjax import train, Predictor, variants`. An import changes
nothing outside the package; `foodjax.setup()` sets up logs, warnings, JAX and TensorFlow as the command line has them.
"""

import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foodjax.commands.compare import compare
    from foodjax.commands.evaluate import evaluate
    from foodjax.commands.export import export
    from foodjax.commands.inspect import inspect
    from foodjax.commands.probe import probe
    from foodjax.commands.summary import summary
    from foodjax.commands.train import train
    from foodjax.config import variants
    from foodjax.config.check import default_config
    from foodjax.config.experiments import load_config
    from foodjax.data.sets import load_data
    from foodjax.report import figures
    from foodjax.report.explain import explain
    from foodjax.run.predict import Predictor
    from foodjax.study.space import Sweep, grid, random
    from foodjax.system.setup import setup

    __version__: str

__all__ = [
    "Predictor", "Sweep", "__version__", "compare", "default_config", "evaluate", "explain", "export", "figures",
    "grid", "inspect", "load_config", "load_data", "probe", "random", "setup", "summary", "train", "variants",
]  # fmt: skip

# Public name -> MODULE:ATTRIBUTE, or MODULE: for the module. A name that equals a submodule of foodjax would be hidden.
_HOMES = {
    "Predictor": "run.predict:Predictor",
    "Sweep": "study.space:Sweep",
    "compare": "commands.compare:compare",
    "default_config": "config.check:default_config",
    "evaluate": "commands.evaluate:evaluate",
    "explain": "report.explain:explain",
    "export": "commands.export:export",
    "figures": "report.figures:",
    "grid": "study.space:grid",
    "inspect": "commands.inspect:inspect",
    "load_config": "config.experiments:load_config",
    "load_data": "data.sets:load_data",
    "probe": "commands.probe:probe",
    "random": "study.space:random",
    "setup": "system.setup:setup",
    "summary": "commands.summary:summary",
    "train": "commands.train:train",
    "variants": "config.variants:",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is used: `import foodjax` alone loads neither JAX nor TensorFlow."""
    if name == "__version__":
        from foodjax.system.version import version

        return version()
    if name not in _HOMES:
        raise AttributeError(f"module 'foodjax' has no attribute {name!r}")
    return pkgutil.resolve_name(f"foodjax.{_HOMES[name]}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
