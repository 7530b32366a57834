"""The verb probe: trains a linear classifier on the features of a pretrained network."""

from typing import TYPE_CHECKING, Any

from foodjax.commands.train import train
from foodjax.commands.verb import Given, Verb
from foodjax.config.check import checked, replace
from foodjax.system.files import PathLike

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from foodjax.config.keys import Config
    from foodjax.data.sets import Data
    from foodjax.run.trained import Trained


def probe(
    config: "Config | ConfigDict",
    workdir: PathLike | None = None,
    *,
    data: "Data | None" = None,
    origin: dict[str, Any] | None = None,
) -> "Trained":
    """Trains the last layer of a pretrained network, evaluates it on the test set and writes the report.

    Args:
        config: the experiment, such as `load_config("food10_probe")`, with the weights in model.init_from; its
            train.solver becomes "probe", with which `foodjax.train` does the same.
        workdir: folder of the run, new or of the same experiment; None: runs/NAME, as the experiment is called.
        data: prepared sets; None prepares those that config names.
        origin: where the config is from, for run.json.

    Returns:
        What the run reached; its one epoch is the solution.

    Raises:
        UserError: the config, the weights, the data or the workdir cannot be used.

    Example:
        >>> import foodjax
        >>> changes = dict(data__drawn_train=12, data__drawn_test=5, model__init_from="runs/demo")
        >>> config = foodjax.load_config("demo", **changes)  # the run of the example of foodjax.train
        >>> probed = foodjax.probe(config, "runs/probe")
        devices: ...
        >>> probed.epochs, 0 <= probed.test_accuracy <= 1
        (1, True)
    """
    return train(replace(checked(config), {"train.solver": "probe"}), workdir, data=data, origin=origin)


def _run(given: Given) -> None:
    probe(given.config, given.workdir, origin=given.origin)


VERB = Verb(
    "probe",
    "trains a linear classifier on the features of a pretrained network, and evaluates it",
    _run,
    "file",
    ("foodjax probe --config food10_probe --config.model.init_from=efficientnet_lite0.pth --config.data.dir=food-101",),
)
