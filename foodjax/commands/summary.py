"""The verb summary: the layer table of an experiment's network."""

from pathlib import Path
from typing import Any

from foodjax.commands.arguments import Asked, Mode
from foodjax.system.console import console


def summary(config: Any, workdir: Path, asked: Asked) -> None:
    """Prints the layer table; touches no data."""
    from foodjax.config.check import input_size
    from foodjax.models import summary as summary_lib
    from foodjax.models.convnet import create_model

    num_classes = len(config.data.class_names) or config.data.num_classes or 101
    model = create_model(config, num_classes)
    console.print(summary_lib.to_table(summary_lib.layers(model, input_size(config))))


MODE = Mode(summary, "file")
