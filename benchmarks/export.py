"""Benchmark of exported files: bytes, deviation from foodjax, accuracy, and the time of one photograph on one core.

    pip install 'foodjax[export]'
    python benchmarks/export.py --workdir RUN --photos FOLDER --int8

Exports a run in every format, runs each file by its own runtime on prepared pictures, and its script on photographs.
The accuracy is that of the run's own test photographs, prepared. One core, and CPU time: another program on the machine
changes it little. Prints the table of docs/export.md and adds it to benchmarks/results/export.json.
"""

import argparse
import contextlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from step import HERE, machine

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before a runtime counts the cores

from foodjax.exchange.export import export  # noqa: E402
from foodjax.exchange.formats import FORMATS  # noqa: E402
from foodjax.exchange.quantise import Examples  # noqa: E402
from foodjax.exchange.scripts import name_of  # noqa: E402
from foodjax.run.predict import Predictor  # noqa: E402
from foodjax.system.errors import UserError  # noqa: E402
from foodjax.workdir.data_check import own_data  # noqa: E402

BATCH = 25  # test photographs in a call


def load(format: str, path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the function of a file from pictures to probabilities, by the format's own runtime."""
    if format == "onnx":
        session = importlib.import_module("onnxruntime").InferenceSession(path)
        return lambda images: session.run(None, {"images": images})[0]
    if format == "stablehlo":
        jax = importlib.import_module("jax")
        program = importlib.import_module("jax.export").deserialize(bytearray(path.read_bytes()))
        call = jax.jit(program.call)
        return lambda images: np.asarray(call(images))
    if format == "litert":
        interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(str(path), num_threads=1)
        (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
        allocated = None

        def run(images: np.ndarray) -> np.ndarray:
            nonlocal allocated
            if images.shape != allocated:
                allocated = images.shape
                interpreter.resize_tensor_input(given["index"], images.shape)
                interpreter.allocate_tensors()
            interpreter.set_tensor(given["index"], images)
            interpreter.invoke()
            return interpreter.get_tensor(found["index"])

        return run
    if format == "keras":
        model = importlib.import_module("keras").saving.load_model(path)
        takes_bytes = model.inputs[0].dtype == "uint8"
        return lambda images: model.predict_on_batch(images if takes_bytes else images / np.float32(255))
    jax = importlib.import_module("jax")
    call = jax.jit(importlib.import_module("foodjax.exchange.weights_folder").read_folder(path).function(plain=False))
    return lambda images: np.asarray(call(images))


def test_examples(predictor: Predictor) -> Examples:
    """Returns the run's own test photographs."""
    data = own_data(predictor.config, predictor.workdir, predictor.class_names)
    rows = data.parts.test
    return Examples(data.test.images[rows], data.test.labels[rows])


def accuracy(run: Callable[[np.ndarray], np.ndarray], examples: Examples) -> float:
    """Returns the share of photographs that a file predicts right, 0..1."""
    starts = range(0, len(examples.images), BATCH)
    found = [np.asarray(run(examples.images[i : i + BATCH])).argmax(axis=1) for i in starts]
    return float((np.concatenate(found) == examples.labels).mean())


def measure(
    format: str, kind: str, args: argparse.Namespace, predictor: Predictor, photos: list[Path], examples: Examples
) -> dict:
    """Returns a row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = export(predictor.config, args.workdir, format, Path(folder) / FORMATS[format].file, kind)
        files = [path] if path.is_file() else list(path.iterdir())
        size = sum(file.stat().st_size for file in files if file.suffix != ".py")
        run = load(format, path)
        images = np.stack([predictor.decode(photo) for photo in photos])
        found = np.concatenate([run(image[None]) for image in images])
        milliseconds = []
        for image in images[: args.rounds]:
            start = time.process_time()
            run(image[None])
            milliseconds.append(1000 * (time.process_time() - start))
        right = accuracy(run, examples)
        program = (path if path.is_dir() else path.parent) / name_of(format)
        command = [sys.executable, program, path, *photos]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    expected = predictor.probabilities(images)
    best = [(predictor.class_names[row.argmax()], row.max()) for row in expected]
    first = [line.split("  ")[1].rsplit(" ", 1) for line in lines]
    return {
        "format": format if kind == "none" else f"{format}, {kind}",
        "bytes": size,
        "deviation": float(np.abs(found - expected).max()),
        "accuracy": right,
        "cpu_ms": statistics.median(milliseconds),
        "script_agrees": sum(name == ours for (name, _), (ours, _) in zip(first, best, strict=True)),
        "script_deviation": max(abs(float(p[:-1]) / 100 - ours) for (_, p), (_, ours) in zip(first, best, strict=True)),
    }


def write(path: Path, table: dict) -> None:
    """Writes a table among those of other runs, after each row: a row of a large network takes minutes.

    Rows of other formats stay, if they were measured on the same machine and photographs.
    """
    known, rows = json.loads(path.read_text()) if path.exists() else [], table["rows"]
    for other in known:
        if all(other.get(key) == value for key, value in table.items() if key != "rows"):
            measured = [row["format"] for row in rows]
            rows = [row for row in other["rows"] if row["format"] not in measured] + rows
    known = [other for other in known if (other["run"], other["side"]) != (table["run"], table["side"])]
    path.write_text(json.dumps([*known, table | {"rows": rows}], indent=2) + "\n")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument(
        "--photos", type=Path, required=True, help="a folder; some photographs, evenly chosen, are used"
    )
    parser.add_argument("--count", type=int, default=100, help="of photographs for deviation and script")
    parser.add_argument("--formats", default=",".join(name for name in FORMATS if FORMATS[name].has_script))
    parser.add_argument("--int8", action="store_true", help="also ONNX of 8 bits; needs the run's photographs")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "export.json")
    args = parser.parse_args()
    photos = sorted(args.photos.rglob("*.jpg"))
    photos = photos[:: max(1, len(photos) // args.count)][: args.count]
    predictor = Predictor(args.workdir, batch_size=1)
    examples = test_examples(predictor)
    table = {
        "machine": machine(), "run": predictor.config.name, "side": predictor.config.data.image_size,
        "photographs": len(photos), "test_photographs": len(examples.labels), "rows": [],
    }  # fmt: skip
    wanted = [(format, "none") for format in args.formats.split(",") if format] + [("onnx", "int8")] * args.int8
    print("| format | bytes | deviation | accuracy | CPU ms | script: same class | script: deviation |")
    print("|---|---|---|---|---|---|---|")
    for format, kind in wanted:
        try:
            with contextlib.redirect_stdout(sys.stderr):
                row = measure(format, kind, args, predictor, photos, examples)
        except UserError as error:
            print(f"{format}: {error}", file=sys.stderr)
            continue
        table["rows"].append(row)
        write(args.output, table)
        print(
            f"| {row['format']} | {row['bytes']:,} | {row['deviation']:.1e} | {row['accuracy']:.2%} | "
            f"{row['cpu_ms']:.1f} | {row['script_agrees']} of {len(photos)} | {row['script_deviation']:.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
