"""Benchmark of the time to a validation accuracy: from the command to the end of the first epoch that reaches it.

    python benchmarks/time_to_accuracy.py --config food10_fast --target 0.6 --seeds 0,1,2

Every seed runs main.py in its own process, from start-up on, with the prepared data and the compiled programs in the
user's cache, and ends it when the target is reached. Further arguments go to main.py, such as
--config.data.dir=../food-101. Prints a line for each seed, mean and deviation, and writes
benchmarks/results/time_to_accuracy.json.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from step import machine

HERE = Path(__file__).parent


def read_rows(workdir: Path) -> list[dict]:
    """Returns the rows of metrics.jsonl so far, one for each epoch."""
    path = workdir / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def measure(config: str, seed: int, target: float, more: list[str], workdir: Path) -> dict:
    """Runs one seed.

    Returns:
        seed, seconds (None without the target), epoch, val_accuracy (then, or the best) and first_epoch_seconds.
    """
    command = [sys.executable, "main.py", "--config", config, "--workdir", str(workdir), f"--config.seed={seed}", *more]
    start, first, seconds = time.perf_counter(), None, None
    process = subprocess.Popen(command, cwd=HERE.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = []
    for line in process.stdout:  # an epoch's line comes when its row is written
        lines.append(line)
        if re.match(r"epoch +\d+/\d+  loss ", line):
            now = time.perf_counter() - start
            first = first or now
            if read_rows(workdir)[-1]["val_accuracy"] >= target:
                seconds = now
                process.terminate()
                break
    process.stdout.read()
    if process.wait() and seconds is None:
        sys.exit(f"{' '.join(command)} failed:\n{''.join(lines[-20:])}")
    rows = read_rows(workdir)
    if seconds is not None:  # epochs that ended while it was being stopped do not count
        rows = rows[: next(i for i, row in enumerate(rows) if row["val_accuracy"] >= target) + 1]
    best = max(rows, key=lambda row: row["val_accuracy"])
    return {
        "seed": seed, "seconds": seconds, "epoch": best["epoch"], "val_accuracy": best["val_accuracy"],
        "first_epoch_seconds": first,
    }  # fmt: skip


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="an experiment, as main.py takes it")
    parser.add_argument("--target", type=float, required=True, help="validation accuracy, 0 to 1")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "time_to_accuracy.json")
    args, more = parser.parse_known_args()
    if not all(seed.isdecimal() for seed in args.seeds.split(",")):
        parser.error(f"--seeds {args.seeds}: needs integers with commas between, such as 0,1,2")
    runs = []
    print(f"{machine()}; {args.config} to a validation accuracy of {args.target:.1%}")
    for seed in map(int, args.seeds.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(measure(args.config, seed, args.target, more, Path(folder) / "run"))
        row = runs[-1]
        took = "not reached" if row["seconds"] is None else f"{row['seconds']:8.1f} s"
        print(f"seed {seed:3}  {took}  epoch {row['epoch']:3}  {row['val_accuracy']:.2%}", flush=True)
    table = {"machine": machine(), "command": [args.config, *more], "target": args.target, "runs": runs}
    reached = [row["seconds"] for row in runs if row["seconds"] is not None]
    print(f"reached by {len(reached)} of {len(runs)}", end="")
    if reached:
        table["mean_seconds"] = statistics.mean(reached)
        table["deviation_seconds"] = statistics.stdev(reached) if len(reached) > 1 else None
        deviation = f" ± {table['deviation_seconds']:.1f}" if len(reached) > 1 else ""
        print(f", in {table['mean_seconds']:.1f}{deviation} s", end="")
    print()
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
