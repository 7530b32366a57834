"""Benchmark of finding wrong labels: flips some, looks for them with a probe's features, and trains with and without.

    python benchmarks/wrong_labels.py --data ../food-101 --weights efficientnet_lite2.pth --size 2 --seeds 5

Gives 5 % of the training photographs, in Food-101's layout, the label of another class, at random by seed. Out-of-fold
probabilities on features of EfficientNet-Lite, as `foodjax labels` has them, rank all labels. Reported are precision
and recall among the 5 % most suspicious, the same for what confident learning takes for wrong, and the accuracy of the
probe's linear classifier on the test part when it is fitted to: all photographs with the flipped labels; those without
the 5 % most suspicious; without what confident learning found; without the flipped ones; all with the labels as they
are. The labels as they are have errors of their own, which count as right here: the precision is a lower bound.

--first writes a table of the likeliest wrong ones among the labels as they are, for somebody to look at.

The features are computed once and kept in the cache. Prints mean and deviation over the seeds, and writes
benchmarks/results/wrong_labels.json, first what was found with all seeds, then the accuracies.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from step import HERE, machine

from foodjax import load_config, load_data
from foodjax.config.check import checked, replace
from foodjax.data.duplicate_groups import groups_of
from foodjax.evaluation import label_errors
from foodjax.run import linear, out_of_fold
from foodjax.run.probe import compute_features
from foodjax.run.wiring import Engine
from foodjax.system.cells import to_csv
from foodjax.system.setup import setup

STRENGTHS = (10**-0.5, 0.1, 10**-1.5)  # of the classifiers for the accuracy; the best lies inside


def flip(labels: np.ndarray, num_classes: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the labels with a share of them changed, each to any other class, and which, bool (N,)."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(labels), round(share * len(labels)), replace=False)
    flipped = labels.copy()
    flipped[chosen] = (labels[chosen] + rng.integers(1, num_classes, len(chosen))) % num_classes
    return flipped, np.isin(np.arange(len(labels)), chosen)


def first(data, probabilities: np.ndarray, count: int) -> str:
    """Returns the likeliest wrong labels of the train set as CSV."""
    suspects, names, rows = label_errors.find(probabilities, data.train.labels), data.train.class_names, []
    for rank, i in enumerate(suspects.order[:count].tolist(), start=1):
        given, other = int(data.train.labels[i]), int(suspects.suggested[i])
        p_given, p_other = (f"{probabilities[i, k]:.4f}" for k in (given, other))
        rows.append((rank, data.train.found.files[i], names[given], names[other], p_given, p_other))
    return to_csv(("rank", "file", "given", "suggested", "p_given", "p_suggested"), rows, end="\n")


def scores(found: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """Returns precision and recall of what was found, bool (N,)."""
    hits = float((found & wrong).sum())
    return {"found": int(found.sum()), "precision": hits / max(found.sum(), 1), "recall": hits / wrong.sum()}


def accuracy(features, labels, groups, kept, test_features, test_labels, num_classes: int) -> float:
    """Returns the accuracy on the test part of a classifier that is fitted to the photographs `kept`, bool (N,)."""
    fitted = linear.fit(features[kept], labels[kept], num_classes, STRENGTHS, groups=groups[kept])
    return float(((test_features @ fitted.kernel + fitted.bias).argmax(1) == test_labels).mean())


class Seed(NamedTuple):
    """What one seed found: the flipped labels, which those are, and what is suspected."""

    labels: np.ndarray
    wrong: np.ndarray
    top: np.ndarray
    found: np.ndarray


def find(features, labels, groups, num_classes: int, share: float, seed: int) -> tuple[dict, Seed]:
    """Returns the row of one seed, and what it found."""
    start = time.perf_counter()
    flipped, wrong = flip(labels, num_classes, share, seed)
    held_out = out_of_fold.predict(features, flipped, num_classes, seed=seed, groups=groups)
    suspects = label_errors.find(held_out.probabilities, flipped)
    seconds = time.perf_counter() - start
    top = np.isin(np.arange(len(labels)), suspects.order[: int(wrong.sum())])
    row = {
        "seed": seed, "flipped": int(wrong.sum()), "seconds": seconds, "strengths": held_out.strengths,
        "most_suspicious": scores(top, wrong), "confident_learning": scores(suspects.is_found, wrong),
        "suggested": float((suspects.suggested == labels)[top & wrong].mean()),
    }  # fmt: skip
    return row, Seed(flipped, wrong, top, suspects.is_found)


def accuracies(features, labels, groups, test_features, test_labels, num_classes: int, one: Seed) -> dict[str, float]:
    """Returns the accuracy on the test part with and without photographs."""
    every = np.ones(len(labels), bool)
    fits = {
        "all photographs, flipped labels": (one.labels, every),
        "without the most suspicious": (one.labels, ~one.top),
        "without those that confident learning found": (one.labels, ~one.found),
        "without the flipped ones": (one.labels, ~one.wrong),
        "all photographs, labels as they are": (labels, every),
    }
    return {
        name: accuracy(features, some, groups, kept, test_features, test_labels, num_classes)
        for name, (some, kept) in fits.items()
    }


def summary(rows: list[dict]) -> dict[str, dict[str, float]]:
    """Returns mean and deviation of each number over the seeds."""
    tested = [row for row in rows if "test_accuracy" in row]
    names = tested[0]["test_accuracy"] if tested else ()
    columns = {
        **{f"{kind}, {name}": [row[kind][name] for row in rows]
           for kind in ("most_suspicious", "confident_learning") for name in ("found", "precision", "recall")},
        "suggested": [row["suggested"] for row in rows],
        **{f"test accuracy, {name}": [row["test_accuracy"][name] for row in tested] for name in names},
        "seconds": [row["seconds"] for row in rows],
    }  # fmt: skip
    return {
        name: {"mean": statistics.mean(values), "deviation": statistics.stdev(values) if len(values) > 1 else 0.0}
        for name, values in columns.items()
    }


def write(path: Path, table: dict) -> None:
    """Writes what is known so far."""
    table["summary"] = summary(table["rows"])
    path.write_text(json.dumps(table, indent=2) + "\n")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder in Food-101's layout")
    parser.add_argument("--weights", type=Path, required=True, help="of EfficientNet-Lite")
    parser.add_argument("--size", type=int, choices=(0, 1, 2), default=2, help="of EfficientNet-Lite")
    parser.add_argument("--share", type=float, default=0.05, help="of the labels to flip")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=Path, help="CSV of the fifty likeliest wrong ones, without any flipped")
    parser.add_argument("--cache", type=Path, help="folder of the prepared photographs")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "wrong_labels.json")
    args = parser.parse_args()
    setup()
    changes = {"data.dir": str(args.data), "model.init_from": str(args.weights), "train.solver": "probe"}
    changes |= {"data.cache_dir": str(args.cache or "")}
    variant = f":size={args.size}" if args.size else ""
    config = replace(checked(load_config(f"food10_probe{variant}")), changes)
    data = load_data(config)
    engine = Engine(config, data.train.class_names)
    state = engine.create_state()
    rows, tested = np.arange(len(data.train.ids)), np.arange(len(data.test.ids))
    # The mean of a picture and its mirror image.
    features = compute_features(engine, state, data.train, rows).mean(0)
    test_features = compute_features(engine, state, data.test, tested).mean(0)
    of_row = {int(row): part for part in ("train", "validation") for row in getattr(data.parts, part)}
    groups = groups_of(data.duplicates.pairs if data.duplicates else (), [(of_row[row], row) for row in rows.tolist()])
    about = {"network": f"EfficientNet-Lite{args.size}", "photographs": len(rows), "share": args.share}
    if args.first:
        held_out = out_of_fold.predict(features, data.train.labels, len(data.train.class_names), groups=groups)
        args.first.write_text(first(data, held_out.probabilities, 50))
    table = {"machine": machine(), **about, "rows": []}
    labels, num_classes, found = data.train.labels, len(data.train.class_names), {}
    for seed in range(args.seeds):
        row, found[seed] = find(features, labels, groups, num_classes, args.share, seed)
        table["rows"].append(row)
        print(f"seed {seed}: recall {row['most_suspicious']['recall']:.1%}, {row['seconds']:.0f} s", flush=True)
        write(args.output, table)
    for row in table["rows"]:
        row["test_accuracy"] = accuracies(
            features, labels, groups, test_features, data.test.labels, num_classes, found[row["seed"]]
        )
        write(args.output, table)
    print(f"{table['machine']}; {about}")
    for name, values in table["summary"].items():
        print(f"{name:60} {values['mean']:.4g} ± {values['deviation']:.2g}")


if __name__ == "__main__":
    main()
