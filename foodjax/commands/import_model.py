"""The verb import: makes a checkpoint from a Keras file."""

from foodjax.commands.verb import Flag, Given, Verb
from foodjax.system.files import to_path


def _run(given: Given) -> None:
    from foodjax.exchange import keras_model

    keras_model.import_model(given.config, given.flags.keras, given.workdir)


VERB = Verb(
    "import",
    "makes a checkpoint of a Keras model of the same architecture",
    _run,
    "file",
    ("foodjax import --keras model.keras --config food10 --workdir runs/imported",),
    (Flag("keras", "FILE", "the model", read=to_path, needed="a .keras or .weights.h5 file"),),
    experiment="food10",  # by default an imported model is the tutorial's
)
