"""Benchmark of the training input, from photographs to augmented batches, against Keras, tf.data and torchvision.

    python benchmarks/input.py --data ../food-101 --originals ../food-101-originals

All make batches of 32 pictures of 128 pixels with the tutorial's augmentation from the train photographs of an
extracted food-101/. foodjax decodes once (timed separately, on all cores; --originals: larger photographs for that
alone) and then reads its prepared cache: with tf.data ("foodjax", of which the ratios are), with data.backend=threads,
and with data.backend=device, whose batches the device makes in a step. The peers read and decode files in every epoch:
Keras' ImageDataGenerator with one thread as in `fit` and with one for each core, a plain tf.data pipeline, and
torchvision with a worker process for each core, where it is installed. "tf.data, in memory" has the decoded pictures
there. Every round takes the same number of batches from each in turn. Writes benchmarks/results/input.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import foodjax  # noqa: E402

foodjax.setup()  # as main.py does

import jax  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras.src.legacy.preprocessing.image import ImageDataGenerator  # noqa: E402
from PIL import Image  # noqa: E402
from step import food101, machine  # noqa: E402

from experiments import food10  # noqa: E402
from foodjax.config.check import checked  # noqa: E402
from foodjax.config.keys import Config  # noqa: E402
from foodjax.data import tf_batches, thread_batches  # noqa: E402
from foodjax.data.device_batches import make_batch, put_images, sample_recipe  # noqa: E402
from foodjax.data.prepare import prepare  # noqa: E402
from foodjax.data.prepared import Prepared  # noqa: E402
from foodjax.data.sources.find import create_source  # noqa: E402
from foodjax.steps.devices import create_mesh  # noqa: E402

HERE = Path(__file__).parent
BATCH_SIZE, SIDE = 32, 128


def link(root: Path, folder: Path) -> Path:
    """Fills folder/<class>/ with links to the train photographs of a food-101/, and returns the folder."""
    for name, ids in json.loads((root / "meta" / "train.json").read_text()).items():
        (folder / name).mkdir(parents=True)
        for i in ids:
            (folder / f"{i}.jpg").symlink_to((root / "images" / f"{i}.jpg").resolve())
    return folder


def prepared(root: Path, cache: Path) -> tuple[Config, Prepared, dict[str, float]]:
    """Prepares the train photographs of a food-101/; returns their rate and the median of their longer sides, too."""
    config = food10.get_config()
    config.data.update(dir=str(root), cache_dir=str(cache), num_classes=0)
    config = checked(config)
    start = time.perf_counter()
    data = prepare(create_source(config), "train", config, lambda title, total, items: items)
    rate = len(data.images) / (time.perf_counter() - start)
    sides = [max(Image.open(path).size) for path in sorted((root / "images").rglob("*.jpg"))[::25]]
    return config, data, {"longer_side": statistics.median(sides), "images_per_second": rate}


def keras_flow(folder: Path):
    """Returns the tutorial's training iterator over folders of photographs."""
    generator = ImageDataGenerator(
        rotation_range=90, width_shift_range=0.5, brightness_range=(0.1, 0.7), horizontal_flip=True,
        vertical_flip=True, rescale=1 / 255,
    )  # fmt: skip
    return generator.flow_from_directory(folder, target_size=(SIDE, SIDE), batch_size=BATCH_SIZE, seed=0)


def plain_tf_data(folder: Path, in_memory: bool) -> tf.data.Dataset:
    """Returns endless batches of a tf.data pipeline as its guide writes it, with the tutorial's augmentation.

    Args:
        folder: of the folders of photographs.
        in_memory: the decoded pictures are, before the first batch.
    """
    files = [str(path) for path in sorted(folder.glob("*/*.jpg"))]
    names = sorted(path.name for path in folder.iterdir())
    labels = [names.index(Path(file).parent.name) for file in files]

    def decode(file, label):
        image = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
        return tf.image.resize(image, (SIDE, SIDE), "nearest"), label

    def augment(image, label):
        angle, shift = tf.random.uniform((), -np.pi / 2, np.pi / 2), tf.random.uniform((), -SIDE / 2, SIDE / 2)
        cos, sin, middle = tf.cos(angle), tf.sin(angle), (SIDE - 1) / 2
        # Output pixels (x, y) show the input at (cos x - sin y + ..., sin x + cos y + ...).
        rows = [cos, -sin, middle - cos * (middle - shift) + sin * middle,
                sin, cos, middle - sin * (middle - shift) - cos * middle, 0.0, 0.0]  # fmt: skip
        image = tf.raw_ops.ImageProjectiveTransformV3(
            images=image[None], transforms=tf.stack(rows)[None], output_shape=(SIDE, SIDE), fill_value=0.0,
            interpolation="NEAREST", fill_mode="NEAREST",
        )[0]  # fmt: skip
        image = tf.image.random_flip_up_down(tf.image.random_flip_left_right(image))
        return tf.cast(image, tf.float32) * tf.random.uniform((), 0.1, 0.7) / 255, label

    ds = tf.data.Dataset.from_tensor_slices((files, labels))
    if in_memory:
        whole = next(iter(ds.map(decode, tf.data.AUTOTUNE).batch(len(files))))
        order = tf.data.Dataset.range(len(files)).shuffle(len(files)).repeat()
        ds = order.map(lambda i: (tf.gather(whole[0], i), tf.gather(whole[1], i)))
    else:
        ds = ds.shuffle(len(files)).repeat().map(decode, tf.data.AUTOTUNE)
    return ds.map(augment, tf.data.AUTOTUNE).batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)


class Torchvision:
    """torchvision's input, in a process of its own."""

    def __init__(self, folder: Path):
        command = [sys.executable, str(HERE / "peers" / "torchvision_input.py"), str(folder), str(os.cpu_count())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "ready\n"

    def take(self, batches: int) -> float:
        """Returns the seconds of a number of batches."""
        print(batches, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()


def timed(take: Callable[[int], int]) -> Callable[[int], float]:
    """Returns a function that gives the seconds in which `take` makes a number of batches."""

    def seconds(batches: int) -> float:
        start = time.perf_counter()
        assert take(batches) == batches * BATCH_SIZE
        return time.perf_counter() - start

    return seconds


def ours(config: Config, data: Prepared) -> dict[str, Callable[[int], float]]:
    """Returns foodjax's own inputs."""
    rows, images = np.arange(len(data.images)), put_images(data, create_mesh(BATCH_SIZE))
    make = jax.jit(make_batch, static_argnums=2)

    def take(module):
        return lambda batches: sum(
            len(batch["image"]) for batch in module.train_batches(data, rows, config, 0, batches)
        )

    def take_device(batches):
        made = 0
        for step in range(batches):
            recipe = jax.tree.map(lambda x: x[0], sample_recipe(data, rows, config, step, 1))
            made += len(jax.block_until_ready(make(images, recipe, SIDE))["image"])
        return made

    return {
        "foodjax": timed(take(tf_batches)), "foodjax, threads": timed(take(thread_batches)),
        "foodjax, device": timed(take_device),
    }  # fmt: skip


def theirs(folder: Path) -> dict[str, Callable[[int], float]]:
    """Returns the peers' inputs from folders of photographs, but torchvision's."""
    flow, threads = keras_flow(folder), os.cpu_count() or 1

    def take_keras(batches):
        return sum(len(flow[i][0]) for i in range(batches))

    def take_keras_threads(batches):
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(lambda i: len(flow[i][0]), range(batches)))

    def take_tf(ds):
        return lambda batches: sum(len(images) for images, _ in ds.take(batches))

    return {
        "keras": timed(take_keras), f"keras, {threads} threads": timed(take_keras_threads),
        "tf.data": timed(take_tf(plain_tf_data(folder, in_memory=False))),
        "tf.data, in memory": timed(take_tf(plain_tf_data(folder, in_memory=True))),
    }  # fmt: skip


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=food101, required=True, help="an extracted food-101/")
    parser.add_argument("--originals", type=food101, help="another one, of larger photographs, to prepare")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=30)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "input.json")
    args = parser.parse_args()
    table = {"machine": machine(), "rounds": args.rounds, "batches": args.batches, "cores": os.cpu_count()}
    torchvision = None
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        config, data, _ = prepared(args.data, folder / "cache")
        for name, root in {"prepare": args.data, "prepare_originals": args.originals}.items():
            if root:
                found = [prepared(root, folder / f"{name}{i}")[2] for i in range(3)]
                rate = statistics.median(one["images_per_second"] for one in found)
                table[name] = found[0] | {"images_per_second": rate}
        links = link(args.data, folder / "links")
        peers = ours(config, data) | theirs(links)
        if find_spec("torchvision"):
            torchvision = Torchvision(links)
            peers["torchvision"] = torchvision.take
        else:
            print("torchvision is not installed and left out: pip install torchvision")
        seconds: dict[str, list[float]] = {name: [] for name in peers}
        for i in range(args.rounds + 1):
            for name, take in peers.items():
                taken = take(args.batches)
                if i:  # the first round warms up
                    seconds[name].append(taken)
        if torchvision:
            torchvision.close()
    print(f"{table['machine']}; medians of {args.rounds} interleaved rounds of {args.batches} batches")
    for name, times in seconds.items():
        rate = args.batches * BATCH_SIZE / statistics.median(times)
        ratio = statistics.median(t / own for t, own in zip(times, seconds["foodjax"], strict=True))
        table[name] = {"images_per_second": rate, "foodjax_is_times_faster": ratio}
        print(f"{name:20}{rate:10.0f} images/s   foodjax is {ratio:.2f} times as fast")
    for name in ("prepare", "prepare_originals"):
        if name in table:
            side, rate = table[name]["longer_side"], table[name]["images_per_second"]
            print(f"preparing photographs of {side:.0f} pixels, once: {rate:.0f} images/s")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
