"""Benchmark of the backbones against timm's in PyTorch, channels last: evaluation and training step.

    pip install timm
    python benchmarks/backbones.py

Each peer runs in its own process. All warm up first, and every round times one step of each in turn, so that a busy
moment of the machine affects both. Prints images/s as medians, and the median of the ratios of the rounds. Writes
benchmarks/results/backbones.json.
"""

import argparse
import json
import statistics
from pathlib import Path

from step import HERE, Peer, machine

PEERS = ("foodjax", "timm")


def measure(backbone: str, side: int, batch_size: int, rounds: int) -> dict[str, dict[str, float]]:
    """Returns images/s of both peers and their ratio, for "train" and "predict", and the peak memory in MiB."""
    peers = {name: Peer(name, batch_size, "--backbone", backbone, "--side", str(side)) for name in PEERS}
    row: dict[str, dict[str, float]] = {}
    for command in ("predict", "train"):
        seconds: dict[str, list[float]] = {name: [] for name in peers}
        for i in range(2 + rounds):
            for name in PEERS if i % 2 else PEERS[::-1]:  # the order changes: a peer slows down the next one
                taken = peers[name].ask(command)
                if i >= 2:
                    seconds[name].append(taken)
        ratios = [theirs / ours for ours, theirs in zip(*(seconds[name] for name in PEERS), strict=True)]
        row[command] = {name: batch_size / statistics.median(times) for name, times in seconds.items()}
        row[command]["ratio"] = statistics.median(ratios)
    row["peak_memory_mib"] = {name: peer.ask("memory") for name, peer in peers.items()}
    for peer in peers.values():
        peer.close()
    return row


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", default="efficientnet_lite0,resnet50")
    parser.add_argument("--batch_sizes", default="16,64")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "backbones.json")
    args = parser.parse_args()
    table = {"machine": machine(), "side": args.side, "rounds": args.rounds, "results": []}
    print(table["machine"])
    for backbone in args.backbones.split(","):
        for batch_size in map(int, args.batch_sizes.split(",")):
            row = measure(backbone, args.side, batch_size, args.rounds)
            table["results"].append({"backbone": backbone, "batch_size": batch_size, **row})
            for command in ("predict", "train"):
                ours, theirs, ratio = (row[command][name] for name in (*PEERS, "ratio"))
                print(
                    f"{backbone:20} batch {batch_size:3} {command:8} foodjax {ours:7.1f} images/s, timm {theirs:7.1f}: "
                    f"{ratio:.2f} times as fast",
                    flush=True,
                )
            args.output.parent.mkdir(parents=True, exist_ok=True)
            args.output.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
