"""The verb evaluate: evaluates a workdir's best checkpoint."""

from typing import TYPE_CHECKING, Any

from foodjax.commands import hosts
from foodjax.commands.configs import change
from foodjax.commands.verb import Flag, Given, Verb
from foodjax.config.check import checked
from foodjax.system.files import PathLike, to_path
from foodjax.system.hosts import is_first
from foodjax.workdir.description import read_description

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from foodjax.config.keys import Config
    from foodjax.run.evaluate import Evaluation


def evaluate(
    workdir: PathLike,
    config: "Config | ConfigDict | None" = None,
    *,
    output: PathLike | None = None,
    **changes: Any,
) -> "Evaluation":
    """Evaluates the best checkpoint of a run on a test set and writes tables and report to its workdir.

    Args:
        workdir: of the run.
        config: the run's own, perhaps with other values of the keys that an evaluation may change; None reads it.
        output: folder that gets tables and report in the place of the workdir, which then may be read-only.
        **changes: such values as keywords, with __ for the dots of the keys: data__dir="photographs".

    Returns:
        The numbers, the predictions, and where they were written.

    Raises:
        UserError: the data or the workdir cannot be used, or a key is none that an evaluation may change.

    Example:
        >>> import foodjax
        >>> evaluation = foodjax.evaluate("runs/demo", data__eval_batch_size=25)  # of the example of foodjax.train
        data: ...
        >>> 0 <= evaluation.accuracy <= 1, len(evaluation.classes)
        (True, 10)
    """
    from foodjax.report import run_report
    from foodjax.run import evaluate as run_evaluate

    if changes:
        own = read_description(workdir)[0] if config is None else checked(config)
        config = change("evaluate", own, [(name.replace("__", "."), value) for name, value in changes.items()])
    evaluation = run_evaluate.evaluate_workdir(config, workdir, output)
    if is_first():
        run_report.write_report(evaluation, workdir)
    return evaluation


def _run(given: Given) -> None:
    evaluate(given.workdir, given.config, output=given.flags.output)


VERB = Verb(
    "evaluate",
    "evaluates the best checkpoint on the test set, or on other photographs",
    _run,
    "stored",
    (
        "foodjax evaluate --workdir runs/food10",
        "foodjax evaluate --workdir runs/food10 --config.data.dir=photographs --config.eval.calibrate=true",
        "foodjax evaluate --workdir /shared/runs/food10 --output mine",
    ),
    flags=(
        Flag("output", "FOLDER", "gets the files in the place of a workdir that is read-only", read=to_path),
        *hosts.FLAGS,
    ),
    address_space=1,
)
