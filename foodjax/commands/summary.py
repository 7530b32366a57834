"""The verb summary: prints the layer table of a network."""

from typing import TYPE_CHECKING

from foodjax.commands.verb import Given, Verb
from foodjax.config.check import checked

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from foodjax.config.keys import Config
    from foodjax.models.summary import LayerTable


def summary(config: "Config | ConfigDict", num_classes: int | None = None) -> "LayerTable":
    """Returns the layer table of an experiment's network. Reads no data and makes no weights.

    Args:
        config: the experiment.
        num_classes: K; None: those that config names, or 101.

    Returns:
        A row for each layer: name, shapes of output and kernel, number of parameters, receptive field in pixels, and
        multiply-adds of one picture. A notebook shows them as a table.

    Raises:
        UserError: config is invalid.

    Example:
        >>> import foodjax
        >>> rows = foodjax.summary(foodjax.load_config("food10"))
        >>> rows[0].name, rows[0].output, rows[0].num_params
        ('block1/conv1', (128, 128, 32), 896)
        >>> f"{rows.num_params:,}"
        '10,588,458'
    """
    from foodjax.models import summary as summary_lib
    from foodjax.models.convnet import create_model

    config = checked(config)
    num_classes = num_classes or len(config.data.class_names) or config.data.num_classes or 101
    return summary_lib.LayerTable(summary_lib.layers(create_model(config, num_classes), config.input_size))


def _run(given: Given) -> None:
    from foodjax.models.summary import to_table
    from foodjax.system.console import show
    from foodjax.workdir.description import read_description

    num_classes = len(read_description(given.workdir)[1]) if given.flags.config is None else None
    show(to_table(summary(given.config, num_classes)))


VERB = Verb(
    "summary",
    "prints the layer table of an experiment's network, or of a run's; reads no data",
    _run,
    "any",
    ("foodjax summary --config food10:drop_block=4", "foodjax summary --workdir runs/food10"),
    address_space=1,
)
