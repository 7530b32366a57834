"""How often a comparison errs: false positives and power of `foodjax compare`, on simulated runs.

    python benchmarks/false_positives.py

A network predicts image i right with the probability 1 / (1 + exp(-x)), where x = level + difficulty of the image +
what this variant makes of the image + effect of the seed. All are normal; the images are those of a new test set in
every comparison. The effect of a seed is scaled so that the accuracy has the deviation that is asked for over seeds.
Both variants have the same distributions, so without a shift of the level no difference is true. Prints, as Markdown,
how often p < 0.05 for the method of foodjax, for seeds alone (Welch) and for images alone (what foodjax did before),
how often the intervals hold the true value, and how many seeds a question needs. Writes
benchmarks/results/false_positives.json.
"""

import argparse
import json
import math
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
from scipy import special  # noqa: E402

from foodjax.study import failed, significance  # noqa: E402

SEEDS, DEVIATIONS, IMAGES = (3, 5, 10), (0.0, 0.01, 0.03), (750, 2500)
LEVEL, DIFFICULTY, VARIANT = 1.4, 2.0, 1.0  # logits: 69 % right, two seeds disagree on 25 % of the images
BLOCK = 400_000  # predictions that are drawn at once: they fit a core's cache


class Cell(NamedTuple):
    """One kind of comparison.

    Attributes:
        seeds: of our variant.
        deviation: of our accuracy over seeds, as a fraction.
        images: in the test set.
        difference: true difference in accuracy.
        correlation: between the effects of one seed in both variants.
        seeds_of_theirs: of the baseline; 0: as many.
        deviation_of_theirs: of the baseline; -1: the same.
    """

    seeds: int
    deviation: float
    images: int
    difference: float = 0.0
    correlation: float = 0.0
    seeds_of_theirs: int = 0
    deviation_of_theirs: float = -1.0


def moments() -> dict[str, float]:
    """Returns mean accuracy, its derivative by the level, and the variances of an image that a difference has.

    `residual` is that of one prediction, given image and variant; `image` that of the difference between two variants.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights /= weights.sum()
    right = special.expit(LEVEL + DIFFICULTY * nodes[:, None] + VARIANT * nodes)  # (difficulty, variant)
    of_image = right @ weights  # mean over variants
    residual = float(weights @ (right * (1 - right)) @ weights)
    image = float(2 * weights @ ((right - of_image[:, None]) ** 2) @ weights)
    return {"accuracy": float(weights @ of_image), "slope": residual, "residual": residual, "image": image}


def simulate(cell: Cell, count: int, rng: np.random.Generator, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """Draws comparisons.

    Args:
        cell: their kind.
        count: C.
        rng: draws everything.
        slope: of the accuracy by the level.

    Returns:
        ((C, S, N) our right predictions, (C, T, N) the baseline's), float32.
    """
    theirs = cell.seeds_of_theirs or cell.seeds
    other = cell.deviation if cell.deviation_of_theirs < 0 else cell.deviation_of_theirs
    difficulty = DIFFICULTY * rng.standard_normal((count, 1, cell.images), np.float32) + np.float32(LEVEL)
    common = rng.standard_normal((count, max(cell.seeds, theirs), 1))
    tables = []
    for num_seeds, deviation, shift in ((cell.seeds, cell.deviation, cell.difference), (theirs, other, 0.0)):
        image = difficulty + VARIANT * rng.standard_normal(difficulty.shape, np.float32)
        own = rng.standard_normal((count, num_seeds, 1))
        effect = math.sqrt(cell.correlation) * common[:, :num_seeds] + math.sqrt(1 - cell.correlation) * own
        # Right where u < expit(x), or u < (1 - u) exp(x): one exponential for an image and one for a seed.
        odds = np.exp(image) * np.exp((deviation * effect + shift) / slope).astype(np.float32)
        u = rng.random(odds.shape, np.float32)
        odds *= 1 - u
        tables.append((u < odds).astype(np.float32))
    return tables[0], tables[1]


def measure(cell: Cell, count: int, seed: int = 0) -> dict[str, float]:
    """Returns rates over `count` comparisons: p < 0.05 by each method, intervals that hold the truth, paired seeds."""
    # Its own stream, whichever process measures it.
    key = [seed, *(round(1000 * value) % 2**32 for value in cell)]
    rng, slope = np.random.Generator(np.random.SFC64(key)), moments()["slope"]
    at_once = max(1, BLOCK // (2 * cell.images * max(cell.seeds, cell.seeds_of_theirs)))
    sums, start = np.zeros(5), time.process_time()
    for first in range(0, count, at_once):
        ours, theirs = simulate(cell, min(at_once, count - first), rng, slope)
        found = significance.over_seeds(ours, theirs, same_seeds=ours.shape == theirs.shape)
        apart = ours.mean(-2) - theirs.mean(-2)
        sums += [
            (found.p < 0.05).sum(),
            (welch(ours.mean(-1), theirs.mean(-1)) < 0.05).sum(),
            # Random signs of the images' differences, in their normal form.
            (np.abs(apart.sum(-1)) > 1.959964 * np.sqrt((apart**2).sum(-1))).sum(),
            ((found.low <= cell.difference) & (cell.difference <= found.high)).sum(),
            found.paired.sum(),
        ]
    names = ("foodjax", "seeds_alone", "images_alone", "covered", "paired")
    return dict(zip(names, (sums / count).tolist(), strict=True)) | {"seconds": time.process_time() - start}


def welch(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Returns p of Welch's test of the seeds' accuracies, (C, S) and (C, T)."""
    a, b = (x.var(-1, ddof=1, dtype=np.float64) / x.shape[-1] for x in (ours, theirs))
    degrees = (a + b) ** 2 / (a**2 / (ours.shape[-1] - 1) + b**2 / (theirs.shape[-1] - 1))
    return 2 * special.stdtr(degrees, -np.abs(ours.mean(-1) - theirs.mean(-1)) / np.sqrt(a + b))


def coverage_of_wins(num_seeds: int, paired: bool, probability: float, count: int) -> float:
    """Returns how often the interval of the probability of winning holds the true one, with normal accuracies."""
    rng = np.random.default_rng(num_seeds)
    theirs = rng.standard_normal((count, num_seeds))
    ours = rng.standard_normal((count, num_seeds)) + math.sqrt(2) * special.ndtri(probability)
    _, low, high = significance.wins(ours, theirs, paired=paired)
    return float(((low <= probability) & (probability <= high)).mean())


def measure_flags(num_seeds: int, deviation: float, num_images: int, count: int) -> dict[str, float]:
    """Returns how often a comparison of four healthy variants has a flag, and how often a seed 20 points lower has."""
    rng, model = np.random.default_rng(num_seeds), moments()
    noise = math.sqrt(deviation**2 + model["residual"] / num_images)
    false = true = 0
    for _ in range(count):
        accuracies = model["accuracy"] + noise * rng.standard_normal((4, num_seeds))
        false += any(failed.find_failed([[failed.Scored(a, 0.1, num_images) for a in row] for row in accuracies]))
        accuracies[1, 0] -= 0.2
        found = failed.find_failed([[failed.Scored(a, 0.1, num_images) for a in row] for row in accuracies])
        true += 0 in found[1]
    return {"false": false / count, "lost_20_points": true / count}


def power(num_seeds: int, deviation: float, num_images: int, difference: float) -> float:
    """Returns the expected power from the components of variance; `measure` gives that of drawn comparisons."""
    model = moments()
    of_seeds = 2 * (deviation**2 + model["residual"] / num_images) / num_seeds
    of_images = (model["image"] + 2 * model["residual"] / num_seeds) / num_images
    variance = max(of_seeds + model["image"] / num_images, of_images)
    degrees = variance**2 / (of_seeds**2 / (2 * num_seeds - 2) + of_images**2 / (num_images - 1))
    t, shift = special.stdtrit(degrees, 0.975), difference / math.sqrt(variance)
    # The noncentral t, as a mean over estimated deviations.
    estimated = np.sqrt(special.chdtri(degrees, (np.arange(2000) + 0.5) / 2000) / degrees)
    return float((special.ndtr(shift - t * estimated) + special.ndtr(-shift - t * estimated)).mean())


def seeds_needed(deviation: float, num_images: int, difference: float, wanted: float = 0.8, most: int = 100) -> int:
    """Returns the least number of seeds of each variant with the wanted power; 0 if `most` do not suffice."""
    return next((n for n in range(3, most + 1) if power(n, deviation, num_images, difference) >= wanted), 0)


def cells() -> list[Cell]:
    """Returns the kinds of comparisons of the table, without and with a difference, and some that are less even."""
    even = [(n, deviation, images) for n in SEEDS for deviation in DEVIATIONS for images in IMAGES]
    more = [Cell(n, d, 750, x, 0.8) for n in (5, 10) for d in (0.01, 0.03) for x in (0.0, 0.02)]
    uneven = [(3, 0.03, 3, 0.0), (3, 0.03, 10, 0.01), (10, 0.03, 3, 0.01), (3, 0.01, 5, 0.03)]
    more += [Cell(n, deviation, 750, 0.0, 0.0, m, other) for n, deviation, m, other in uneven]
    return [*(Cell(*one, x) for x in (0.0, 0.02) for one in even), *more]


def main() -> None:
    """Measures and prints."""
    from step import machine

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=10_000, help="of each cell")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "false_positives.json")
    args = parser.parse_args()
    start = time.perf_counter()
    with ProcessPoolExecutor(args.jobs) as pool:
        listed = cells()
        counts = [args.comparisons // (4 if cell.difference else 1) for cell in listed]  # power needs no more
        found = list(pool.map(measure, listed, counts))
    seconds = time.perf_counter() - start
    result: dict = {"machine": machine(), "comparisons": args.comparisons, "seconds": seconds, "model": moments()}
    result["cells"] = [cell._asdict() | one for cell, one in zip(listed, found, strict=True)]
    result["worst"] = max(one["foodjax"] for one in found[:18])  # those without a difference
    print(f"{result['machine']}; {args.comparisons} comparisons a cell in {seconds:.0f} s\n")
    titles = ("seeds", "deviation", "images", "difference", "correlation", "foodjax", "seeds alone", "images alone")
    print("| " + " | ".join((*titles, "covered", "paired")) + " |\n|---|" + "---:|" * 9)
    for cell, one in zip(listed, found, strict=True):
        seeds = f"{cell.seeds}, {cell.seeds_of_theirs}" if cell.seeds_of_theirs else str(cell.seeds)
        other = f", {cell.deviation_of_theirs:.0%}" if cell.deviation_of_theirs >= 0 else ""
        shown = (one[name] for name in ("foodjax", "seeds_alone", "images_alone", "covered", "paired"))
        print(
            f"| {seeds} | {cell.deviation:.0%}{other} | {cell.images} | {cell.difference:.0%} | {cell.correlation} | "
            + " | ".join(f"{value:.1%}" for value in shown) + " |"
        )  # fmt: skip
    print(f"\nworst false positives of the first 18 cells: {result['worst']:.2%}\n")
    print(
        "| deviation | images | "
        + " | ".join(f"{x:.0%}" for x in (0.01, 0.02, 0.03, 0.05))
        + " |\n|---|---:|"
        + "---:|" * 4
    )
    result["seeds_needed"] = []
    for deviation in (0.005, *DEVIATIONS[1:]):
        for images in (*IMAGES, 10_000):
            needed = {x: seeds_needed(deviation, images, x) for x in (0.01, 0.02, 0.03, 0.05)}
            result["seeds_needed"].append({"deviation": deviation, "images": images, "needed": needed})
            print(f"| {deviation:.1%} | {images} | " + " | ".join(str(n or "> 100") for n in needed.values()) + " |")
    result["wins_covered"] = {
        f"{n} seeds{', paired' * paired}": {
            p: coverage_of_wins(n, paired, p, args.comparisons) for p in (0.5, 0.75, 0.9, 0.98)
        }
        for n, paired in ((3, False), (5, False), (10, False), (5, True), (10, True))
    }
    print("\ninterval of the probability of winning holds the true one:", json.dumps(result["wins_covered"], indent=1))
    result["flags"] = {
        f"{n} seeds, deviation {d}, {images} images": measure_flags(n, d, images, max(1, args.comparisons // 20))
        for n in SEEDS for d in DEVIATIONS for images in IMAGES
    }  # fmt: skip
    print("\nflags of failed seeds:", json.dumps(result["flags"], indent=1))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
