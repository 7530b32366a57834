"""Benchmark of the start with 100,000 photographs on a slow disk: from the command to the end of the first step.

    python benchmarks/start_large.py
    python benchmarks/start_large.py --config food10_fast --config.data.num_classes=0

Draws pictures of 48 pixels in train/ and test/. The first start prepares them. In the others the prepared cache is
warm, and asking for the state of a file of the data takes a millisecond (slow_stat.c: needs a C compiler and Linux).
Writes benchmarks/results/start_large.json.
"""

import argparse
import io
import json
import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image  # noqa: E402
from startup import start  # noqa: E402
from step import machine  # noqa: E402

from foodjax.data.sources.shapes import CLASS_NAMES, draw_png  # noqa: E402

HERE = Path(__file__).parent
SHARES = {"train": 0.8, "test": 0.2}


def draw(root: Path, count: int, classes: int) -> None:
    """Writes `count` small photographs; those of a class and part are links to a few files."""
    for number in range(classes):
        picture = io.BytesIO()
        drawn = Image.open(io.BytesIO(draw_png(CLASS_NAMES[number % len(CLASS_NAMES)], number, 0)))
        drawn.resize((48, 48)).save(picture, "PNG")
        for part, share in SHARES.items():
            folder = root / part / f"{number:03}"
            folder.mkdir(parents=True)
            (folder / "0.png").write_bytes(picture.getvalue())
            for k in range(1, round(count * share / classes)):
                os.link(folder / "0.png", folder / f"{k}.png")


def build(folder: Path) -> Path:
    """Compiles slow_stat.c; returns the library."""
    library = folder / "slow_stat.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, HERE / "slow_stat.c", "-ldl"], check=True)
    return library


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="photos")
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--starts", type=int, default=3, help="with a warm cache")
    parser.add_argument("--microseconds", type=int, default=1000, help="that the state of a file takes")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "start_large.json")
    args, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        root, counts = folder / "data", folder / "counts"
        draw(root, args.pictures, args.classes)
        counts.write_bytes(bytes(16))
        more.append(f"--config.data.dir={root}")
        processors, states, listings = [], [], []
        seconds = [start(args.config, more, folder / "run0", folder / "cache")]
        print(f"cold, on this disk: {seconds[0]:.1f} s", flush=True)
        os.environ |= {
            "LD_PRELOAD": str(build(folder)), "SLOW_STAT_ROOT": str(root), "SLOW_STAT_US": str(args.microseconds),
            "SLOW_STAT_COUNTS": str(counts),
        }  # fmt: skip
        for i in range(1, 1 + args.starts):
            counts.write_bytes(bytes(16))
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(start(args.config, more, folder / f"run{i}", folder / "cache"))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            processors.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            found = struct.unpack("2L", counts.read_bytes())
            states.append(found[0])
            listings.append(found[1])
            print(
                f"warm, slow disk: {seconds[-1]:.1f} s, {processors[-1]:.1f} s of processors, load "
                f"{os.getloadavg()[0]:.1f}; {found[0]:,} states, {found[1]:,} listings", flush=True,
            )  # fmt: skip
    table = {
        "machine": machine(), "config": args.config, "pictures": args.pictures, "classes": args.classes,
        "microseconds": args.microseconds, "cold": seconds[0], "warm": seconds[1:],
        "warm_median": statistics.median(seconds[1:]), "processor_seconds": processors, "load": os.getloadavg(),
        "states": states, "listings": listings,
    }  # fmt: skip
    print(f"{table['machine']}; {args.pictures:,} photographs: first step after {table['warm_median']:.1f} s")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
