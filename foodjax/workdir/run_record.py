"""Run record: run.json in the workdir, with one session for each start of the program.

A session holds the command, the config's file and overrides, the git revision, versions, devices, a fingerprint of
the data, and the time. A finished run also has `result`.
"""

import contextlib
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from foodjax.config.keys import Config
from foodjax.data import identity
from foodjax.data.prepare import VERSION
from foodjax.data.prepared import Prepared
from foodjax.data.sets import Data
from foodjax.system import files, hosts
from foodjax.system.errors import first_line
from foodjax.system.signals import Interrupted
from foodjax.workdir.metrics import best_row, read_metrics

# The packages whose version can change a number.
PACKAGES = (
    "clu", "flax", "jax", "jaxlib", "keras", "ml_collections", "numpy", "optax", "orbax-checkpoint", "pillow",
    "tensorflow", "tensorflow-cpu", "tensorflow-datasets",
)  # fmt: skip


@contextlib.contextmanager
def recorded(workdir: Path, config: Config, data: Data, origin: dict[str, Any]) -> Iterator[Callable[[str, Any], None]]:
    """Context manager that records a session in workdir/run.json, at its start and at its end.

    It gives a function of (name, value) that adds a fact to the session.

    Args:
        workdir: of the run; exists, and no other process trains in it.
        config: the experiment.
        data: the prepared sets.
        origin: of the config: "config" (file and variant) and "overrides".
    """
    record = read(workdir)
    for earlier in record["sessions"]:
        if earlier["outcome"] == "running":  # nobody else trains here: it was killed
            earlier["outcome"] = "killed"
    session = {
        "started": _now(), "ended": None, "outcome": "running", "command": sys.argv, **origin, "seed": config.seed,
        **environment(), "processes": hosts.count(), "data": fingerprint(data), "cache_version": VERSION,
        "prepared": prepared_folders(data),
    }  # fmt: skip
    record["sessions"].append(session)
    _write(workdir, record)

    def add(name: str, value: Any) -> None:
        session[name] = value
        _write(workdir, record)

    try:
        yield add
        session["outcome"], record["result"] = "finished", result(workdir, config.train.monitor)
    except (Interrupted, KeyboardInterrupt):
        session["outcome"] = "interrupted"
        raise
    except Exception as error:
        session["outcome"] = f"failed: {first_line(error)}"
        raise
    finally:
        session["ended"] = _now()
        _write(workdir, record)


def read(workdir: files.PathLike) -> dict[str, Any]:
    """Returns the record of a workdir: {"result": ..., "sessions": [...]}; an empty one where there is none."""
    try:
        record = files.read_json(files.to_path(workdir) / "run.json")
        if isinstance(record["sessions"], list) and "result" in record:
            return record
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return {"result": None, "sessions": []}


def weights_from(workdir: files.PathLike) -> dict[str, str]:
    """Returns the origin of the weights that a run started from, with their hash and licence; empty for random ones."""
    found = [session["weights"] for session in read(workdir)["sessions"] if isinstance(session.get("weights"), dict)]
    return found[0] if found else {}


def environment() -> dict[str, Any]:
    """Returns the git state of the code, the versions and the devices that this process runs with."""
    devices = jax.devices()
    return {
        "git": git_state(Path(__file__).parent),
        "packages": {"python": platform.python_version(), **_versions()},
        "device": f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})",
        # How many threads share a sum can change its last bit.
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "platform": platform.platform(),
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """Returns the revision of the code in `folder` and a digest of what is not committed; None without git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    try:
        changes = git("diff", "HEAD") + git("ls-files", "--others", "--exclude-standard")
        dirty = hashlib.sha256(changes.encode()).hexdigest()[:16] if changes else None
        return {"revision": git("rev-parse", "HEAD").strip(), "uncommitted": dirty}
    except (OSError, subprocess.SubprocessError):
        return None


def fingerprint(data: Data) -> dict[str, dict[str, Any]]:
    """Returns the digests of each part of the split."""
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    return {name: digests(of, getattr(data.parts, name)) for name, of in parts.items()}


def prepared_folders(data: Data) -> dict[str, str]:
    """Returns the names in the cache of the prepared sets, by their parts in the data; without sets that are not there.

    The name of a set says all that it depends on, so another start finds the same photographs or none.
    """
    return {part: of.folder for part, of in data.sets.items() if of.folder}


def digests(data: Prepared, rows: np.ndarray) -> dict[str, Any]:
    """Returns the number of some images of a set, and digests of their ids and labels, their pixels and their content.

    That of the content is of classes and files alone: neither names nor order nor decoding change it.
    """
    names = hashlib.sha256(json.dumps([data.class_names, [data.ids[row] for row in rows]]).encode())
    names.update(np.ascontiguousarray(data.labels[rows]).tobytes())
    pixels = hashlib.sha256()
    for row in rows:
        pixels.update(data.images[row].tobytes())
    content = identity.content(identity.photographs(data, rows))
    return {
        "images": len(rows), "ids": names.hexdigest()[:16], "pixels": pixels.hexdigest()[:16], "content": content,
    }  # fmt: skip


def result(workdir: files.PathLike, monitor: str = "val_loss") -> dict[str, Any] | None:
    """Returns the outcome of a finished run, from metrics.jsonl and evaluation.json; None where one is missing.

    Args:
        workdir: of the run.
        monitor: the value that chose its best epoch, train.monitor.
    """
    workdir = files.to_path(workdir)
    rows = read_metrics(workdir / "metrics.jsonl")
    try:
        evaluation = files.read_json(workdir / "evaluation" / "evaluation.json")
    except (OSError, ValueError):
        return None
    best = best_row(rows, monitor)
    return {
        "epochs": rows[-1]["epoch"] if rows else 0,
        "best_epoch": best["epoch"] if best else 0,
        "best_val_loss": best["val_loss"] if best else None,
        "test_accuracy": evaluation["accuracy"],
        "test_loss": evaluation["loss"],
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _write(workdir: Path, record: dict[str, Any]) -> None:
    if hosts.is_first():
        files.write_text(workdir / "run.json", json.dumps(record, indent=2) + "\n")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
