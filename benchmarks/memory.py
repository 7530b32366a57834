"""Benchmark of the peak resident memory of training: foodjax against Keras' program, on the same photographs.

    python benchmarks/memory.py --data ../food-101

Each program runs in its own process: it trains the tutorial's network for --epochs over the first --classes classes,
validates, saves and evaluates. foodjax prepares its cache before, in another process; the cache's size is printed. The
peak is the system's (ru_maxrss) and includes mapped file pages. Writes benchmarks/results/memory.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from step import food101, machine

HERE = Path(__file__).parent
PREPARE = (
    "import sys; from experiments import food10; from foodjax.data.sets import load_data; c = food10.get_config();"
    "c.data.update(dir=sys.argv[1], cache_dir=sys.argv[2], num_classes=0); load_data(c)"
)


def link(root: Path, folder: Path, num_classes: int) -> None:
    """Fills train/<class>/ and test/<class>/ with links to an extracted food-101/."""
    for part in ("train", "test"):
        table = json.loads((root / "meta" / f"{part}.json").read_text())
        for name in sorted(table)[:num_classes]:
            (folder / part / name).mkdir(parents=True)
            for i in table[name]:
                (folder / part / f"{i}.jpg").symlink_to((root / "images" / f"{i}.jpg").resolve())


def peak(command: list[str]) -> dict[str, float]:
    """Runs a program to its end; returns its peak_mib and seconds."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=HERE.parent, stdout=log, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            log.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{log.read()[-2000:]}")
    return {"peak_mib": usage.ru_maxrss / 1024, "seconds": time.perf_counter() - start}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=food101, required=True, help="an extracted food-101/")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "memory.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos, cache = Path(folder) / "photos", Path(folder) / "cache"
        link(args.data, photos, args.classes)
        peak([sys.executable, "-c", PREPARE, str(photos), str(cache)])
        size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) / 2**20

        def foodjax(backend):
            return [
                sys.executable, "main.py", "--config", "experiments/food10.py", "--workdir", f"{folder}/{backend}",
                f"--config.data.dir={photos}", f"--config.data.cache_dir={cache}", "--config.data.num_classes=0",
                f"--config.train.epochs={args.epochs}", f"--config.data.backend={backend}",
            ]  # fmt: skip

        programs = {
            "foodjax, backend tf": foodjax("tf"),
            "foodjax, backend device": foodjax("device"),
            "Keras": [sys.executable, str(HERE / "peers" / "keras_program.py"), str(photos), str(args.epochs)],
        }
        table = {"machine": machine(), "classes": args.classes, "epochs": args.epochs, "prepared_cache_mib": size}
        print(f"{table['machine']}; {args.classes} classes, {args.epochs} epochs; prepared cache {size:.0f} MiB")
        for name, command in programs.items():
            table[name] = peak(command)
            print(f"{name:26}{table[name]['peak_mib']:8.0f} MiB{table[name]['seconds']:8.0f} s", flush=True)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
