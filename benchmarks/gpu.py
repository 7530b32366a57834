"""Benchmark of one GPU: speed, PyTorch on the same card, whether two runs give the same bits, and what these cost.

    python benchmarks/gpu.py --train FOLDER --test FOLDER
    python benchmarks/gpu.py --smoke

NOT YET RUN ON A GPU: `--smoke`, a tiny network for a machine without one, has run to its end on a CPU.

Needs JAX, flax, optax, orbax, PyTorch and what foodjax imports without TensorFlow (ml_collections, rich, filelock,
jaxtyping, scikit-learn). FOLDERs are prepared sets (images.npy and info.json in the user's cache); without them the
pictures are random bytes, 3190 to train, in the tutorial's sizes. Every measurement runs in its own process and has the
card for itself; one that fails is named and the others continue. Times are medians; the program waits for the card at
the end of each repetition alone. Writes benchmarks/results/gpu.json.
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "peers")]
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "torch", "numpy")


def rate(work, finish, count: int, repeats: int = 5, warmup: int = 3) -> float:
    """Returns the calls of `work()` per second: median of `repeats` timings of `count` calls, after `warmup` calls."""
    for _ in range(warmup):
        work()
    finish()
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(count):
            work()
        finish()
        rates.append(count / (time.perf_counter() - start))
    return statistics.median(rates)


# The measurements: each runs in its own process and returns a dict for JSON.


def create_config(args):
    """Returns the tutorial's experiment on the device path; with a tiny network for --smoke."""
    from experiments import food10
    from foodjax.config.check import checked

    config = food10.get_config()
    config.data.update(backend="device", batch_size=args.batch_size)
    config.model.dtype = args.dtype
    config.train.update(epochs=args.epochs, patience=args.epochs, steps_per_dispatch=args.steps)
    config.train.deterministic = args.deterministic
    if args.smoke:
        config.data.image_size, config.model.blocks = 32, config.model.blocks[:2]
    return checked(config)


def load(args, config):
    """Returns the config, its picture size that of the prepared sets, and these sets, or random ones of its size."""
    import numpy as np

    from foodjax.config.check import replace
    from foodjax.data.prepare import Prepared, open_prepared
    from foodjax.data.sets import split_data

    if args.train:
        sets = [open_prepared(Path(folder)) for folder in (args.train, args.test)]
        config = replace(config, {"data.image_size": sets[0].images.shape[1]})
        return config, split_data(config, *sets)
    names, size = tuple(f"class{k}" for k in range(10)), config.data.image_size
    rng, sets = np.random.default_rng(0), []
    for count in (20, 4) if args.smoke else (375, 75):
        images = rng.integers(0, 256, (10 * count, size, size, 3), np.uint8)
        ids = [f"{name}/{k:04}" for name in names for k in range(count)]
        sets.append(Prepared(names, images, np.repeat(np.arange(10), count), ids))
    return config, split_data(config, *sets)


def check(args):
    """Returns the versions and the device."""
    import jax

    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    device = jax.devices()[0]
    return {"device": device.device_kind, "platform": device.platform, "versions": versions}


def matmul(args):
    """Returns TFLOP/s of a large random matrix product: bfloat16, float32 as XLA multiplies it, and true float32."""
    import jax
    import jax.numpy as jnp

    n, results = 256 if args.smoke else 8192, {}
    for name, dtype, precision in (
        ("bfloat16", jnp.bfloat16, None), ("float32", jnp.float32, None), ("float32_highest", jnp.float32, "highest"),
    ):  # fmt: skip
        a, b = (jax.random.normal(jax.random.PRNGKey(k), (n, n), dtype) for k in range(2))
        product = jax.jit(lambda a, b, precision=precision: jnp.matmul(a, b, precision=precision))
        out = [product(a, b)]

        def work(product=product, a=a, b=b, out=out):
            out[0] = product(a, b)

        results[name] = 2 * n**3 * rate(work, lambda out=out: out[0].block_until_ready(), 10) / 1e12
    return results


def step(args):
    """Returns images/s of the train step alone, on one batch in device memory, and its GFLOP an image."""
    import jax
    import numpy as np

    from foodjax.models.summary import layers
    from foodjax.run.wiring import Engine

    config = create_config(args)
    run = Engine(config, tuple(map(str, range(10))))
    size, rng = config.data.image_size, np.random.default_rng(0)
    batch = jax.device_put({
        "image": rng.integers(0, 256, (args.batch_size, size, size, 3), np.uint8),
        "label": rng.integers(0, 10, args.batch_size, np.int32),
    })  # fmt: skip
    now = [run.create_state()]

    def work():
        now[0], _ = run.train_step(now[0], batch)

    images = args.batch_size * rate(work, lambda: jax.block_until_ready(now[0]), args.count)
    # A multiplication and an addition for each weight and output pixel, three times: forward, and two gradients.
    rows = layers(run.model, size)
    macs = sum(np.prod(row.kernel) * np.prod(row.output[:-1], dtype=float) for row in rows if row.kernel)
    return {"images_per_second": images, "gflop_per_image": 6 * float(macs) / 1e9}


def torch(args):
    """Returns the same for PyTorch: channels last, compiled, bfloat16 autocast or float32 with TF32 allowed."""
    os.environ["TORCH_BFLOAT16"] = str(int(args.dtype == "bfloat16"))
    import numpy as np
    import peer_torch
    import torch as pytorch

    pytorch.set_float32_matmul_precision("high")
    pytorch.backends.cudnn.allow_tf32 = pytorch.backends.cudnn.benchmark = True
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (args.batch_size, 128, 128, 3), np.uint8)
    steps = peer_torch.create_steps(images, rng.integers(0, 10, args.batch_size, np.int32), wait=False)
    finish = pytorch.cuda.synchronize if peer_torch.DEVICE == "cuda" else lambda: None
    return {"images_per_second": args.batch_size * rate(steps["train"], finish, args.count)}


def feed(args):
    """Returns images/s of the device path, batches included, and a hash of the weights after a number of steps."""
    import jax
    import numpy as np

    from foodjax.run.feed import create_feed
    from foodjax.run.wiring import Engine
    from foodjax.steps.metrics import Metrics

    config, data = load(args, create_config(args))
    run = Engine(config, data.train.class_names)
    source, at = create_feed(run, data), [run.create_state(), Metrics.zeros(), 0]

    def work():
        at[:2] = source.advance(*at, args.steps)
        at[2] += args.steps

    dispatches = max(1, args.count // args.steps)
    images = args.batch_size * args.steps * rate(work, lambda: jax.block_until_ready(at[0]), dispatches)
    weights = b"".join(np.asarray(x).tobytes() for x in jax.tree.leaves(at[0].params))
    return {"images_per_second": images, "steps": at[2], "sha256": hashlib.sha256(weights).hexdigest()}


def run(args):
    """Returns times of a real training with validation, checkpoints and test, and an extrapolation to 100 epochs."""
    from foodjax.run import loop
    from foodjax.workdir.metrics import read_metrics

    begin, ends = time.perf_counter(), []
    config, data = load(args, create_config(args))
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder) / "run"
        loop.train(config, workdir, [lambda epoch: ends.append(time.perf_counter())], data=data)
        total, rows = time.perf_counter() - begin, read_metrics(workdir / "timing.jsonl")
    epochs = [b - a for a, b in zip(ends, ends[1:], strict=False)]
    images = len(data.parts.train) // args.batch_size * args.batch_size
    return {
        "seconds": total, "first_epoch_seconds": ends[0] - begin, "epoch_seconds": statistics.median(epochs),
        "images_per_second_of_epochs": images / statistics.median(epochs),
        "images_per_second_of_steps": statistics.median(row["images_per_second"] for row in rows[1:]),
        "data_wait": statistics.median(row["data_wait"] for row in rows[1:]),
        "seconds_of_100_epochs_extrapolated": total + (100 - args.epochs) * statistics.median(epochs),
    }  # fmt: skip


MEASUREMENTS = {f.__name__: f for f in (check, matmul, step, torch, feed, run)}


def measure(args, name: str, **changes):
    """Runs one measurement in its own process; returns its numbers, or {"error": its last line}."""
    values = vars(args) | changes
    command = [sys.executable, __file__, "--worker", name]
    for key in ("train", "test", "batch_size", "dtype", "steps", "count", "epochs"):
        command += [f"--{key}={values[key]}"] if values[key] != "" else []
    command += ["--smoke"] * args.smoke + ["--deterministic"] * values["deterministic"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=args.timeout)
    except subprocess.TimeoutExpired:
        return {"error": f"took longer than {args.timeout} s"}
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines() or ["no output"]
    return json.loads(lines[-1]) if done.returncode == 0 else {"error": lines[-1]}


def show(label: str, result) -> None:
    """Prints one line of the table at once, in case the program is cut off."""
    shown = {k: f"{v:,.4g}" if isinstance(v, float) else v for k, v in result.items() if not isinstance(v, dict)}
    print(f"{label:46}" + "  ".join(f"{k} {v}" for k, v in shown.items()), flush=True)


def main() -> None:
    """Runs the measurements of --sections and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", default="", help="folder of a prepared train set")
    parser.add_argument("--test", default="", help="folder of a prepared test set")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see whether the program runs")
    parser.add_argument("--sections", default="check,matmul,step,torch,feed,run,bits")
    parser.add_argument("--batch_sizes", default="32,128,512,1024")
    parser.add_argument("--timeout", type=float, default=180, help="seconds for each measurement")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "gpu.json")
    parser.add_argument("--worker", choices=MEASUREMENTS, help=argparse.SUPPRESS)
    for key, default in (("batch_size", 32), ("steps", 8), ("count", 64), ("epochs", 8)):
        parser.add_argument(f"--{key}", type=int, default=default, help=argparse.SUPPRESS)
    parser.add_argument("--dtype", default="float32", help=argparse.SUPPRESS)
    parser.add_argument("--deterministic", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if unknown := set(args.sections.split(",")) - {*MEASUREMENTS, "bits"}:
        parser.error(f"--sections has {', '.join(sorted(unknown))}: needs some of {', '.join([*MEASUREMENTS, 'bits'])}")
    if args.worker:
        import foodjax
        from foodjax.system import determinism

        determinism.set_up(deterministic=args.deterministic)
        foodjax.setup()  # as main.py does
        print("\n" + json.dumps(MEASUREMENTS[args.worker](args)))
        return
    if args.smoke:
        args.batch_sizes, args.count, args.epochs, args.steps = "2,4", 1, 3, 2
        args.output = Path(tempfile.gettempdir()) / "gpu.json"
    table, batch_sizes = {}, [int(x) for x in args.batch_sizes.split(",")]

    def add(label, name, **changes):
        table[label] = measure(args, name, **changes)
        peak = table.get("matmul", {}).get(changes.get("dtype", ""))
        if peak and "gflop_per_image" in table[label]:
            done = table[label]["images_per_second"] * table[label]["gflop_per_image"] / 1e3
            table[label]["share_of_matmul_rate"] = done / peak
        show(label, table[label])

    sections = args.sections.split(",")
    feeds = ((4, 2),) if args.smoke else ((32, 1), (32, 8), (32, 32), (256, 8))  # batch size, steps a dispatch
    for name in ("check", "matmul"):
        if name in sections:
            add(name, name)
    for name in ("step", "torch"):
        for dtype in ("bfloat16", "float32"):
            for batch_size in batch_sizes if name in sections else ():
                count = max(1, args.count * 32 // batch_size)
                add(f"{name} {dtype} batch {batch_size}", name, dtype=dtype, batch_size=batch_size, count=count)
    for dtype in ("bfloat16", "float32"):
        for batch_size, steps in feeds if "feed" in sections else ():
            label = f"feed {dtype} batch {batch_size}, {steps} steps a dispatch"
            add(label, "feed", dtype=dtype, batch_size=batch_size, steps=steps)
        for batch_size in sorted({batch_size for batch_size, _ in feeds}) if "run" in sections else ():
            add(f"run {dtype} batch {batch_size}", "run", dtype=dtype, batch_size=batch_size)
    if "bits" in sections:
        # In turns, so that a card that slows down slows down both.
        for i in (1, 2):
            for name in ("as it is", "deterministic"):
                add(f"bits {name} {i}", "feed", deterministic=name == "deterministic")
        speeds = {}
        for name in ("as it is", "deterministic"):
            pair = [table[f"bits {name} {i}"] for i in (1, 2)]
            speeds[name] = statistics.mean(one.get("images_per_second", 0.0) for one in pair)
            same = "sha256" in pair[0] and pair[0]["sha256"] == pair[1].get("sha256")
            table[f"bits {name}"] = {"same": same}
            show(f"bits {name}", table[f"bits {name}"])
        if all(speeds.values()):
            table["price of train.deterministic"] = {"times_slower": speeds["as it is"] / speeds["deterministic"]}
            show("price of train.deterministic", table["price of train.deterministic"])
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(table, indent=2) + "\n")
    print(f"wrote {args.output}")


if __name__ == "__main__":
    main()
