"""The protocol of a writer, which shows the numbers of a run: TensorBoard, W&B and MLflow are writers.

`log.writers` names those of a run. A new one is a module with such a class, a line in `WRITERS`, and its name in
`config.rules.WRITERS`.
"""

import importlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from foodjax.config.keys import Config
from foodjax.system.errors import UserError
from foodjax.system.imports import import_problem


class Opened(NamedTuple):
    """The run that a writer is opened for.

    Attributes:
        workdir: of the run; no other process trains in it.
        step: that the run continues at; 0 for a new one.
        config: the experiment.
    """

    workdir: Path
    step: int
    config: Config


class Writer(Protocol):
    """Shows the numbers, texts and pictures of a run. A run that continues opens its writers again.

    Attributes:
        steps: those whose numbers it had when it was opened; they are not written again.
    """

    steps: Collection[int]

    def write(self, step: int, numbers: dict[str, float]) -> None:
        """Adds the numbers of an epoch, by their names, at its last step."""

    def write_text(self, step: int, tag: str, markdown: str) -> None:
        """Adds a text."""

    def write_image(self, step: int, tag: str, pixels: np.ndarray) -> None:
        """Adds a picture, uint8 (H, W, 3)."""

    def flush(self) -> None:
        """Shows what was written of a step, to which nothing more is added."""

    def close(self, *, finished: bool) -> None:
        """Ends the writing; `finished` is False where the training was interrupted or failed."""


class _Kind(NamedTuple):
    module: str
    name: str
    package: str  # that it imports
    extra: str  # of foodjax, which installs that; "" for one that foodjax needs anyway


WRITERS = {
    "tensorboard": _Kind("foodjax.workdir.tensorboard", "TensorBoard", "tensorboard", ""),
    "wandb": _Kind("foodjax.workdir.wandb", "WandbRun", "wandb", "wandb"),
    "mlflow": _Kind("foodjax.workdir.mlflow", "MlflowRun", "mlflow", "mlflow"),
}
# Those of files in the workdir: where they cannot write, checkpoints cannot, and the run ends. The others are services.
LOCAL = ("tensorboard",)


def check(names: Collection[str]) -> None:
    """Checks that the packages of some writers can be imported.

    Raises:
        UserError: one cannot; says how it is installed.
    """
    for name in names:
        kind = WRITERS[name]
        if kind.extra and (problem := import_problem(kind.package)):
            raise UserError(
                f"log.writers has {name!r}, which cannot be imported ({problem}): pip install 'foodjax[{kind.extra}]', "
                f"or leave it out"
            )


def open_writer(name: str, opened: Opened) -> Writer:
    """Returns the writer of that name, opened for a run.

    Raises:
        ImportError: its package is not installed.
        UserError: it cannot be opened.
    """
    kind = WRITERS[name]
    create: Any = getattr(importlib.import_module(kind.module), kind.name)
    return create(opened)
