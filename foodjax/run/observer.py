"""Observers of a training: functions that are called after every epoch, and after the solution of a probe."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from foodjax.data.sets import Data
from foodjax.evaluation.predictions import Predictions
from foodjax.run.wiring import Engine
from foodjax.steps.early_stopping import EarlyStopping
from foodjax.steps.state import TrainState
from foodjax.workdir.logs import MetricsLog


class Epoch(NamedTuple):
    """An epoch that has just ended, for observers.

    Attributes:
        engine: the network and its steps.
        data: the prepared sets.
        workdir: where the run lives; the row of this epoch is in metrics.jsonl already.
        state: after the epoch; an observer must not keep it, since the next step donates it.
        stopping: early stopping, including this epoch.
        rows: the numbers of every epoch so far, oldest first.
        validation: predictions of the validation images.
        log: shows texts and pictures in TensorBoard and the other writers of `log.writers`.
    """

    engine: Engine
    data: Data
    workdir: Path
    state: TrainState
    stopping: EarlyStopping
    rows: list[dict[str, Any]]
    validation: Predictions
    log: MetricsLog


# Called after every epoch, before its checkpoint: an epoch that is done again after a kill is observed again, so
# writing must bear that. A text ends the training after this epoch, with it for the reason.
Observer = Callable[[Epoch], str | None]
