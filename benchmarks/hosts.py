"""Agreement of several processes and devices with one: losses of the same 20 steps, on CPU devices over loopback.

    python benchmarks/hosts.py
    python benchmarks/hosts.py --data ../food-101 --output benchmarks/results/hosts_photographs.json
    python benchmarks/hosts.py --only food10_fast-float32

food10_fast (Muon, batch normalisation, CutMix) in float32, and in float64, which says how far float32 itself is from
exact sums; food10 in float64: its RMSprop divides by the square root of tiny numbers, so that the rounding of float32
grows from step to step. Prints a table with the largest difference of a loss from that of one process with one device,
and writes it as JSON.
"""

import argparse
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from step import HERE, machine

STEPS = 20
PLACES = [(1, 1), (1, 2), (1, 8), (2, 2), (2, 8), (4, 4), (4, 8)]  # processes, devices of all
ROWS = {("food10_fast", "float32"): PLACES, ("food10_fast", "float64"): PLACES[:1], ("food10", "float64"): PLACES}
BOUNDS = {"float32": 1e-4, "float64": 1e-9}


def work(experiment: str, precision: str, data_dir: str, cache: str, place: tuple[str, int, int] | None) -> None:
    """Takes the steps in one process; the first one prints the losses as JSON."""
    import jax

    import foodjax

    foodjax.setup()  # keeps compiled programs for the next process
    jax.config.update("jax_enable_x64", precision == "float64")
    from foodjax import load_config
    from foodjax.config.check import checked
    from foodjax.data.sets import load_data
    from foodjax.data.thread_batches import train_batches
    from foodjax.models.convnet import create_model
    from foodjax.steps import step as step_lib
    from foodjax.steps.devices import create_mesh, own_part, put_batch, replicated
    from foodjax.steps.optimizer import create_chain, create_schedule
    from foodjax.steps.state import create_train_state
    from foodjax.system import hosts, join

    joined = join.join(join.Place(*place)) if place is not None else None
    config: Any = load_config(experiment)
    config.data.batch_size = 8 if experiment == "food10" else config.data.batch_size
    if data_dir:
        config.data.update(dir=data_dir, cache_dir=cache)
    else:
        config.data.update(
            source="drawn", drawn_train=STEPS * config.data.batch_size * 2, drawn_test=4, cache_dir=cache
        )
    config = checked(config)
    data = load_data(config)
    rows = data.parts.train
    model, mesh = create_model(config, 10), create_mesh(config.data.batch_size)
    per_epoch = len(rows) // config.data.batch_size
    tx = create_chain(config, create_schedule(config, per_epoch), per_epoch)
    state = jax.jit(functools.partial(create_train_state, config, model, tx))()
    if precision == "float64":
        step_lib.rescale = lambda images: images.astype("float64") / 255
        state = jax.tree.map(lambda x: x.astype("float64") if x.dtype == "float32" else x, state)
    state = replicated(jax.device_get(state), mesh)
    train_step, _ = step_lib.make_steps(config, model, tx, mesh)
    losses = []
    for batch in train_batches(data.train, rows, config, 0, STEPS, own_part(mesh, config.data.batch_size)):
        state, metrics = train_step(state, put_batch(batch, mesh))
        losses.append(float(metrics.loss_sum) / config.data.batch_size)
    if hosts.is_first():
        print(json.dumps({"losses": losses, "dtype": str(metrics.loss_sum.dtype), "devices": mesh.size}), flush=True)
    if joined is not None:
        joined.leave()


def run(experiment: str, precision: str, data_dir: str, processes: int, devices: int, cache: str) -> dict:
    """Runs the steps with some processes, which have an equal share of the devices; returns what the first prints."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    flags = f"--xla_force_host_platform_device_count={devices // processes}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    started = []
    for process in range(processes):
        place = json.dumps([f"127.0.0.1:{port}", processes, process] if processes > 1 else None)
        command = [sys.executable, __file__, "--work", experiment, precision, data_dir, cache, place]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
    outputs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit(f"{experiment}, {processes} processes: {[process.returncode for process in started]}")
    return json.loads(next(line for line in outputs[0].splitlines() if line.startswith("{")))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--only", default="", help="rows to measure, such as food10-float64; all without")
    parser.add_argument("--data", default="", help="photographs, such as ../food-101; drawn shapes without")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "hosts.json")
    args = parser.parse_args()
    if args.work:
        experiment, precision, data_dir, cache, place = args.work
        work(experiment, precision, data_dir, cache, json.loads(place) and tuple(json.loads(place)))
        return
    table: dict[str, Any] = {"machine": machine(), "steps": STEPS, "results": []}
    if args.only and args.output.exists():
        old = json.loads(args.output.read_text())["results"]
        table["results"] = [row for row in old if f"{row['experiment']}-{row['precision']}" != args.only]
    print(table["machine"])
    with tempfile.TemporaryDirectory() as cache:
        for (experiment, precision), places in ROWS.items():
            if args.only not in {"", f"{experiment}-{precision}"}:
                continue
            one = None
            for processes, devices in places:
                begin = time.monotonic()
                found = run(experiment, precision, args.data, processes, devices, cache)
                assert (found["devices"], found["dtype"]) == (devices, precision)  # noqa: PT018
                one = found["losses"] if one is None else one
                apart = [abs(a - b) for a, b in zip(one, found["losses"], strict=True)]
                row = {"experiment": experiment, "precision": precision, "processes": processes, "devices": devices}
                table["results"].append(row | {"largest_difference": max(apart), "losses": found["losses"]})
                args.output.write_text(json.dumps(table, indent=2) + "\n")
                verdict = "agrees" if max(apart) <= BOUNDS[precision] else f"more than {BOUNDS[precision]:g}"
                print(
                    f"{experiment:12} {precision} {processes} x {devices // processes} devices: {max(apart):.1e}, "
                    f"last step {apart[-1]:.1e} ({verdict}), {time.monotonic() - begin:.0f} s",
                    flush=True,
                )
    fast = {row["precision"]: row["losses"] for row in reversed(table["results"]) if row["experiment"] == "food10_fast"}
    if len(fast) == 2:
        table["float32_from_float64"] = max(abs(a - b) for a, b in zip(fast["float32"], fast["float64"], strict=True))
        print(f"food10_fast, one device, float32 from float64: {table['float32_from_float64']:.1e}")
    args.output.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
