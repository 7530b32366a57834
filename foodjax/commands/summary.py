"""The verb summary: prints the layer table of an experiment's network."""

from pathlib import Path

from foodjax.commands.arguments import Asked, Mode
from foodjax.config.keys import Config
from foodjax.system.console import console


def summary(config: Config, workdir: Path, asked: Asked) -> None:
    """Prints the layer table; reads no data."""
    from foodjax.models import summary as summary_lib
    from foodjax.models.convnet import create_model

    num_classes = len(config.data.class_names) or config.data.num_classes or 101
    model = create_model(config, num_classes)
    console.print(summary_lib.to_table(summary_lib.layers(model, config.input_size)))


MODE = Mode(summary, "file")
