"""Benchmark of the training input, from photographs to augmented batches, against Keras' ImageDataGenerator.

    python benchmarks/input.py --data ../food-101

Both read the train photographs of an extracted food-101/ with the tutorial's augmentation, batch 32, 128 px. Keras
reads and decodes files in every epoch, with one thread as in `fit` and with one for each core; foodjax decodes once
(timed separately) and then reads its prepared cache, with tf.data ("foodjax", of which the ratios are) and with
data.backend=threads. Every round takes the same number of batches from each in turn.
Writes benchmarks/results/input.json.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import foodjax  # noqa: E402

foodjax.setup()  # as main.py does

import numpy as np  # noqa: E402
from keras.src.legacy.preprocessing.image import ImageDataGenerator  # noqa: E402
from step import food101, machine  # noqa: E402

from experiments import food10  # noqa: E402
from foodjax.config.check import checked  # noqa: E402
from foodjax.data import tf_batches, thread_batches  # noqa: E402
from foodjax.data.prepare import prepare  # noqa: E402
from foodjax.data.sources.find import create_source  # noqa: E402

BATCH_SIZE = 32


def keras_flow(root: Path, folder: Path):
    """Returns the tutorial's training iterator over links to the train photographs."""
    for name, ids in json.loads((root / "meta" / "train.json").read_text()).items():
        (folder / name).mkdir()
        for i in ids:
            (folder / f"{i}.jpg").symlink_to((root / "images" / f"{i}.jpg").resolve())
    generator = ImageDataGenerator(
        rotation_range=90, width_shift_range=0.5, brightness_range=(0.1, 0.7), horizontal_flip=True,
        vertical_flip=True, rescale=1 / 255,
    )  # fmt: skip
    return generator.flow_from_directory(folder, target_size=(128, 128), batch_size=BATCH_SIZE, seed=0)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=food101, required=True, help="an extracted food-101/")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=30)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "input.json")
    args = parser.parse_args()
    threads = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        config = food10.get_config()
        config.data.update(dir=str(args.data), cache_dir=folder, num_classes=0)
        config = checked(config)
        start = time.perf_counter()
        data = prepare(create_source(config), "train", config, lambda title, total, items: items)
        prepare_rate = len(data.images) / (time.perf_counter() - start)
        links = Path(folder) / "links"
        links.mkdir()
        flow, rows = keras_flow(args.data, links), np.arange(len(data.images))

        def take_foodjax(module=tf_batches):
            return sum(len(batch["image"]) for batch in module.train_batches(data, rows, config, 0, args.batches))

        def take_threads():
            return take_foodjax(thread_batches)

        def take_keras():
            return sum(len(flow[i][0]) for i in range(args.batches))

        def take_keras_threads():
            with ThreadPoolExecutor(threads) as pool:
                return sum(pool.map(lambda i: len(flow[i][0]), range(args.batches)))

        peers = {"foodjax": take_foodjax, "foodjax, threads": take_threads}
        peers |= {"keras": take_keras, f"keras, {threads} threads": take_keras_threads}
        seconds: dict[str, list[float]] = {name: [] for name in peers}
        for i in range(args.rounds + 1):
            for name, take in peers.items():
                start = time.perf_counter()
                assert take() == args.batches * BATCH_SIZE
                if i:  # the first round warms up
                    seconds[name].append(time.perf_counter() - start)
    images = args.batches * BATCH_SIZE
    table = {"machine": machine(), "rounds": args.rounds, "batches": args.batches}
    table["prepare_images_per_second"] = prepare_rate
    print(f"{table['machine']}; medians of {args.rounds} interleaved rounds of {args.batches} batches")
    for name, times in seconds.items():
        rate = images / statistics.median(times)
        ratio = statistics.median(t / ours for t, ours in zip(times, seconds["foodjax"], strict=True))
        table[name] = {"images_per_second": rate, "foodjax_is_times_faster": ratio}
        print(f"{name:20}{rate:10.0f} images/s   foodjax is {ratio:.2f} times as fast")
    print(f"preparing the cache, once: {prepare_rate:.0f} images/s")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
