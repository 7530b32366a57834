"""Benchmark of growth: time and memory of a step with larger batches, pictures and networks, of a start with more data.

    python benchmarks/growth.py
    python benchmarks/growth.py --axes batch,side --networks light --figure ""

Every point runs in a process of its own, whose peak is the system's (ru_maxrss). Of a step: the median time, that of
all cores together, the operations that XLA counts, and temporary bytes. One value changes at a time: the batch, the
side of the pictures, the number of residual blocks, the classes; the others stay at those of BASES. What grows faster
than its work has more ms per GFLOP, or more MiB per megapixel of the batch. The light network is food10_fast's. Of a
start: photographs of 48 pixels (start_large.py draws them) are listed and prepared, then found in the cache; 20 batches
are made, and "own" is the memory that is no page of a file. Writes benchmarks/results/growth.json and docs/growth.png.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from step import machine  # noqa: E402

HERE = Path(__file__).parent
BASES = {
    "light": {"batch": 32, "side": 64, "blocks": 2, "classes": 10},
    "tutorial": {"batch": 32, "side": 128, "blocks": 4, "classes": 10},
}
AXES = {
    ("light", "batch"): (8, 32, 128, 512), ("light", "side"): (32, 64, 128, 256), ("light", "blocks"): (1, 2, 4, 16),
    ("light", "classes"): (10, 100, 1000, 10_000), ("tutorial", "batch"): (8, 32, 128),
    ("tutorial", "side"): (96, 128, 192),
}  # fmt: skip
UNITS = {"batch": "pictures in a batch", "side": "pixels of a side", "blocks": "residual blocks", "classes": "classes"}
PHOTOGRAPHS = (1000, 10_000, 100_000)
BATCHES = 20
MIB = 2**20


def config_of(network: str, batch: int, side: int, blocks: int, classes: int) -> Any:
    """Returns the config of a point."""
    import foodjax

    config = foodjax.load_config({"light": "food10_fast", "tutorial": "food10"}[network])
    config.data.update(batch_size=batch, image_size=side)
    if network == "light":
        config.model.input_size = config.eval.size = side
        more = dict(kind="residual", features=128, pool=1, depth=2, dropout=0.0)
        config.model.blocks = (*config.model.blocks[:2], *[more] * blocks)
    return config


def step_point(network: str, batch: int, side: int, blocks: int, classes: int) -> dict[str, float]:
    """Returns the numbers of a training step; runs in the process of the point."""
    import jax
    import numpy as np

    import foodjax
    from foodjax.config.check import checked
    from foodjax.models.convnet import create_model
    from foodjax.steps.devices import create_mesh
    from foodjax.steps.optimizer import create_optimizer
    from foodjax.steps.state import create_train_state
    from foodjax.steps.step import make_steps

    foodjax.setup()
    jax.config.update("jax_enable_compilation_cache", False)  # it would hide the time that compiling takes
    config = checked(config_of(network, batch, side, blocks, classes))
    model, tx = create_model(config, classes), create_optimizer(config)
    state = create_train_state(config, model, tx)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    data = {"image": pictures, "label": rng.integers(0, classes, batch, dtype=np.int32)}
    begin = time.perf_counter()
    step = make_steps(config, model, tx, create_mesh(batch))[0].lower(state, data).compile()
    compiling, times, processors = time.perf_counter() - begin, [], []
    while len(times) < 4 or (sum(times) < 2 and len(times) < 20):
        begin, used = time.perf_counter(), time.process_time()
        state, _ = jax.block_until_ready(step(state, data))
        times.append(time.perf_counter() - begin)
        processors.append(time.process_time() - used)
    cost, memory = step.cost_analysis(), step.memory_analysis()
    found = cost[0] if isinstance(cost, list) else cost
    return {
        "seconds": statistics.median(times[1:]), "processor_seconds": statistics.median(processors[1:]),
        "gflop": found["flops"] / 1e9, "compile_seconds": compiling, "temporary_mib": memory.temp_size_in_bytes / MIB,
        "parameters": sum(x.size for x in jax.tree.leaves(state.params)),
    }  # fmt: skip


def start_point(root: str, cache: str) -> dict[str, float]:
    """Returns the numbers of opening photographs and making batches; runs in the process of the point."""
    import itertools

    import foodjax

    foodjax.setup()
    from foodjax.config.check import checked
    from foodjax.data.host_batches import select_train_batches

    config = foodjax.load_config("food10_fast")
    config.data.update(dir=root, cache_dir=cache, num_classes=0, backend="threads")
    begin = time.perf_counter()
    data = foodjax.load_data(config)
    opened = time.perf_counter() - begin
    make, rows, batch = select_train_batches("threads"), data.parts.train, config.data.batch_size
    begin = time.perf_counter()
    made = sum(
        len(one["image"]) for one in itertools.islice(make(data.train, rows, checked(config), 0, BATCHES), BATCHES)
    )
    assert made == BATCHES * batch
    found = {"seconds": opened, "images_per_second": made / (time.perf_counter() - begin)}
    status = Path("/proc/self/status")
    own = [line for line in status.read_text().splitlines() if line.startswith("RssAnon")] if status.exists() else []
    return found | ({"own_mib": int(own[0].split()[1]) / 1024} if own else {})


POINTS = {"step": step_point, "start": start_point}


def run_point(kind: str, **values: Any) -> dict[str, float]:
    """Runs a function of POINTS in a process of its own; returns its numbers and peak_mib."""
    command = [sys.executable, str(HERE / "growth.py"), "--point", json.dumps({"kind": kind} | values)]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=out, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        out.seek(0)
        log.seek(0)
        if status:
            sys.exit(f"{kind} {values} failed:\n{log.read()[-2000:]}")
        return json.loads(out.read().splitlines()[-1]) | {"peak_mib": usage.ru_maxrss / 1024}


COLUMNS = {
    "ms/picture": lambda row: 1e3 * row["seconds"] / row["batch"],
    "GFLOP/picture": lambda row: row["gflop"] / row["batch"],
    "ms/GFLOP": lambda row: 1e3 * row["seconds"] / row["gflop"],
    "of all cores": lambda row: 1e3 * row["processor_seconds"] / row["gflop"],
    "MiB/megapixel": lambda row: row["temporary_mib"] / (1e-6 * row["batch"] * row["side"] ** 2),
    "temporary MiB": lambda row: row["temporary_mib"],
    "peak MiB": lambda row: row["peak_mib"],
    "compile s": lambda row: row["compile_seconds"],
}


def measure_steps(axes: dict[tuple[str, str], tuple[int, ...]]) -> list[dict]:
    """Measures the points of each axis, those that several axes share once, and prints a row for each."""
    known, rows = {}, []
    for (network, axis), sizes in axes.items():
        print(f"\n{network} network, {UNITS[axis]}; the others: {BASES[network]}")
        print(f"{axis:>8}" + "".join(f"{name:>15}" for name in COLUMNS))
        for size in sizes:
            values = BASES[network] | {axis: size}
            key = json.dumps([network, values])
            known[key] = known.get(key) or run_point("step", network=network, **values)
            row = {"network": network, "axis": axis, **values, **known[key]}
            rows.append(row)
            print(f"{size:8,}" + "".join(f"{value(row):15.2f}" for value in COLUMNS.values()), flush=True)
    return rows


def measure_starts(counts: tuple[int, ...]) -> list[dict]:
    """Measures starts with photographs, cold and warm, and prints a row for each."""
    from start_large import draw

    rows = []
    print(
        f"\n{'photographs':>12}{'':6}{'seconds':>9}{'us/photograph':>15}{'images/s':>10}{'own MiB':>9}{'peak MiB':>10}"
    )
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            draw(Path(folder) / "data", count, 100)
            for cache in ("cold", "warm"):
                row = run_point("start", root=f"{folder}/data", cache=f"{folder}/cache")
                rows.append({"photographs": count, "cache": cache, **row})
                print(f"{count:12,}{cache:>6}{row['seconds']:9.2f}{1e6 * row['seconds'] / count:15.0f}"
                      f"{row['images_per_second']:10.0f}{row.get('own_mib', 0):9.0f}{row['peak_mib']:10.0f}",
                      flush=True)  # fmt: skip
    return rows


def draw_figure(table: dict, path: Path) -> None:
    """Draws processor time, which other programs disturb least, and memory per picture; both scales are logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from foodjax.report.palette import COLOURS, looks

    axes = list(dict.fromkeys(row["axis"] for row in table["steps"]))
    figure, grid = plt.subplots(
        2, len(axes), figsize=(2.6 * len(axes), 4.6), squeeze=False, sharey="row", layout="constrained"
    )
    heights = {"processor ms per picture": lambda row: 1e3 * row["processor_seconds"] / row["batch"],
               "temporary MiB per picture": lambda row: row["temporary_mib"] / row["batch"]}  # fmt: skip
    for column, axis in enumerate(axes):
        for line, (title, height) in enumerate(heights.items()):
            panel = grid[line, column]
            for network, look in zip(BASES, looks(len(BASES)), strict=True):
                rows = [row for row in table["steps"] if (row["axis"], row["network"]) == (axis, network)]
                if rows:
                    panel.loglog([row[axis] for row in rows], [height(row) for row in rows], color=look.colour,
                                 marker=look.marker, dashes=look.dashes or (None, None), label=network)  # fmt: skip
            sizes = AXES[next(row["network"] for row in table["steps"] if row["axis"] == axis), axis]
            panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
            panel.minorticks_off()
            panel.yaxis.set_major_formatter("{x:g}")
            panel.grid(color=COLOURS["grid"])
            panel.set_xlabel(UNITS[axis])
            if not column:
                panel.set_ylabel(title)
    grid[0, 0].legend(frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    """Measures, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axes", default="batch,side,blocks,classes,photographs")
    parser.add_argument("--networks", default="light,tutorial")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "growth.json")
    parser.add_argument("--figure", default=str(HERE.parent / "docs" / "growth.png"), help="empty draws none")
    parser.add_argument("--point", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        from foodjax.system.malloc import tune_malloc

        tune_malloc()  # as main.py does, before JAX
        print(json.dumps(POINTS[args.point.pop("kind")](**args.point)))
        return
    axes, networks, begin = args.axes.split(","), args.networks.split(","), time.perf_counter()
    table: dict[str, Any] = {"machine": machine()}
    print(table["machine"])
    table["steps"] = measure_steps({k: sizes for k, sizes in AXES.items() if k[0] in networks and k[1] in axes})
    table["starts"] = measure_starts(PHOTOGRAPHS) if "photographs" in axes else []
    print(f"\n{time.perf_counter() - begin:.0f} s")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(table, indent=2) + "\n")
    if args.figure and table["steps"]:
        draw_figure(table, Path(args.figure))


if __name__ == "__main__":
    main()
