"""The verb export: writes a workdir's best checkpoint as a Keras model."""

from foodjax.commands.verb import Flag, Given, Verb
from foodjax.system.files import to_path

FORMATS = ("keras",)


def _format(text: str) -> str:
    if text not in FORMATS:
        raise ValueError(" or ".join(FORMATS))
    return text


def _run(given: Given) -> None:
    from foodjax.exchange import keras_model

    keras_model.export_model(given.config, given.workdir, given.flags.output or given.workdir / "model.keras")


VERB = Verb(
    "export",
    "writes the best checkpoint as a Keras model, softmax included",
    _run,
    "stored",
    ("foodjax export --workdir runs/food10 --output model.keras",),
    (
        Flag("format", "FORMAT", "of the file: " + " or ".join(FORMATS), "keras", _format),
        Flag("output", "FILE", "a new file (default: model.keras in the workdir)", read=to_path),
    ),
)
