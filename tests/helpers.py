"""What tests of several folders share and import: places, the processes of main.py, one device, drawn photographs."""

import io
import json
import os
import subprocess
import sys
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


def one_device_mesh():
    """Returns a mesh of the first device alone."""
    import jax
    import numpy as np
    from jax.sharding import Mesh

    return Mesh(np.array(jax.devices()[:1]), ("batch",))


def make_food_root(root: Path, classes=("bars", "cross", "ring"), num_train=6, num_test=4) -> Path:
    """Writes drawn pictures as photographs in Food-101's official layout, as many of each class, and returns root."""
    from PIL import Image

    from foodjax.data.sources.shapes import CLASS_NAMES, draw_png

    (root / "meta").mkdir(parents=True)
    (root / "meta" / "classes.txt").write_text("\n".join(classes) + "\n")
    lists = {"train": {}, "test": {}}
    for name, shape in zip(classes, CLASS_NAMES, strict=False):
        (root / "images" / name).mkdir(parents=True)
        for k in range(num_train + num_test):
            image = Image.open(io.BytesIO(draw_png(shape, k, 0)))
            image.save(root / "images" / name / f"{k}.jpg")
            lists["train" if k < num_train else "test"].setdefault(name, []).append(f"{name}/{k}")
    for part, table in lists.items():
        (root / "meta" / f"{part}.json").write_text(json.dumps(table))
    return root
