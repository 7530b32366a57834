"""The verb export: writes a workdir's best checkpoint as a Keras model."""

from pathlib import Path
from typing import Any

from foodjax.commands.arguments import Asked, Mode


def export(config: Any, workdir: Path, asked: Asked) -> None:
    """Exports the best checkpoint."""
    from foodjax.exchange import keras_model

    keras_model.export_model(config, workdir, Path(asked.flags.output or workdir / "model.keras"))


MODE = Mode(export, "stored")
