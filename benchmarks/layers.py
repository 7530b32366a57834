"""Benchmark of each layer of the tutorial's network in several forms, and of the machine's rate of matrix products.

    pip install -e '.[bench]'
    python benchmarks/layers.py
    python benchmarks/layers.py --forms foodjax,XLA --types float32

A layer is timed forward, and for the gradients of its input and of its kernel, alone, in a batch of 32. GFLOP/s count
the multiplications and additions of the textbook's form, so that a form that saves some (Winograd's) may exceed the
machine's rate, which is that of a large matrix product in the same type. PyTorch is left out where it is not installed.
A form that differs from XLA's float32 convolution is an error. Every form and type has a process of its own; what takes
more than --limit seconds, compiled and computed once, is ended. Writes benchmarks/results/layers.json.
"""

import argparse
import importlib.util
import json
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from foodjax.system.malloc import tune_malloc  # noqa: E402

tune_malloc()  # as main.py does, before JAX

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from layer_forms import DIRECTIONS, FORMS, LAYERS, Layer, product, product_options  # noqa: E402
from step import machine  # noqa: E402

ITEMS = [(layer, direction) for layer in LAYERS for direction in DIRECTIONS]
ERRORS = {"float32": 1e-3, "bfloat16": 0.1}  # the largest that is allowed, of the largest value


def median_ms(run: Callable[[], Any], rounds: int, longest: float = 2.0) -> float:
    """Returns the median of a function's times, ms, after a first call; of one that takes `longest` s, of one call."""
    run()
    times = []
    while len(times) < rounds and (not times or times[0] < longest):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times)


def product_rate(dtype: str, rounds: int, side: int = 2048) -> float:
    """Returns the GFLOP/s of a large matrix product, with sums of float32."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(side, side)), dtype)
    squared = jax.jit(product, compiler_options=product_options(dtype))
    return 2e-6 * side**3 / median_ms(lambda: squared(x, x).block_until_ready(), rounds)


def draw(layer: Layer, batch: int) -> tuple[np.ndarray, ...]:
    """Returns an input, a kernel and a gradient of the output, float32, whose sums are of size one."""
    rng = np.random.default_rng(0)
    x, kernel, y = layer.shapes(batch)
    inputs = np.prod(kernel[:-1])
    return tuple(
        (scale * rng.normal(size=shape)).astype(np.float32)
        for shape, scale in ((x, 1), (kernel, inputs**-0.5), (y, layer.features**-0.5))
    )


def to_numpy(array: Any) -> np.ndarray:
    """Returns an array of JAX or PyTorch as NumPy's of float32."""
    return np.asarray(array.astype(np.float32) if hasattr(array, "astype") else array.float())


def error_of(name: str, expected: np.ndarray, found: np.ndarray, dtype: str) -> float:
    """Returns the largest difference, of the largest value; ends the program where a form computes something else."""
    error = float(np.abs(expected - found).max() / np.abs(expected).max())
    if not error < ERRORS[dtype]:
        sys.exit(f"{name} in {dtype} differs by {error:.1e} of the largest value: needs less than {ERRORS[dtype]}")
    return error


def available(names: list[str]) -> list[str]:
    """Returns the forms whose packages are installed, and prints what is left out."""
    if importlib.util.find_spec("torch"):
        return names
    print("PyTorch is not installed and left out: pip install -e '.[bench]'")
    return [name for name in names if name != "PyTorch"]


def work(form: str, dtype: str, first: int, args: argparse.Namespace) -> None:
    """Prints the numbers of each of ITEMS from `first` on as a line, null for layers that the form does not fit."""
    runs, expected = {}, {}
    for layer, direction in ITEMS[first:]:
        if not FORMS[form].fits(layer, dtype):
            print("null", flush=True)
            continue
        if layer not in runs:
            arrays = draw(layer, args.batch_size)
            runs = {layer: FORMS[form].runs(layer, arrays, dtype)}
            expected = FORMS["XLA"].runs(layer, arrays, "float32")
        run = runs[layer][direction]
        name = f"{form}, {layer}, {direction}"
        error = error_of(name, to_numpy(expected[direction]()), to_numpy(run()), dtype)
        print(json.dumps({"ms": median_ms(run, args.rounds), "error": error}), flush=True)


def measure(form: str, dtype: str, args: argparse.Namespace) -> list[dict | None]:
    """Returns the numbers of ITEMS; "ms" is None where the limit was not kept."""
    found: list[dict | None] = []
    options = [f"--rounds={args.rounds}", f"--batch_size={args.batch_size}"]
    while len(found) < len(ITEMS):
        command = [sys.executable, __file__, *options, "--work", json.dumps([form, dtype, len(found)])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            while True:
                timer = threading.Timer(args.limit, process.kill)
                timer.start()
                line = process.stdout.readline()
                timer.cancel()
                if not line:
                    break
                found.append(json.loads(line))
        if process.returncode == -signal.SIGKILL:
            found.append({"ms": None})
        elif process.returncode:
            sys.exit(process.returncode)
    return found


def cell(numbers: dict | None) -> str:
    """Returns what the printed table says of a form."""
    if not numbers:
        return ""
    return f"{numbers['ms']:.1f} ms, {100 * numbers['share']:.0f} %" if numbers["ms"] else "too long"


def show(table: dict) -> None:
    """Prints a row for each layer, direction and type: ms, and the share of the machine's rate of products."""
    forms = table["forms"]
    print(f"{table['machine']}; batch {table['batch_size']}, medians of {table['rounds']}")
    for dtype, rate in table["product_gflops"].items():
        print(f"\n{dtype} products: {rate:.0f} GFLOP/s\n")
        print(f"| layer | GFLOP | | {' | '.join(forms)} |\n|---|---|---|{'---|' * len(forms)}")
        for row in (row for row in table["rows"] if row["type"] == dtype):
            cells = " | ".join(cell(row["forms"][form]) for form in forms)
            print(f"| {row['layer']} | {row['gflop']:.2f} | {row['direction']} | {cells} |")


def summarise(table: dict) -> None:
    """Prints a row for each layer as docs/performance.md has it: foodjax' times, and the fastest of the other forms."""
    for dtype, most in table["product_gflops"].items():
        rows = [row for row in table["rows"] if row["type"] == dtype]
        total = fastest = work = 0.0
        print(f"\nfoodjax in {dtype}; {most:.0f} GFLOP/s of products\n")
        print("| layer | GFLOP | forward | input | kernel | GFLOP/s | share | fastest other form |")
        print("|---|---|---|---|---|---|---|---|")
        for k in range(0, len(rows), len(DIRECTIONS)):
            found = [row["forms"] for row in rows[k : k + len(DIRECTIONS)]]
            sums = {}
            for form in table["forms"]:
                times = [forms[form]["ms"] if forms[form] else None for forms in found]
                if all(times):
                    sums[form] = sum(times)
            if "foodjax" not in sums:
                continue
            own, gflop = sums.pop("foodjax"), len(DIRECTIONS) * rows[k]["gflop"]
            cells = " | ".join(f"{forms['foodjax']['ms']:.1f} ms" for forms in found)
            best = min(sums, key=sums.__getitem__, default="")
            other = f"{best}, {sums[best]:.1f} ms" if best else ""
            rate = 1e3 * gflop / own
            numbers = f"{rate:.0f} | {rate / most:.0%}"
            print(f"| {rows[k]['layer']} | {rows[k]['gflop']:.2f} | {cells} | {numbers} | {other} |")
            total, fastest, work = total + own, fastest + min([own, *sums.values()]), work + gflop
        if total:
            rate = 1e3 * work / total
            numbers = f"{total:.0f} ms | {rate:.0f} | {rate / most:.0%} | all of the fastest: {fastest:.0f} ms"
            print(f"| all | {work / len(DIRECTIONS):.2f} | | | {numbers} |")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--types", default="float32,bfloat16")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--limit", type=float, default=60, help="seconds")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "layers.json")
    parser.add_argument("--work", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(*args.work, args)
        return
    table: dict[str, Any] = {"machine": machine(), "batch_size": args.batch_size, "rounds": args.rounds}
    table["forms"] = available(args.forms.split(","))
    table["product_gflops"] = {dtype: product_rate(dtype, args.rounds) for dtype in args.types.split(",")}
    table["rows"] = []
    for dtype, product_gflops in table["product_gflops"].items():
        found = {form: measure(form, dtype, args) for form in table["forms"]}
        for k, (layer, direction) in enumerate(ITEMS):
            gflop, forms = layer.gflop(args.batch_size), {form: rows[k] for form, rows in found.items()}
            for numbers in filter(None, forms.values()):
                if numbers["ms"]:
                    numbers["gflops"] = 1e3 * gflop / numbers["ms"]
                    numbers["share"] = numbers["gflops"] / product_gflops
            row = {"type": dtype, "layer": str(layer), "direction": direction, "gflop": gflop, "forms": forms}
            table["rows"].append(row)
    show(table)
    summarise(table)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
