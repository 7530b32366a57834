"""The verb train: trains an experiment, then evaluates its best checkpoint."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from foodjax.commands import hosts
from foodjax.commands.configs import workdir_of
from foodjax.commands.verb import Flag, Given, Verb
from foodjax.config.check import checked
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike
from foodjax.system.hosts import count

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from foodjax.config.keys import Config
    from foodjax.data.sets import Data
    from foodjax.run.evaluate import Evaluation
    from foodjax.run.observer import Epoch, Observer
    from foodjax.run.trained import Trained


def train(
    config: "Config | ConfigDict",
    workdir: PathLike | None = None,
    *,
    observers: "Sequence[Observer]" = (),
    data: "Data | None" = None,
    origin: dict[str, Any] | None = None,
) -> "Trained":
    """Trains an experiment, or continues its run, evaluates the best checkpoint on the test set and writes the report.

    With train.solver "probe" it fits the last layer alone, as `foodjax.probe` does.

    Args:
        config: the experiment, such as `load_config("food10")`; it is checked.
        workdir: folder of the run, new or of the same experiment; None: runs/NAME, as the experiment is called.
        observers: called after every epoch, of which a probe has one; see `foodjax.run.observer.Observer`.
        data: prepared sets; None prepares those that config names.
        origin: where the config is from, for run.json.

    Returns:
        What the run reached: its workdir, epochs, history and test accuracy.

    Raises:
        UserError: the config, the data or the workdir cannot be used.

    Example:
        >>> import foodjax
        >>> config = foodjax.load_config("demo", data__drawn_train=12, data__drawn_test=5, train__epochs=2)
        >>> trained = foodjax.train(config, "runs/demo")
        devices: ...
        >>> trained.epochs, trained.reason, sorted(trained.history[0])
        (2, 'last epoch', ['accuracy', 'epoch', 'loss', 'step', 'val_accuracy', 'val_loss'])
        >>> 0 <= trained.test_accuracy <= 1
        True
    """
    from foodjax.run import solvers

    config = checked(config)
    place, watching = workdir_of(workdir, config.name), [_observe, *observers]
    return solvers.train(config, place, watching, origin=origin, report=_write_report, data=data)


def _observe(epoch: "Epoch") -> None:
    """Draws the pictures of an epoch. The first step waits for no import of matplotlib."""
    from foodjax.report import live

    live.observe(epoch)


def _write_report(evaluated: "Evaluation", workdir: PathLike) -> None:
    from foodjax.report import run_report

    run_report.write_report(evaluated, workdir)


def _run(given: Given) -> None:
    config, workdir, data = given.config, given.workdir, None
    if given.flags.smoke:
        if count() > 1:
            raise UserError(f"--smoke in {count()} processes: needs one")
        from foodjax.run import smoke

        config, workdir, data = smoke.prepare_smoke(config, workdir)
    train(config, workdir, data=data, origin=given.origin)


VERB = Verb(
    "train",
    "trains an experiment, or continues its run, and evaluates the best checkpoint",
    _run,
    "file",
    (
        "foodjax train --config demo",
        "foodjax train --config food10:drop_block=4 --config.optimizer.learning_rate=3e-4 --workdir runs/mine",
        "foodjax train --config food10_best --smoke",
    ),
    (
        Flag("smoke", "", "take one batch through every stage of the run, in a workdir of its own beside it", False),
        *hosts.FLAGS,
    ),
)
