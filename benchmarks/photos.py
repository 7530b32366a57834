"""Benchmark of `--config photos`: four kinds of folders that people have, drawn, and photographs of Food-101.

    python benchmarks/photos.py --data ../food-101 --kinds few grey phone food --seeds 0 1 2

- few: three classes of ten pictures.
- many: 300 classes of 1,000 pictures of 48 pixels, shapes in 30 colours of ground; one epoch, as thirty take hours.
- grey: grey scans of 800 x 1,000 pixels, four classes of 30.
- phone: pictures of 3,000 x 4,000 pixels that their EXIF data turn, four classes of 20.
- food: the photographs of an extracted food-101/, its ten classes in one folder.

Every run is the train command in its own process. Writes benchmarks/results/photos.json.
"""

import argparse
import colorsys
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from step import machine  # noqa: E402

from foodjax.data.sources.shapes import CLASS_NAMES, draw_png  # noqa: E402

HERE = Path(__file__).parent


def shape(name: str, k: int) -> Image.Image:
    """Returns drawing k of a class."""
    return Image.open(io.BytesIO(draw_png(name, k, 0)))


def few(root: Path) -> None:
    """Draws three classes of ten pictures."""
    for name in CLASS_NAMES[:3]:
        for k in range(10):
            save(shape(name, k), root / name / f"{k}.jpg")


def many(root: Path) -> None:
    """Draws 300 classes of 1,000: a class is a shape and a hue."""
    for name in CLASS_NAMES:
        drawn = [np.asarray(shape(name, k).convert("L").resize((48, 48))) for k in range(1000)]
        for hue in range(30):
            tint = np.array(colorsys.hsv_to_rgb(hue / 30, 0.6, 1))
            for k, grey in enumerate(drawn):
                pixels = (grey[..., None] * tint).astype(np.uint8)
                save(Image.fromarray(pixels), root / f"{name}-{hue:02}" / f"{k:03}.jpg")


def grey(root: Path) -> None:
    """Draws grey scans: a shape of ink on paper, four classes of 30."""
    rng = np.random.default_rng(0)
    for name in CLASS_NAMES[2:6]:
        for k in range(30):
            paper = rng.normal(235, 6, (1000, 800))
            side = int(rng.integers(300, 600))
            x, y = rng.integers(0, 800 - side), rng.integers(0, 1000 - side)
            mark = np.asarray(shape(name, k).convert("L").resize((side, side)), np.float64)
            paper[y : y + side, x : x + side] -= np.abs(mark - np.median(mark[0])) * 0.8
            save(Image.fromarray(paper.clip(0, 255).astype(np.uint8)), root / name / f"scan{k:03}.png")


def phone(root: Path) -> None:
    """Draws large pictures that are stored turned, four classes of 20."""
    exif = Image.Exif()
    exif[0x0112] = 6  # a viewer turns them by 90 degrees
    for name in CLASS_NAMES[4:8]:
        for k in range(20):
            picture = shape(name, k).resize((3000, 3000), Image.Resampling.BICUBIC)
            canvas = Image.new("RGB", (3000, 4000), picture.getpixel((5, 5)))
            canvas.paste(picture, (0, 500))
            save(canvas.transpose(Image.Transpose.ROTATE_90), root / name / f"IMG_{k:04}.JPG", exif=exif)


def save(image: Image.Image, path: Path, **options) -> None:
    """Writes a picture and creates its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def train(place: Path, workdir: Path, cache: Path, more: list[str]) -> dict:
    """Trains in a process of its own; returns its numbers."""
    command = [sys.executable, "main.py", "train", "--config", "photos", f"--config.data.dir={place}"]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(
        [*command, "--workdir", str(workdir), *more], cwd=HERE.parent, env=environment, capture_output=True, text=True
    )
    seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    accuracy, low, high, images = re.search(
        r"test accuracy ([\d.]+)% \(95 % interval ([\d.]+)% to ([\d.]+)%\).* (\d+) images", done.stdout
    ).groups()  # pyright: ignore[reportOptionalMemberAccess]
    return {
        "chosen": [line.removeprefix("chosen: ") for line in done.stdout.splitlines() if line.startswith("chosen: ")],
        "accuracy": float(accuracy), "interval": [float(low), float(high)], "test_images": int(images),
        "seconds": seconds, "processor_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }  # fmt: skip


def main() -> None:
    """Draws, trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=["few", "grey", "phone"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--data", type=Path, help="an extracted food-101/, for the kind food")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "photos.json")
    args = parser.parse_args()
    table = json.loads(args.output.read_text()) if args.output.exists() else {}
    for kind in args.kinds:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / kind
            if kind == "food":
                shutil.copytree(args.data / "images", place)
            else:
                {"few": few, "many": many, "grey": grey, "phone": phone}[kind](place)
            for seed in args.seeds:
                more = [f"--config.seed={seed}"] + (["--config.train.epochs=1"] if kind == "many" else [])
                row = train(place, Path(folder) / f"run{seed}", Path(folder) / "cache", more)
                table[f"{kind}, seed {seed}"] = {"machine": machine(), **row}
                print(f"{kind}, seed {seed}: {row}", flush=True)
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
