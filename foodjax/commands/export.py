"""The verb export: writes a workdir's best checkpoint as a file that others run."""

from foodjax.commands.verb import Flag, Given, Verb
from foodjax.exchange.formats import FORMATS
from foodjax.system.files import to_path


def _format(text: str) -> str:
    if text not in FORMATS:
        raise ValueError("one of " + ", ".join(FORMATS))
    return text


def _run(given: Given) -> None:
    from foodjax.exchange.export import export

    export(given.config, given.workdir, given.flags.format, given.flags.output)


VERB = Verb(
    "export",
    "writes the best checkpoint as a file that others run, and a script that shows how",
    _run,
    "stored",
    (
        "foodjax export --workdir runs/food10 --output model.keras",
        "foodjax export --workdir runs/food10 --format onnx --output food10.onnx",
    ),
    (
        Flag("format", "FORMAT", "of the file: " + ", ".join(FORMATS) + "; docs/export.md", "keras", _format),
        Flag("output", "FILE", "a new file, of safetensors a new folder (default: in the workdir)", read=to_path),
    ),
)
