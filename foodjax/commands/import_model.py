"""The verb import: makes a checkpoint from a Keras file."""

from pathlib import Path

from foodjax.commands.arguments import Asked, Mode
from foodjax.config.keys import Config


def import_model(config: Config, workdir: Path, asked: Asked) -> None:
    """Imports the model of --keras."""
    from foodjax.exchange import keras_model

    keras_model.import_model(config, Path(asked.flags.keras or ""), workdir)


MODE = Mode(import_model, "file", {"keras": "a .keras or .weights.h5 file"})
