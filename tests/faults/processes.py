"""Real training processes for the drill, and what must hold between any two of them.

A process is forked from this one, in which everything is imported and nothing has run, so that it starts in a fraction
of a second; `fresh` starts it as a user would. This process itself never uses JAX.
"""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import foodjax  # noqa: E402

foodjax.setup()  # before JAX and TensorFlow are imported, once for all children
import jax  # noqa: E402

from foodjax import cli  # noqa: E402
from foodjax.run import loop  # noqa: E402, F401
from foodjax.steps.early_stopping import EarlyStopping  # noqa: E402
from foodjax.system.signals import end_at_once  # noqa: E402
from foodjax.workdir.metrics import read_metrics  # noqa: E402

warnings.filterwarnings("ignore", message=r".*fork.*")


class Process:
    """One run of `main.py` with the drill's experiment; its output goes to a file."""

    def __init__(self, workdir: Path, *arguments: str, fresh: bool = False, log: Path | None = None):
        self.log = log or workdir.parent / f"{workdir.name}.log"
        argv = ["--config", str(Path(__file__).with_name("tiny.py")), "--workdir", str(workdir), *arguments]
        self.started = time.monotonic()
        self.status: int | None = None
        with self.log.open("w") as file:
            if fresh:
                command = [sys.executable, "main.py", *argv]
                self.pid = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file).pid
                return
            self.pid = os.fork()
            if self.pid == 0:
                sys.argv = ["main.py", *argv]
                # A new process would choose the folder by the XDG_CACHE_HOME of this moment.
                jax.config.update("jax_compilation_cache_dir", None)
                _child(lambda: cli.main(sys.argv), file.fileno())

    def poll(self) -> int | None:
        """Returns the exit status, negative for a signal, or None while it runs."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def wait(self, seconds: float = 240) -> int:
        """Waits for the end; kills what does not end and raises."""
        deadline = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL)
                raise TimeoutError(f"no end after {seconds} s: {self.output()[-2000:]}")
            time.sleep(0.005)
        assert self.status is not None
        return self.status

    def send(self, signum: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def errors(self) -> list[str]:
        return [line for line in self.output().splitlines() if line.startswith("error: ")]


def _child(function, log: int) -> None:
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        # Under pytest the inherited ones write to its capture.
        sys.stdout, sys.stderr = (open(fd, "w", buffering=1, closefd=False) for fd in (1, 2))
        end_at_once(sigterm_status=0, line="interrupted; the same command continues")
        status = function() or 0
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    except BaseException:
        traceback.print_exc()
        os._exit(99)


def in_child(function, log: Path) -> str:
    """Runs a function in a forked process, in which it may use JAX; returns its problem or ""."""
    with log.open("w") as file:
        pid = os.fork()
        if pid == 0:
            _child(function, file.fileno())
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return "" if status == 0 else f"exit {status}: {log.read_text()[-800:]}"


def steps(workdir: Path) -> list[int]:
    """Returns the steps of the whole checkpoints, oldest first."""
    return sorted(int(p.name) for p in (workdir / "checkpoints").glob("*") if p.name.isdecimal())


CHECKSUMS = ("weights", "training", "digest")  # the last is that of the older form


def progress(workdir: Path, step: int) -> dict:
    return json.loads((workdir / f"checkpoints/{step}/progress/metadata").read_text())


def best_step(workdir: Path) -> int | None:
    return max((s for s in steps(workdir) if (workdir / f"checkpoints/{s}/metrics").is_dir()), default=None)


def best_is_kept(workdir: Path) -> str:
    """Returns a problem when the best checkpoint is not the best of the epochs that the latest one knows, or ""."""
    found = steps(workdir)
    if not found:
        return ""
    rows = progress(workdir, found[-1])["rows"]
    if not rows:
        return ""
    stopping = EarlyStopping(math.inf)  # type: ignore[arg-type]
    for row in rows:
        stopping = stopping.update(row["val_loss"])
    best = best_step(workdir)
    if best is None:
        return f"no best checkpoint after {len(rows)} epochs"
    kept = progress(workdir, best)["epoch"]
    return "" if kept == stopping.best_epoch else f"the best is epoch {stopping.best_epoch}, kept is {kept}"


def curves(workdir: Path, pictures: bool = True) -> list[tuple[str, int, str, float]]:
    """Returns all points of TensorBoard that the clock does not touch, by folder in the order they were written.

    A text or a picture is a point too, of no number, unless `pictures` is False.
    """
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.compat.tensorflow_stub import pywrap_tensorflow  # noqa: F401

    points = []
    for path in sorted((workdir / "tensorboard").rglob("events*")):
        run = path.parent.relative_to(workdir).as_posix()
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                shown = pictures or value.tensor.float_val
                if shown and value.tag not in ("images_per_second", "data_wait"):
                    number = value.tensor.float_val[0] if value.tensor.float_val else value.simple_value
                    points.append((run, event.step, value.tag, number))
    return points


def differences(ours: Path, theirs: Path, pictures: bool = True) -> str:
    """Returns in what a finished run is not, to the bit, the other one, or ""; TensorBoard's pictures, if asked."""
    if steps(ours) != steps(theirs) or best_step(ours) != best_step(theirs):
        return f"checkpoints {steps(ours)} best {best_step(ours)}, not {steps(theirs)} best {best_step(theirs)}"
    for step in steps(ours):
        a, b = progress(ours, step), progress(theirs, step)  # with the checksums of weights and optimizer state
        if a.keys() != b.keys():  # one is of the older form: `equal_arrays` sees what the checksums stand for
            a, b = ({key: x for key, x in one.items() if key not in CHECKSUMS} for one in (a, b))
        if a != b:
            return f"checkpoint {step} differs"
    results = ("evaluation/predictions.csv", "evaluation/evaluation.json", "calibration.json")
    for name in ("metrics.jsonl", "finished.json", *results):
        if (ours / name).read_bytes() != (theirs / name).read_bytes():
            return f"{name} differs"
    if [row["epoch"] for row in read_metrics(ours / "timing.jsonl")] != [
        row["epoch"] for row in read_metrics(theirs / "timing.jsonl")
    ]:
        return "timing.jsonl has other epochs"
    if (points := curves(ours, pictures)) != curves(theirs, pictures):
        return f"TensorBoard has other points: {points[:4]} ..."
    return ""


def equal_arrays(ours: Path, theirs: Path) -> None:
    """Raises unless every array of every checkpoint, of either form, has the same bits; uses JAX: for a child."""
    import numpy as np

    for step in steps(theirs):
        a, b = (_leaves(_state(folder.resolve() / f"checkpoints/{step}")) for folder in (ours, theirs))
        assert a.keys() == b.keys()
        assert len(a) > 10
        for name, value in a.items():
            value, other = np.asarray(value), np.asarray(b[name])
            assert value.dtype == other.dtype, f"{name} of step {step} differs"
            assert value.tobytes() == other.tobytes(), f"{name} of step {step} differs"


def _state(folder: Path) -> dict:
    """Returns the state of a checkpoint of either form as the older one stores it."""
    import orbax.checkpoint as ocp

    reader = ocp.PyTreeCheckpointer()
    if (folder / "state").is_dir():
        return reader.restore(folder / "state")
    weights, training = reader.restore(folder / "weights"), reader.restore(folder / "training")
    return {**training, "ema": weights} if training["params"] else {**training, **weights}


def _leaves(tree) -> dict:
    import jax

    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def copy(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target
