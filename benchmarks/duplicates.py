"""Benchmark of the search for duplicates: its share of preparing, and its time at 100,000 pictures.

    python benchmarks/duplicates.py --data ../food-101

First part: every round prepares the photographs of an extracted food-101/ as food10 does (128 px, an empty cache), and
then searches them for duplicates as training does, and stores the result. The share is the processor time of the search
divided by that of preparing, so other work on the machine weighs on both. Second part: drawn pictures of 32 px, a
quarter, half and all of 100,000, in two sets: random textures, and marks on white, whose hashes are alike. Writes
benchmarks/results/duplicates.json.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import foodjax  # noqa: E402

foodjax.setup()  # as main.py does

import numpy as np  # noqa: E402
from scipy.ndimage import gaussian_filter  # noqa: E402
from step import food101, machine  # noqa: E402

from experiments import food10  # noqa: E402
from foodjax.config.check import checked  # noqa: E402
from foodjax.data.duplicates import Part, find_duplicates  # noqa: E402
from foodjax.data.leaks import search  # noqa: E402
from foodjax.data.prepare import prepare  # noqa: E402
from foodjax.data.sources.find import create_source  # noqa: E402


def timed(function):
    """Returns the result of a call, its seconds by the wall clock and its seconds of the processors."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def textures(count: int) -> np.ndarray:
    """Returns smooth random pictures, uint8 (count, 32, 32, 3)."""
    noise = np.random.default_rng(0).standard_normal((count, 32, 32), np.float32)
    smooth = sum(s * gaussian_filter(noise, (0, s, s)) for s in (1, 2, 4))
    return np.repeat(np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)[..., None], 3, 3)


def marks(count: int) -> np.ndarray:
    """Returns white pictures with a random mark of 8 x 8 pixels near the middle, uint8 (count, 32, 32, 3)."""
    rng = np.random.default_rng(0)
    images = np.full((count, 32, 32, 3), 255, np.uint8)
    for image, mark, (top, left) in zip(
        images, rng.integers(0, 2, (count, 8, 8, 1)), rng.integers(10, 14, (count, 2)), strict=True
    ):
        image[top : top + 8, left : left + 8] = 255 * mark
    return images


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=food101, required=True, help="an extracted food-101/")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=100_000, help="the most of the second part")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "duplicates.json")
    args = parser.parse_args()
    table: dict = {"machine": machine(), "rounds": args.rounds}
    rounds = []
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as folder:
            config = food10.get_config()
            config.data.update(dir=str(args.data), cache_dir=folder, num_classes=0)
            config = checked(config)
            source = create_source(config)
            sets, *preparing = timed(
                lambda s=source, c=config: {
                    part: prepare(s, part, c, lambda title, total, items: items) for part in ("train", "test")
                }
            )
            pairs, *searching = timed(lambda s=sets, c=config: search(s, c))
            rounds.append((preparing[0], searching[0], preparing[1], searching[1]))
    count = sum(len(data.images) for data in sets.values())
    names = ("preparing, wall", "searching, wall", "preparing, processors", "searching, processors")
    table["microseconds_per_photograph"] = {
        name: statistics.median(values) / count * 1e6
        for name, values in zip(names, zip(*rounds, strict=True), strict=True)
    }
    table["share_wall"] = statistics.median(r[1] / r[0] for r in rounds)
    table["share_processors"] = statistics.median(r[3] / r[2] for r in rounds)
    print(f"{table['machine']}; medians of {args.rounds} rounds; {count} photographs, {len(pairs)} pairs")
    for name, value in table["microseconds_per_photograph"].items():
        print(f"{name:24}{value:8.1f} microseconds a photograph")
    print(f"search / preparing: {table['share_wall']:.3f} by the clock, {table['share_processors']:.3f} of processors")
    table["drawn"] = {}
    for draw in (textures, marks):
        images = draw(args.pictures)
        for total in (args.pictures // 4, args.pictures // 2, args.pictures):
            part = {"train": Part(images[:total], np.zeros(total, int))}
            found, wall, cpu = timed(lambda p=part: find_duplicates(p))
            name = f"{total} {draw.__name__}"
            table["drawn"][name] = {"seconds": wall, "processor_seconds": cpu, "pairs": len(found)}
            print(f"{name:24}{wall:8.2f} s by the clock, {cpu:.2f} s of processors, {len(found)} pairs")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
