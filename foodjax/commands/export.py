"""The verb export: writes a workdir's best checkpoint as a file that others run."""

from foodjax.commands.verb import Flag, Given, Verb
from foodjax.exchange.formats import FORMATS, QUANTISED
from foodjax.system.files import to_path


def _format(text: str) -> str:
    if text not in FORMATS:
        raise ValueError("one of " + ", ".join(FORMATS))
    return text


def _quantised(text: str) -> str:
    if text not in QUANTISED:
        raise ValueError(" or ".join(QUANTISED))
    return text


def _run(given: Given) -> None:
    from foodjax.exchange.export import export

    flags = given.flags
    export(given.config, given.workdir, flags.format, flags.output, flags.quantise, flags.runtime)


VERB = Verb(
    "export",
    "writes the best checkpoint as a file that others run, and a script that shows how",
    _run,
    "stored",
    (
        "foodjax export --workdir runs/food10 --output model.keras",
        "foodjax export --workdir runs/food10 --format onnx --output food10.onnx",
        "foodjax export --workdir runs/food10 --format web --output food10.html",
    ),
    (
        Flag("format", "FORMAT", "of the file: " + ", ".join(FORMATS) + "; docs/export.md", "keras", _format),
        Flag("output", "FILE", "a new file, of safetensors a new folder (default: in the workdir)", read=to_path),
        Flag("quantise", "KIND", "none, or of onnx int8: calibrated on validation photographs", "none", _quantised),
        Flag("runtime", "FILE", "of web: onnxruntime-web as npm packs it (default: downloaded once)", read=to_path),
    ),
)
