"""One peer in one process: builds the tutorial's network, then times a train or predict step for every line it reads.

    python benchmarks/peers/worker.py foodjax 32
    python benchmarks/peers/worker.py timm 16 --backbone resnet50 --side 224

Reads "train" or "predict" on stdin and answers each with the seconds of one synchronous step, "memory" with the
peak resident memory in MiB. The parent (`benchmarks/step.py`) alternates between such processes.
"""

import argparse
import importlib
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from foodjax.system.malloc import tune_malloc  # noqa: E402


def main() -> None:
    """Serves until stdin closes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of a module peer_NAME")
    parser.add_argument("batch_size", type=int)
    parser.add_argument("--tuned_malloc", action="store_true")
    parser.add_argument("--bfloat16", action="store_true", help="model.dtype, or PyTorch's autocast")
    parser.add_argument("--backbone", help="in the place of the tutorial's network")
    parser.add_argument("--side", type=int, default=128, help="of the pictures")
    args = parser.parse_args()
    name, batch_size, side = args.name, args.batch_size, args.side
    if name == "foodjax" or args.tuned_malloc:
        tune_malloc()  # as main.py does
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch_size, side, side, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, batch_size, dtype=np.int32)
    peer = importlib.import_module(f"peer_{name}")
    options = {"backbone": args.backbone} if args.backbone else {}
    steps = peer.create_steps(images, labels, **options, **({"bfloat16": True} if args.bfloat16 else {}))
    print("ready", flush=True)
    for line in sys.stdin:
        command = line.strip()
        if command == "memory":
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
            continue
        start = time.perf_counter()
        steps[command]()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
