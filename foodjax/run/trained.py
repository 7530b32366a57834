"""The outcome of a training, read from its workdir."""

from pathlib import Path
from typing import Any, NamedTuple

from foodjax.workdir import run_record
from foodjax.workdir.description import Finished
from foodjax.workdir.metrics import read_metrics


class Trained(NamedTuple):
    """The outcome of a finished training.

    Attributes:
        workdir: folder of the run.
        epochs: number of epochs that were trained.
        history: the rows of metrics.jsonl, one dict for each epoch, oldest first: epoch (from 1), step (steps so far),
            loss and val_loss (nats), accuracy and val_accuracy (0..1), and what train.monitor, eval.top5 and eval.more
            add.
        best_epoch: the epoch with the best value of train.monitor, from 1; its checkpoint is the one that predicts.
        best_val_loss: the validation loss of that epoch, nats.
        reason: why the training ended: "early stopping", "last epoch", or what an observer returned.
        test_accuracy: share of the test images that the best checkpoint predicts right, 0..1.
        test_loss: mean cross-entropy of the test images, nats.
    """

    workdir: Path
    epochs: int
    history: list[dict[str, Any]]
    best_epoch: int
    best_val_loss: float
    reason: str
    test_accuracy: float
    test_loss: float

    def __repr__(self) -> str:
        return (
            f"Trained(workdir={str(self.workdir)!r}, epochs={self.epochs}, history=[{len(self.history)} rows], "
            f"best_epoch={self.best_epoch}, best_val_loss={self.best_val_loss:.4f}, reason={self.reason!r}, "
            f"test_accuracy={self.test_accuracy:.4f}, test_loss={self.test_loss:.4f})"
        )


def read_trained(workdir: Path, finished: Finished, monitor: str = "val_loss") -> Trained | None:
    """Returns the outcome of a finished training, or None if the files of its results do not fit its end.

    The test results are those of the training, from run.json; only without it those of evaluation/evaluation.json,
    which a later evaluation may have written.

    Args:
        workdir: of the run.
        finished: its end.
        monitor: train.monitor of the run.

    Raises:
        UserError: metrics.jsonl is there and cannot be read.
    """
    history = read_metrics(workdir / "metrics.jsonl")
    result = run_record.read(workdir)["result"] or run_record.result(workdir, monitor)
    if result is None or len(history) != finished.epoch:
        return None
    try:
        return Trained(
            workdir, finished.epoch, history, result["best_epoch"], result["best_val_loss"], finished.reason,
            result["test_accuracy"], result["test_loss"],
        )  # fmt: skip
    except (KeyError, TypeError):  # run.json of an older form
        return None
