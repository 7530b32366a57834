"""The verb export: writes a workdir's best checkpoint as a Keras model."""

from pathlib import Path

from foodjax.commands.arguments import Asked, Mode
from foodjax.config.keys import Config


def export(config: Config, workdir: Path, asked: Asked) -> None:
    """Exports the best checkpoint."""
    from foodjax.exchange import keras_model

    keras_model.export_model(config, workdir, Path(asked.flags.output or workdir / "model.keras"))


MODE = Mode(export, "stored")
