"""The verb inspect: shows the data of an experiment before training."""

from typing import TYPE_CHECKING

from foodjax.commands.configs import workdir_of
from foodjax.commands.verb import Given, Verb
from foodjax.config.check import checked
from foodjax.system.files import PathLike

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from foodjax.config.keys import Config
    from foodjax.report.inspect import Inspection


def inspect(config: "Config | ConfigDict", workdir: PathLike | None = None) -> "Inspection":
    """Shows the data of an experiment before training, and writes a page and PNGs to the workdir's inspect/.

    Args:
        config: the experiment.
        workdir: folder of its run, new or not; None: runs/NAME, as the experiment is called.

    Returns:
        What the page shows: the data, counts, photographs, channels, augmented versions, and its figures.

    Raises:
        UserError: the data cannot be used, or the folder cannot be written.

    Example:
        >>> import foodjax
        >>> config = foodjax.load_config("demo", data__drawn_train=12, data__drawn_test=5)
        >>> inspected = foodjax.inspect(config, "runs/inspected")
        inspect.html and 4 PNGs in runs/inspected/inspect
        >>> inspected.photo.shape, sorted(inspected.figures)
        ((32, 32, 3), ['augmented', 'channels', 'class_counts', 'samples'])
        >>> inspected.counts["train"].tolist()
        [11, 11, 11, 11, 11, 11, 11, 11, 11, 11]
    """
    from foodjax.report import inspect as report_inspect

    config = checked(config)
    return report_inspect.inspect_workdir(config, workdir_of(workdir, config.name))


def _run(given: Given) -> None:
    inspect(given.config, given.workdir)


VERB = Verb(
    "inspect",
    "shows the data before training: photographs, channels, augmented versions, counts; a page in WORKDIR/inspect/",
    _run,
    "file",
    ("foodjax inspect --config food10 --config.data.dir=food-101",),
    address_space=1,
)
