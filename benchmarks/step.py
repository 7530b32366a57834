"""Benchmark of the train and predict step of the tutorial's network against Keras, PyTorch and (--peers) plain Flax.

    pip install -e '.[bench]'
    python benchmarks/step.py

Each peer runs in its own process. All warm up first, and every round times one step of each in turn, so that a busy
moment of the machine affects all of them. foodjax runs with a tuned malloc, as main.py does, the others with the
default; --tuned_malloc tunes the malloc of all. Prints medians, images/s, and the median of the per-round ratios to
Keras. Writes benchmarks/results/step.json.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


class Peer:
    """A worker process that times steps on demand."""

    def __init__(self, name: str, batch_size: int, *more: str):
        module, _, precision = name.partition("-")
        more = (*more, "--bfloat16") if precision == "bfloat16" else more
        command = [sys.executable, str(HERE / "peers" / "worker.py"), module, str(batch_size), *more]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        while (line := self._read()) != "ready":
            print(f"{name}: {line}")

    def ask(self, command: str) -> float:
        """Returns the answer to "train", "predict" (seconds) or "memory" (MiB)."""
        print(command, file=self._process.stdin, flush=True)
        return float(self._read())

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"a peer ended early with status {self._process.wait()}: is the bench extra installed?")
        return line.strip()


def food101(text: str) -> Path:
    """Returns the extracted food-101/ that an argument names; an argparse type."""
    if not (Path(text) / "meta" / "train.json").is_file():
        raise argparse.ArgumentTypeError(f"{text} has no meta/train.json: needs an extracted food-101/")
    return Path(text)


def machine() -> str:
    """Returns the processor's name and the number of cores."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
        avx512 = any("avx512f" in line for line in lines)
    except (OSError, StopIteration):
        return platform.processor()
    return f"{sum(line.startswith('processor') for line in lines)} cores of {name}{', AVX-512' if avx512 else ''}"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--peers", default="foodjax,foodjax-bfloat16,keras,torch,torch-bfloat16", help="plain Flax is the peer flax"
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--tuned_malloc", action="store_true")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "step.json")
    args = parser.parse_args()
    more = ["--tuned_malloc"] * args.tuned_malloc
    peers = {name: Peer(name, args.batch_size, *more) for name in args.peers.split(",")}
    table = {"machine": machine(), "batch_size": args.batch_size, "rounds": args.rounds}
    table["tuned_malloc_for_all"] = args.tuned_malloc
    for command in ("train", "predict"):
        seconds = {name: [] for name in peers}
        for i in range(args.warmup + args.rounds):
            names = list(peers)  # the order rotates: a peer slows down the next one
            for name in names[i % len(names) :] + names[: i % len(names)]:
                taken = peers[name].ask(command)
                if i >= args.warmup:
                    seconds[name].append(taken)
        for name, times in seconds.items():
            row = {
                "ms": 1e3 * statistics.median(times),
                "images_per_second": args.batch_size / statistics.median(times),
            }
            if "keras" in peers:
                row["times_keras"] = statistics.median(k / t for k, t in zip(seconds["keras"], times, strict=True))
            table.setdefault(command, {})[name] = row
    table["peak_memory_mib"] = {name: peer.ask("memory") for name, peer in peers.items()}
    for peer in peers.values():
        peer.close()
    print(f"{table['machine']}; batch {args.batch_size}, medians of {args.rounds} interleaved rounds")
    print(f"{'':18}{'train':>12}{'x Keras':>10}{'predict':>14}{'x Keras':>10}{'peak MiB':>11}")
    for name in peers:
        train, predict = table["train"][name], table["predict"][name]
        print(
            f"{name:18}{train['images_per_second']:8.1f} i/s{train.get('times_keras', 0):10.2f}"
            f"{predict['images_per_second']:10.1f} i/s{predict.get('times_keras', 0):10.2f}"
            f"{table['peak_memory_mib'][name]:11.0f}"
        )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
