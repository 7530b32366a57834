"""What several test files share: places, processes of main.py, one device, photographs, sweeps and finished runs."""

import html.parser
import io
import itertools
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
MAIN = (str(ROOT / "main.py"),)


def one_device_environment():
    """Returns the environment of a user: without the eight devices of conftest."""
    return {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}


def start_main(
    *arguments, program: Sequence[str] = MAIN, environment: Mapping[str, str] | None = None, **options
) -> subprocess.Popen:
    """Starts main.py in the project's folder, as a user does, and does not wait for it.

    Args:
        *arguments: of the command line, paths and numbers too.
        program: what Python runs in the place of main.py.
        environment: added to the user's environment, which knows one device.
        **options: of subprocess.Popen.
    """
    command = [sys.executable, *program, *map(str, arguments)]
    options = {"cwd": ROOT, "text": True, **options}
    return subprocess.Popen(command, env=one_device_environment() | dict(environment or {}), **options)


def run_main(*arguments, timeout: float = 400, check: bool = False, **options) -> subprocess.CompletedProcess:
    """Runs main.py to its end.

    Args:
        *arguments: of the command line, paths and numbers too.
        timeout: in seconds; a process that takes longer is killed.
        check: asserts that the exit status is 0, and shows stderr where it is not.
        **options: of `start_main`.

    Returns:
        The exit status as `returncode`, and `stdout` and `stderr` as text.
    """
    with start_main(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    if check:
        assert process.returncode == 0, err
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


# Python that makes a user one whom /etc/passwd does not list, such as a container's; for a sitecustomize.py.
NO_ACCOUNT = "import pwd; pwd.getpwuid = {}.__getitem__"


def address_limit(gib: float) -> str:
    """Returns Python that limits the address space of a process, for `begun_with`."""
    return f"resource.setrlimit(resource.RLIMIT_AS, ({int(gib * 2**30)},) * 2)"


def begun_with(begin: str, command: Sequence[str]) -> list[str]:
    """Returns a command of Python whose process first runs `begin`, if given; it may use os, resource and sys.

    subprocess' preexec_fn would fork this process, which has threads of JAX, and could hang.
    """
    if not begin:
        return [sys.executable, *command]
    start = "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    return [sys.executable, "-c", f"import os, resource, sys; {begin}; {start}", *command]


def memory_mib(name: str, pid: int | str = "self") -> float:
    """Returns a line of a process' status, such as VmRSS or its peak, VmHWM, MiB. Linux alone."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0) / 1024


def one_device_mesh():
    """Returns a mesh of the first device alone."""
    import jax
    import numpy as np
    from jax.sharding import Mesh

    return Mesh(np.array(jax.devices()[:1]), ("batch",))


class Page(html.parser.HTMLParser):
    """Collects what a page would fetch, pictures without a text, and what was left open."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.silent, self.ids, self.images, self.open = [], [], set(), 0, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        for name in ("src", "href", "xlink:href"):
            if not (values.get(name) or "data:").startswith(("data:", "#")):
                self.fetched.append(values[name])
        if tag == "img":
            self.images += 1
            if not values.get("alt"):
                self.silent.append(values)
        if tag == "svg" and not values.get("aria-label"):
            self.silent.append(values)
        self.ids.add(values.get("id"))
        if tag not in ("meta", "link", "img", "br", "wbr", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()


def make_food_root(root: Path, classes=("bars", "cross", "ring"), num_train=6, num_test=4) -> Path:
    """Writes drawn pictures as photographs in Food-101's official layout, as many of each class, and returns root.

    More than ten classes share the shapes, each with pictures of its own.
    """
    from PIL import Image

    from foodjax.data.sources.shapes import CLASS_NAMES, draw_png

    (root / "meta").mkdir(parents=True)
    (root / "meta" / "classes.txt").write_text("\n".join(classes) + "\n")
    lists = {"train": {}, "test": {}}
    for i, (name, shape) in enumerate(zip(classes, itertools.cycle(CLASS_NAMES), strict=False)):
        (root / "images" / name).mkdir(parents=True)
        for k in range(num_train + num_test):
            image = Image.open(io.BytesIO(draw_png(shape, k, i // len(CLASS_NAMES))))
            image.save(root / "images" / name / f"{k}.jpg")
            lists["train" if k < num_train else "test"].setdefault(name, []).append(f"{name}/{k}")
    for part, table in lists.items():
        (root / "meta" / f"{part}.json").write_text(json.dumps(table))
    return root


def stored_in_format_10(config, **optimizer) -> str:
    """Returns the config.json of an experiment as format 10 had it, before optimizer.rates.

    Args:
        config: the experiment.
        **optimizer: other values of its group, lower_blocks and lower_rate among them.
    """
    from foodjax.config import keys, stored
    from foodjax.config.check import checked

    tree = json.loads(stored.to_json(checked(config))) | {"format": 10}
    for name, key in keys.table().items():
        if key.since > 10:
            *groups, last = name.split(".")
            group = tree
            for part in groups:
                group = group[part]
            del group[last]
    tree["optimizer"] |= {"lower_blocks": 0, "lower_rate": 0.0} | optimizer
    return json.dumps(tree)


def archive_of(root: Path, path: Path) -> Path:
    """Packs a food-101/ folder as the official archive."""
    with tarfile.open(path, "w:gz") as tar:
        tar.add(root, arcname="food-101")
    return path


def class_folders_of(root: Path, target: Path) -> Path:
    """Copies the photographs of a food-101/ folder to target/{train,test}/<class>/."""
    for part in ("train", "test"):
        for name, ids in json.loads((root / "meta" / f"{part}.json").read_text()).items():
            folder = target / part / name
            folder.mkdir(parents=True)
            for i in ids:
                (folder / f"{i.split('/')[1]}.jpg").write_bytes((root / "images" / f"{i}.jpg").read_bytes())
    return target


def prepared(config, part="train"):
    """Prepares one part of an experiment's data, without a progress bar."""
    from foodjax.config.check import checked
    from foodjax.data import prepare
    from foodjax.data.sources import find

    config = checked(config)
    return prepare.prepare(find.create_source(config), part, config, lambda title, total, items: items)


def inspect_page(config, data) -> str:
    """Returns the inspect page of an experiment's data as HTML; writes nothing."""
    from foodjax.data.originals import Originals
    from foodjax.report import inspect

    originals = Originals(config)
    return inspect.to_page(config, inspect.look(config, data, originals, Path("inspect.html")), originals)


def suspected(data, count=12):
    """Returns the training photographs of an experiment with probabilities that suspect the first `count` labels."""
    import numpy as np

    from foodjax.evaluation.label_errors import Suspects
    from foodjax.run.label_check import Checked, Place

    labels, num_classes = data.train.labels[data.parts.train], len(data.train.class_names)
    wrong, number = np.arange(len(labels)) < count, np.arange(len(labels))
    suggested = (labels + 1 + number % (num_classes - 1)) % num_classes
    probabilities = np.full((len(labels), num_classes), 0.01 / (num_classes - 1))
    probabilities[number, np.where(wrong, suggested, labels)] = 0.99 - 0.01 * number / len(labels)
    probabilities /= probabilities.sum(1, keepdims=True)
    scores = probabilities[number, labels]
    places = tuple(Place("train", row) for row in data.parts.train.tolist())
    suspects = Suspects(np.lexsort((number, scores)), scores, suggested, wrong)
    return Checked(data, places, labels, probabilities, number % 5, suspects)


def encode(image, kind="PNG", **options) -> bytes:
    """Returns a PIL image as a file's content."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def random_pictures(number=200, size=16):
    """Returns uint8 (number, size, size, 3), always the same."""
    import numpy as np

    return np.random.default_rng(0).integers(0, 256, (number, size, size, 3), dtype=np.uint8)


def random_variables(model, side):
    """Returns random weights and statistics of a backbone with which no layer's output vanishes or explodes."""
    import jax
    import numpy as np

    from foodjax.models.convnet import init_variables

    rng = np.random.default_rng(1)

    def draw(keys, x):
        noise, name = rng.normal(size=x.shape).astype(np.float32), keys[-1].key
        if name == "kernel":
            return noise * np.float32((2 / np.prod(x.shape[:-1])) ** 0.5)
        return np.float32(0.1) * noise + np.float32(name in ("scale", "var", "gamma"))

    shapes = jax.eval_shape(lambda: init_variables(model, jax.random.PRNGKey(0), side))
    return jax.tree_util.tree_map_with_path(draw, shapes)


def write_weights(path: Path, variables) -> Path:
    """Writes a convolutional backbone as a .safetensors file with timm's names."""
    import numpy as np
    from safetensors.numpy import save_file

    from foodjax.models.summary import walk

    leaves = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var", "kernel": "weight"}
    arrays = {}
    for part in ("params", "batch_stats"):
        for key, x in walk(variables.get(part, {}).get("backbone", {})):
            *layers, leaf = re.sub(r"_(?=\d)", ".", key).split("/")
            name = ".".join(layers if leaf == "value" else [*layers, leaves[leaf]])
            arrays[name] = np.ascontiguousarray(x.transpose(3, 2, 0, 1) if x.ndim == 4 else x.T)
    save_file(arrays, path)
    return path


EXPERIMENT = """
from experiments import demo
from foodjax import variants
from foodjax.study.space import Sweep

def get_config(arg=""):
    config = demo.get_config()
    config.name = "tiny"
    config.data.update(drawn_train=12, drawn_test=5, image_size=16, batch_size=16, eval_batch_size=24)
    config.model.blocks = config.model.blocks[:2]
    for block in config.model.blocks:
        block.update(features=8, padding=("SAME",))
    config.model.head.hidden = (16,)
    config.data.backend = {backend!r}
    config.train.epochs = {epochs}
    return variants.apply(config, arg)

def get_sweep(arg=""):
    return Sweep({variants}, seeds={seeds})
"""


def write_experiment(folder: Path, variants, seeds=1, epochs=2, backend="threads") -> Path:
    """Writes an experiment with a sweep, small enough for a test; threads make the batches of tf.data in half the time.

    TensorFlow alone takes three seconds of each process.
    """
    path = folder / "tiny.py"
    path.write_text(EXPERIMENT.format(variants=variants, seeds=seeds, epochs=epochs, backend=backend))
    return path


def fake_run(label, seed, right, ids=None, pixels="p", device="cpu", tmp_path=ROOT, started="2026", **changes):
    """Returns a finished run as `study.results` reads it.

    Args:
        label: of its variant.
        seed: of the run.
        right: of each test image, whether its prediction was right.
        ids: of the test images.
        pixels: digest of the prepared pictures.
        device: that it ran on.
        tmp_path: where its workdir would be.
        started: when.
        **changes: of its config, with __ for the dots of the keys.
    """
    import numpy as np

    from experiments import ablate_blocks
    from foodjax.config.check import checked
    from foodjax.study.results import RunResult

    config = ablate_blocks.get_config("scale=small")
    config.seed = seed
    for key, value in changes.items():
        config.update_from_flattened_dict({key.replace("__", "."): value})
    ids = ids or [f"a/{k}" for k in range(len(right))]
    part = {"images": 3, "ids": str(hash(tuple(ids))), "pixels": pixels}
    return RunResult(
        label, tmp_path / f"{label}-seed{seed}", started, checked(config),
        [{"epoch": 1, "val_loss": 1.5}], [100.0, 120.0],
        {"epochs": 8, "best_val_loss": 1.5 - 0.1 * seed, "test_accuracy": float(np.mean(right)), "test_loss": 1.0},
        {"train": part, "validation": part, "test": part},
        {"code": {"a"}, "versions": {"1"}, "device": {device}},
        {i: ("a", "a" if ok else "b") for i, ok in zip(ids, right, strict=True)}, 1000, 2_000_000,
    )  # fmt: skip
