"""The verb export: writes a workdir's best checkpoint as a file that others run."""

from pathlib import Path
from typing import Any

from foodjax.commands.configs import change
from foodjax.commands.verb import Flag, Given, Verb
from foodjax.exchange.formats import FORMATS, QUANTISED
from foodjax.system.files import PathLike, to_path
from foodjax.workdir.description import read_description


def export(
    workdir: PathLike,
    format: str,
    output: PathLike | None = None,
    *,
    quantise: str = "none",
    runtime: PathLike | None = None,
    **changes: Any,
) -> Path:
    """Writes the best checkpoint of a run as a file that others run, and a script beside it that shows how.

    Args:
        workdir: of the run.
        format: "onnx", "litert", "stablehlo", "safetensors", "keras" or "web"; docs/export.md describes the files.
        output: a new file, of "safetensors" a new folder; None: the format's own name, such as model.onnx, in workdir.
        quantise: "none", or of "onnx" "int8": calibrated on validation photographs.
        runtime: of "web": onnxruntime-web as npm packs it; None: downloaded once.
        **changes: another view of the photographs, with __ for the dots of the keys: eval__flip=True.

    Returns:
        What was written.

    Raises:
        UserError: no checkpoint, a package is missing, the format does not have what the network needs, a key is none
            that may be changed, or the output exists or cannot be written.

    Example:
        >>> import foodjax
        >>> path = foodjax.export("runs/demo", "stablehlo")  # of the example of foodjax.train
        wrote ...
        >>> path.name
        'model.stablehlo'
    """
    from foodjax.exchange.export import export as write

    own = read_description(workdir)[0]
    config = change("export", own, [(name.replace("__", "."), value) for name, value in changes.items()])
    return write(config, workdir, format, output, quantise, runtime)


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
