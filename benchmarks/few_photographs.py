"""Benchmark of learning from few photographs: a probe, fine-tuning, and training from scratch.

    python benchmarks/few_photographs.py --data ../food-101 --lite0 efficientnet_lite0.pth --counts 10,30,100 --draws 3

Draws photographs of each class from the training part of a folder in Food-101's layout: --counts of them to train on,
and those that the experiments keep for validation, 15 % of all. The test part stays whole, and each run looks at it
once. Every draw has photographs and a seed of its own; all ways see the same ones. --lite2 adds a probe of
EfficientNet-Lite2.

The experiments' epochs are for a few hundred photographs of each class. With a fraction f of these, fine-tuning takes
f^(-1/3) times as many epochs, and training from scratch f^(-2/3) times.

Prints mean and deviation, and writes benchmarks/results/few_photographs.json.
"""

import argparse
import itertools
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from step import HERE, machine

FULL = 319  # photographs of a class that the experiments' epochs were chosen for
VALIDATION = 0.15  # of the photographs: data.val_fraction of the experiments


def draw(data: Path, folder: Path, count: int, seed: int) -> int:
    """Copies photographs of a folder in Food-101's layout.

    Args:
        data: with images/ and meta/.
        folder: a new one, in the same layout.
        count: photographs of each class to train on.
        seed: of the draw.

    Returns:
        The number of photographs in the training part, validation included.
    """
    total = next(n for n in itertools.count(count) if n - int(VALIDATION * n) >= count)  # as data/split.py cuts
    train: list[str] = []
    by_class: dict[str, list[str]] = {}
    for name in (data / "meta" / "train.txt").read_text().split():
        by_class.setdefault(name.split("/")[0], []).append(name)
    for names in by_class.values():
        drawn = random.Random(seed).sample(sorted(names), min(total, len(names)))
        train += sorted(drawn)
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "train.txt").write_text("\n".join(train) + "\n")
    for name in ("classes.txt", "labels.txt", "test.txt"):
        shutil.copy(data / "meta" / name, folder / "meta" / name)
    for name in train + (data / "meta" / "test.txt").read_text().split():
        target = folder / "images" / f"{name}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data / "images" / f"{name}.jpg", target)
    return len(train)


def ways(count: int, weights: dict[int, Path]) -> dict[str, list[str]]:
    """Returns the arguments of foodjax for each way to learn.

    Args:
        count: photographs of each class to train on.
        weights: file of each size of EfficientNet-Lite.
    """
    factor = FULL / count
    result = {}
    for size, path in weights.items():
        result[f"probe, Lite{size}"] = [
            "probe", "--config", f"food10_probe:size={size}", f"--config.model.init_from={path}",
        ]  # fmt: skip
    tuned, scratch = round(8 * factor ** (1 / 3)), round(12 * factor ** (2 / 3))
    result["fine-tuning, Lite0"] = [
        "train", "--config", "food10_transfer", f"--config.model.init_from={weights[0]}",
        f"--config.train.epochs={tuned}", f"--config.train.patience={tuned}",
        f"--config.train.progressive_resizing=((0,192),({tuned // 2},224))",
    ]  # fmt: skip
    result["from scratch, food10_fast"] = [
        "train", "--config", "food10_fast", f"--config.train.epochs={scratch}", f"--config.train.patience={scratch}",
        f"--config.data.batch_size={min(128, 8 * count)}",
    ]  # fmt: skip
    return result


def run(arguments: list[str], data: Path, workdir: Path, seed: int) -> dict[str, float]:
    """Returns the accuracy on the test part and the seconds from the command to its end."""
    command = [sys.executable, "main.py", *arguments, f"--config.data.dir={data}", f"--config.seed={seed}"]
    start = time.perf_counter()
    done = subprocess.run([*command, "--workdir", str(workdir)], cwd=HERE.parent, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    result = json.loads((workdir / "run.json").read_text())["result"]
    return {"test_accuracy": result["test_accuracy"], "seconds": time.perf_counter() - start}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder in Food-101's layout")
    parser.add_argument("--lite0", type=Path, required=True, help="weights of EfficientNet-Lite0")
    parser.add_argument("--lite2", type=Path, help="weights of EfficientNet-Lite2")
    parser.add_argument("--counts", default="10,30,100", help="photographs of each class to train on")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--only", default="", help="ways whose names contain this text")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "few_photographs.json")
    args = parser.parse_args()
    weights = {0: args.lite0.resolve()} | ({2: args.lite2.resolve()} if args.lite2 else {})
    table = {"machine": machine(), "draws": args.draws, "results": []}
    print(table["machine"])
    for count in map(int, args.counts.split(",")):
        runs: dict[str, list[dict[str, float]]] = {}
        for seed in range(args.draws):
            with tempfile.TemporaryDirectory() as folder:
                data = Path(folder) / "data"
                draw(args.data, data, count, seed)
                for i, (name, arguments) in enumerate(ways(count, weights).items()):
                    if args.only in name:
                        row = run(arguments, data, Path(folder) / f"run{i}", seed)
                        runs.setdefault(name, []).append(row)
                        print(f"{count:4} {name:26} draw {seed}: {row['test_accuracy']:.1%}", flush=True)
        for name, rows in runs.items():
            accuracies = [row["test_accuracy"] for row in rows]
            deviation = statistics.stdev(accuracies) if len(rows) > 1 else None
            seconds = statistics.median(row["seconds"] for row in rows)
            summary = {"mean": statistics.mean(accuracies), "deviation": deviation, "seconds": seconds}
            table["results"].append({"photographs": count, "way": name, "runs": rows, **summary})
            after = f" ± {deviation:.1%}" if deviation is not None else ""
            print(f"{count:4} {name:26} {summary['mean']:.1%}{after}, {seconds:.0f} s", flush=True)
            args.output.parent.mkdir(parents=True, exist_ok=True)
            args.output.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
