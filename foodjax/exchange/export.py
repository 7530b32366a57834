"""Exports the best checkpoint of a workdir: one file, or a folder, and a script that runs it."""

import json
import os
import tempfile
from pathlib import Path

from ml_collections import ConfigDict

from foodjax.config.check import checked
from foodjax.config.keys import Config
from foodjax.exchange import keras_model
from foodjax.exchange.formats import FORMATS, QUANTISED
from foodjax.exchange.scripts import name_of, script
from foodjax.exchange.served import Served, open_served
from foodjax.system.console import say
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike, read_text, to_path
from foodjax.system.imports import import_problem


def export(
    config: Config | ConfigDict,
    workdir: PathLike,
    format: str,
    output: PathLike | None = None,
    quantise: str = "none",
    runtime: PathLike | None = None,
) -> Path:
    """Writes the best checkpoint of a workdir as a file that others run, and a script beside it.

    The file takes prepared pictures, uint8 (B, S, S, 3), and returns the probabilities of the classes, with the
    temperature of eval.calibrate. A Keras file of a network for which `keras_model.is_sequential` takes floats. A page
    of the format "web" takes photographs as they are, and needs no script.

    Args:
        config: the workdir's config, perhaps with another view (eval.*).
        workdir: folder of a run.
        format: a key of formats.FORMATS.
        output: file, or folder, to write; never overwritten. None takes the format's own name in the workdir.
        quantise: "none", or of ONNX "int8": weights and values of 8 bits, whose ranges are those of validation
            photographs. Prints the accuracy before and after.
        runtime: of "web": a file with the runtime for browsers, see `web_runtime.load`; None downloads it once.

    Returns:
        What was written.

    Raises:
        UserError: no checkpoint, a package or the runtime is missing, the format does not have what the network needs,
            or the output exists or cannot be written.
    """
    if format not in FORMATS:
        raise UserError(f"--format is {format!r}: needs one of {', '.join(FORMATS)}")
    if quantise not in QUANTISED:
        raise UserError(f"--quantise is {quantise!r}: needs {' or '.join(QUANTISED)}")
    if quantise != "none" and format != "onnx":
        raise UserError(f"--quantise is {quantise} and --format {format}: only onnx is quantised")
    if runtime is not None and format != "web":
        raise UserError(f"--runtime is {runtime} and --format {format}: only web needs a runtime")
    config, workdir, kind = checked(config), to_path(workdir), FORMATS[format]
    output = workdir / kind.file if output is None else to_path(output)
    place, text = (output.parent if kind.suffix else output) / name_of(format), ""
    if kind.has_script:
        text = script(format, kind.file, geometry=config.data.geometry, resize=config.data.resize)
    _check(format, output, place, text, quantise)
    if format == "keras" and keras_model.is_sequential(config):
        keras_model.export_model(config, workdir, output)
    else:
        served = open_served(config, workdir)
        if config.model.dtype != "float32" and format in ("keras", "litert", "onnx", "web"):
            say(f"computed in float32: {format} has no {config.model.dtype}; probabilities differ a little")
        contents = _contents(served, workdir, format, runtime)
        if quantise != "none":
            contents = {"": _quantised(served, workdir, contents[""])}
        _write(output, contents)
        total = sum(map(len, contents.values()))
        say(f"wrote {output}: {total:,} bytes, checkpoint of step {served.step}, {len(served.class_names)} classes")
    if format == "safetensors":
        say(f"{output / 'README.md'} is its model card; it names the run's command and files: read it before others do")
    if kind.has_script:
        if not place.exists():
            _write(place, {"": text.encode()})
        say(f"{place} shows how to run it on photographs")
    else:
        say("a browser opens it, from this file or from any static host; it needs no network and sends nothing")
    return output


def _contents(served: Served, workdir: Path, format: str, runtime: PathLike | None) -> dict[str, bytes]:
    """Returns the content of each file by its name within the output; that of a single file is ""."""
    if format == "safetensors":
        from foodjax.exchange.known import read_known
        from foodjax.exchange.weights_folder import to_folder

        return to_folder(served, read_known(served.config, workdir, served.step, served.class_names))
    if format == "onnx":
        from foodjax.exchange.to_onnx.file import to_onnx

        size, facts = served.config.data.image_size, {"foodjax": json.dumps(served.facts())}
        return {"": to_onnx(served.function(plain=True), size, len(served.class_names), facts)}
    if format == "keras":
        from foodjax.exchange.to_keras.file import to_keras

        return {"": to_keras(served)}
    if format == "litert":
        from foodjax.exchange.litert import to_litert

        return {"": to_litert(served)}
    if format == "web":
        from foodjax.exchange import web_page, web_runtime

        return {"": web_page.to_page(served, workdir, web_runtime.load(runtime))}
    from foodjax.exchange.stablehlo import to_stablehlo

    return {"": to_stablehlo(served)}


def _quantised(served: Served, workdir: Path, content: bytes) -> bytes:
    """Returns an ONNX file of 8 bits and prints what it costs."""
    from foodjax.exchange.quantise import CALIBRATION, quantise, validation_examples

    examples = validation_examples(served.config, workdir, served.class_names)
    found, before, after = quantise(content, examples)
    count = len(examples.labels)
    say(
        f"int8, calibrated on {min(count, CALIBRATION):,} validation photographs: {len(content):,} -> {len(found):,} "
        f"bytes, validation accuracy {before:.2%} -> {after:.2%} of {count:,}"
    )
    return found


def _check(format: str, output: Path, place: Path, text: str, quantise: str) -> None:
    """Raises UserError where the output cannot become what it should; reading the weights takes seconds."""
    kind = FORMATS[format]
    if kind.suffix and output.suffix != kind.suffix:
        raise UserError(f"--output is {output}: needs a file that ends with {kind.suffix}")
    if output.exists() or output.is_symlink():
        raise UserError(f"--output {output} exists already: needs another {'file' if kind.suffix else 'folder'}")
    try:
        same = not text or not place.exists() or read_text(place) == text
    except (OSError, ValueError):
        same = False
    if not same:
        raise UserError(f"{place} exists already and is another script: needs another --output, in another folder")
    needs = (*kind.needs, "onnxruntime") if quantise != "none" else kind.needs
    if problem := import_problem(*needs):
        extras = {"onnx": "'foodjax[export]'", "safetensors": "'foodjax[pretrained]'", "web": "'foodjax[export]'"}
        package = extras.get(format, " ".join(kind.needs))
        raise UserError(
            f"--format {format} needs the package {' and '.join(needs)}, which cannot be imported ({problem}): pip "
            f"install {package}"
        )


def _write(output: Path, contents: dict[str, bytes]) -> None:
    """Writes a file, {"": content}, or a folder of files; all or nothing, and over nothing that is there.

    Raises:
        UserError: it cannot be written, or somebody else has written it meanwhile.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as folder:
            staging = Path(folder) / "new"
            if "" in contents:
                staging.write_bytes(contents[""])
                os.link(staging, output)  # unlike a renaming, it fails where the file exists
                return
            staging.mkdir()
            for name, content in contents.items():
                (staging / name).write_bytes(content)
            os.rename(staging, output)
    except OSError as error:
        raise UserError(f"cannot write --output {output}: {error.strerror}") from None
