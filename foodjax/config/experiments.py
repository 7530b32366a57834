"""Experiments: Python files with get_config(arg), the packaged ones known by name, your own by path.

    load_config("food10", "drop_block=4", lr=3e-4)      a packaged experiment, a variant of it
    load_config("experiments/mine.py")                  a file

A file may import the modules beside it, unless others of that name are installed, and `from experiments import NAME`
finds those beside it first and then the packaged ones. Packaged experiments build on one another by name, so a file of
yours never takes the place of theirs.
"""

import contextlib
import importlib.util
import inspect
import os
import re
import sys
import threading
import traceback
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from foodjax.config import values
from foodjax.config.check import nearest
from foodjax.config.variants import apply
from foodjax.system.errors import UserError, first_line
from foodjax.system.files import to_path

# Module that old experiments import -> the import to write now.
_MOVED = {"foodjax.variants": "from foodjax import variants"}
_importing = threading.RLock()  # sys.path and sys.modules are the process's


def folder() -> Path:
    """Returns the folder of the packaged experiments: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    return next((f for f in (package / "experiments", package.parent / "experiments") if f.is_dir()), package)


def packaged() -> tuple[str, ...]:
    """Returns the names of the packaged experiments."""
    return tuple(
        sorted(path.stem for path in folder().glob("*.py") if path.stem.isidentifier() and path.stem[0] != "_")
    )


class Experiment(NamedTuple):
    """A loaded experiment file.

    Attributes:
        name: as it was given, without a variant.
        path: of the file.
        module: what the file defines.
    """

    name: str
    path: Path
    module: types.ModuleType

    def config(self, variant: str = "") -> ConfigDict:
        """Returns the config of a variant.

        Raises:
            UserError: the variant is invalid, or the file gives no config.
        """
        get_config = getattr(self.module, "get_config", None)
        if get_config is None:
            raise UserError(f"{self.path} defines no get_config(): needs one that returns a config")
        if inspect.signature(get_config).parameters:
            found = self.call("get_config", variant)
        else:
            found = self.call("get_config")
            if variant:
                found = apply(found, variant)
        if not isinstance(found, ConfigDict):
            raise UserError(f"get_config() of {self.path} returns {found!r:.80}: needs a ConfigDict")
        return found

    def call(self, function: str, *arguments: str) -> Any:
        """Returns what a function of the file returns.

        Raises:
            UserError: it raises an exception.
        """
        with _imports_of(self.path), _told(self.name, self.path):
            return getattr(self.module, function)(*arguments)


def split_variant(experiment: str) -> tuple[str, str]:
    """Returns (name or path, variant) of NAME:VARIANT; the colon of a Windows drive begins no variant."""
    found = re.match(r"([A-Za-z]:(?=[\\/]))?[^:]*", experiment)
    name = found[0] if found else ""
    return name, experiment[len(name) + 1 :]


def load(name: str) -> Experiment:
    """Loads the file of an experiment.

    Args:
        name: of a packaged experiment, or the path of a file; ~ is your home.

    Raises:
        UserError: there is no such experiment, or it cannot be loaded.
    """
    path = _locate(name)
    with _imports_of(path), _told(name, path):
        spec = importlib.util.spec_from_file_location(f"experiments.{path.stem}", path)
        if spec is None or spec.loader is None:
            raise UserError(f"--config {name} is no Python file: needs one such as experiments/mine.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    return Experiment(name, path, module)


def load_config(experiment: str | os.PathLike[str], *variants: str, **changes: Any) -> ConfigDict:
    """Returns the config of an experiment, which may be changed; train and the others check it.

    Args:
        experiment: name of a packaged one such as "food10", or the path of a file; either may have a variant behind a
            colon, as on the command line.
        *variants: what stands behind the colon, such as "drop_block=4".
        **changes: the same as keywords: lr=3e-4, and keys of the config with __ for a dot, train__epochs=5.

    Raises:
        UserError: there is no such experiment, or a variant or a value is invalid.

    Example:
        >>> import foodjax
        >>> config = foodjax.load_config("food10", "drop_block=4", lr=3e-4, train__epochs=5)
        >>> config.name, config.optimizer.learning_rate, len(config.model.blocks)
        ('food10-drop_block=4-lr=0.0003-train.epochs=5', 0.0003, 3)
        >>> config.data.batch_size = 64
    """
    name, variant = split_variant(os.fspath(experiment))
    return load(name).config(",".join(filter(None, [variant, *variants, *to_variants(changes)])))


def to_variants(changes: Mapping[str, Any]) -> list[str]:
    """Returns NAME=VALUE for each keyword."""

    def spell(value: Any) -> str:
        text = values.spell(tuple(value) if isinstance(value, list) else value)
        return f"({text})" if isinstance(value, tuple | list) else repr(text) if "," in text or not text else text

    return [f"{name.replace('__', '.')}={spell(value)}" for name, value in changes.items()]


def _locate(name: str) -> Path:
    path = to_path(name)
    if re.fullmatch(r"[\w-]+", name):
        found = folder() / f"{name}.py"
        if name in packaged():
            return found
        beside = next((p for p in (Path(f"{name}.py"), Path("experiments") / f"{name}.py") if p.is_file()), None)
        hint = f"; did you mean the file {beside}?" if beside else nearest(name, packaged())
        raise UserError(f"--config {name} is none of the packaged experiments{hint}: {', '.join(packaged())}")
    if not path.is_file():
        hint = f"the packaged {path.stem} is --config {path.stem}, " if path.stem in packaged() else ""
        raise UserError(f"--config {name} does not exist: {hint}needs a file such as experiments/food10.py")
    return path.resolve()


@contextlib.contextmanager
def _imports_of(path: Path) -> Iterator[None]:
    """Lets a file import its neighbours while it runs; afterwards sys.path and sys.modules know nothing of them."""
    beside = str(path.parent)

    def is_package(name: str) -> bool:
        return name.split(".")[0] == "experiments"

    with _importing:
        before = {name: sys.modules.pop(name) for name in list(sys.modules) if is_package(name)}
        known = set(sys.modules)
        package = types.ModuleType("experiments")
        package.__path__ = [beside, str(folder())]
        sys.modules["experiments"] = package
        sys.path.append(beside)  # last: a file named random.py takes nobody's random away
        try:
            yield
        finally:
            sys.path.remove(beside)
            for name in set(sys.modules) - known:
                file = getattr(sys.modules[name], "__file__", None)
                if is_package(name) or (file and os.path.dirname(file) == beside):
                    del sys.modules[name]
            sys.modules.update(before)


@contextlib.contextmanager
def _told(name: str, path: Path) -> Iterator[None]:
    """Makes one line of an exception in a file: where, and what."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a file may raise anything
        if isinstance(error, ImportError) and error.name in _MOVED:
            raise UserError(
                f"--config {name} imports {error.name}, which has moved: write {_MOVED[error.name]!r}"
            ) from None
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f" (line {lines[-1]})" if lines else ""
        raise UserError(
            f"--config {name} cannot be read{where}: {type(error).__name__}: {first_line(error)}"
        ) from error
