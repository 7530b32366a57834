"""How often a comparison over folds errs: false positives, power and intervals, on trainings of a small classifier.

    python benchmarks/folds.py

Each comparison draws photographs of two classes: normal numbers around plus or minus a mean, some that both variants
get and some that one of them gets. A variant is a classifier by least squares on its numbers, trained on the other
folds, so that trainings share photographs as they do in a cross-validation. Both variants get as many numbers that are
as telling: without a difference in the means none is true. How right a trained classifier is on new photographs is
known exactly, so the true accuracy is the mean of that over many trainings of the same size. Prints, as Markdown, how
often p < 0.05 for the method of foodjax, for the paired t test over folds, and for McNemar's test of the out-of-fold
predictions, and how often 95 % intervals hold the truth. Writes benchmarks/results/folds.json.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
from scipy import special  # noqa: E402

from foodjax.study import significance  # noqa: E402

BLOCK = 50  # comparisons at once


class Cell(NamedTuple):
    """One kind of comparison.

    Attributes:
        folds: of a cross-validation.
        repeats: cross-validations, each with another assignment to folds.
        images: photographs of both classes together; a multiple of twice the folds.
        shared: numbers of a photograph that both variants get.
        own: numbers that one variant alone gets.
        signal: length of the mean of the shared numbers, and of each variant's own.
        more: added to the length of the mean of our own numbers.
    """

    folds: int
    repeats: int
    images: int
    shared: int
    own: int
    signal: float = 0.8
    more: float = 0.0


def cells() -> list[Cell]:
    """Returns the kinds that the benchmark measures."""
    sizes = [(200, 10, 10), (100, 0, 40), (1000, 10, 10)]
    designs = [(5, 1), (10, 1), (5, 3), (5, 10)]
    return [
        Cell(folds, repeats, images, shared, own, more=more)
        for images, shared, own in sizes
        for folds, repeats in designs
        for more in (0.0, 0.3)
    ]


def simulate(cell: Cell, count: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draws comparisons and cross-validates both variants.

    Args:
        cell: their kind.
        count: C.
        rng: draws everything.

    Yields:
        For our variant and for the baseline: (whether each photograph is predicted right by the networks that have not
        seen it, bool (C, R, F, M) for R repeats and F folds of M photographs; the accuracy of each network on new
        photographs, (C, R, F)).
    """
    half, width = cell.images // 2, cell.shared + 2 * cell.own
    sign = np.repeat([1.0, -1.0], half)
    means = np.zeros((2, width))  # of our variant and of the baseline; of what it does not get 0
    for k, signal in enumerate((cell.signal + cell.more, cell.signal)):
        means[k, : cell.shared] = cell.signal / np.sqrt(max(1, cell.shared))
        first = cell.shared + k * cell.own
        means[k, first : first + cell.own] = signal / np.sqrt(cell.own)
    both = np.maximum(means[0], means[1])
    drawn = rng.standard_normal((count, cell.images, width)) + sign[:, None] * both
    order = np.concatenate(
        [k * half + rng.permuted(np.tile(np.arange(half), (count, cell.repeats, 1)), axis=-1) for k in (0, 1)], axis=-1
    )  # (C, R, N), class by class
    # Stratified: a fold has the same share of both.
    folds = (
        order.reshape(count, cell.repeats, 2, cell.folds, -1)
        .swapaxes(2, 3)
        .reshape(count, cell.repeats, cell.folds, -1)
    )
    for k in (0, 1):
        used = np.r_[0 : cell.shared, cell.shared + k * cell.own : cell.shared + (k + 1) * cell.own]
        x = np.concatenate([drawn[..., used], np.ones((count, cell.images, 1))], axis=-1)  # (C, N, D)
        square, target = np.einsum("cnd,cne->cde", x, x), np.einsum("cnd,n->cd", x, sign)
        right = np.empty(folds.shape, bool)
        accuracy = np.empty(folds.shape[:-1])
        for r in range(cell.repeats):
            for f in range(cell.folds):
                rows = folds[:, r, f]  # (C, M)
                held, truth = np.take_along_axis(x, rows[..., None], axis=1), sign[rows]
                others = square - np.einsum("cmd,cme->cde", held, held)
                weights = np.linalg.solve(others, (target - np.einsum("cmd,cm->cd", held, truth))[..., None])[..., 0]
                right[:, r, f] = np.einsum("cmd,cd->cm", held, weights) * truth > 0
                length = np.linalg.norm(weights[:, :-1], axis=-1)
                apart, shift = weights[:, :-1] @ means[k, used] / length, weights[:, -1] / length
                accuracy[:, r, f] = (special.ndtr(apart + shift) + special.ndtr(apart - shift)) / 2
        yield right, accuracy


def measure(cell: Cell, count: int, seed: int = 0) -> dict[str, float]:
    """Returns rates over `count` comparisons: p < 0.05 by each method, and intervals that hold the truth."""
    rng, start = np.random.default_rng([seed, *(round(1000 * value) for value in cell)]), time.process_time()
    found = [list(simulate(cell, min(BLOCK, count - first), rng)) for first in range(0, count, BLOCK)]
    right, true = (
        [np.concatenate([block[k][i] for block in found]) for k in (0, 1)] for i in (0, 1)
    )  # ours and theirs, each (C, R, F, M) and (C, R, F)
    ours, theirs = (one.mean(-1).reshape(count, -1) for one in right)  # (C, J)
    apart, tested = true[0].mean() - true[1].mean(), 1 / (cell.folds - 1)
    test = significance.over_folds(ours, theirs, tested=tested, images=cell.repeats * cell.images)
    low, high = significance.of_folds(theirs, tested=tested, images=cell.repeats * cell.images)
    accuracy = true[1].mean()
    # The textbook's, as if the folds were independent.
    gain, draws = ours - theirs, ours.shape[1]
    error = np.maximum(gain.std(-1, ddof=1) / np.sqrt(draws), 1e-9)
    naive = 2 * special.stdtr(draws - 1, -np.abs(gain.mean(-1)) / error)
    half = special.stdtrit(draws - 1, 0.975) * theirs.std(-1, ddof=1) / np.sqrt(draws)
    mcnemar = [significance.over_images(a.ravel(), b.ravel()).p for a, b in zip(*(r[:, 0] for r in right), strict=True)]
    return {
        "foodjax": float((test.p < 0.05).mean()),
        "paired_t": float((naive < 0.05).mean()),
        "mcnemar": float((np.array(mcnemar) < 0.05).mean()),
        "covered": float(((test.low <= apart) & (apart <= test.high)).mean()),
        "accuracy_covered": float(((low <= accuracy) & (accuracy <= high)).mean()),
        "accuracy_covered_t": float((np.abs(theirs.mean(-1) - accuracy) <= half).mean()),
        "accuracy": float(accuracy), "difference": float(apart), "seconds": time.process_time() - start,
    }  # fmt: skip


def main() -> None:
    """Measures all cells and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=800, help="of a cell")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "folds.json")
    args = parser.parse_args()
    from step import machine

    start, listed = time.perf_counter(), cells()
    with ProcessPoolExecutor(args.jobs) as pool:
        found = list(pool.map(measure, listed, [args.comparisons] * len(listed)))
    seconds = time.perf_counter() - start
    print(f"{machine()}; {args.comparisons} comparisons a cell in {seconds:.0f} s\n")
    names = ("foodjax", "paired_t", "mcnemar", "covered", "accuracy_covered", "accuracy_covered_t")
    print("| folds | images | numbers | difference | " + " | ".join(names) + " |\n|---|" + "---:|" * (3 + len(names)))
    for cell, one in zip(listed, found, strict=True):
        folds = f"{cell.folds} x {cell.repeats}" if cell.repeats > 1 else cell.folds
        shown = " | ".join(f"{one[name]:.1%}" for name in names)
        print(f"| {folds} | {cell.images} | {cell.shared + cell.own} | {one['difference']:.1%} | {shown} |")
    result = {"machine": machine(), "comparisons": args.comparisons, "seconds": seconds}
    result["cells"] = [cell._asdict() | one for cell, one in zip(listed, found, strict=True)]
    result["worst"] = max(one["foodjax"] for cell, one in zip(listed, found, strict=True) if not cell.more)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
