"""Benchmark of the start-up: from the command to the end of the first training step.

    python benchmarks/startup.py --data ../food-101

Every start runs main.py in its own process and ends it when it begins to save the checkpoint of step 1. The first start
prepares the photographs and compiles, the others find both in the cache. Writes benchmarks/results/startup.json.
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

from step import machine

HERE = Path(__file__).parent


def start(config: str, more: list[str], workdir: Path, cache: Path) -> float:
    """Returns the seconds to the first step."""
    command = [sys.executable, "main.py", "--config", config, "--workdir", str(workdir)]
    command += ["--config.checkpoint.every_steps=1", *more]
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=HERE.parent, env=os.environ | {"XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not any((workdir / "checkpoints").glob("1*")):
        if process.poll() is not None:
            sys.exit(f"{' '.join(command)} failed:\n{process.stderr.read()[-2000:].strip()}")
        time.sleep(0.02)
    seconds = time.perf_counter() - begin
    process.kill()
    process.communicate()
    return seconds


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="experiments/food10.py")
    parser.add_argument("--data", required=True, help="an extracted food-101/")
    parser.add_argument("--starts", type=int, default=5, help="with a warm cache")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "startup.json")
    args, more = parser.parse_known_args()
    more.append(f"--config.data.dir={Path(args.data).resolve()}")
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(1 + args.starts):
            seconds.append(start(args.config, more, Path(folder) / f"run{i}", Path(folder) / "cache"))
            print(f"{'cold' if i == 0 else 'warm'} {seconds[-1]:6.1f} s", flush=True)
    warm = statistics.median(seconds[1:])
    table = {"machine": machine(), "config": args.config, "cold": seconds[0], "warm": seconds[1:], "warm_median": warm}
    print(f"{table['machine']}; {args.config}: first step after {warm:.1f} s, {seconds[0]:.1f} s cold")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
