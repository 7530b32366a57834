"""Writes checkpoints in the form that foodjax had before it stored the weights apart: one item `state`, one checksum.

Independent of the package where it can be: this is what old runs look like, and never changes.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from foodjax.run.wiring import Engine
from foodjax.workdir.checkpoints import Checkpoints
from foodjax.workdir.description import read_description


def digest(state: Any, progress: dict[str, Any]) -> str:
    """SHA-256 of the progress as sorted JSON, then of "name dtype shape " and the bytes of each array, by name.

    A scalar has the shape (1,).
    """
    found = hashlib.sha256(json.dumps(progress, sort_keys=True).encode())
    leaves = jax.tree_util.tree_leaves_with_path(state)
    named = {jax.tree_util.keystr(path, simple=True, separator="/"): np.ascontiguousarray(x) for path, x in leaves}
    for name in sorted(named):
        found.update(f"{name} {named[name].dtype} {named[name].shape} ".encode() + named[name].tobytes())
    return found.hexdigest()


def rewrite(workdir: Path, like: Any, mesh: Any) -> None:
    """Replaces every checkpoint of a workdir by one of the older form that holds the same."""
    folder, new = workdir.resolve() / "checkpoints", workdir.resolve() / "older"
    options = ocp.CheckpointManagerOptions(best_fn=lambda metrics: -metrics["val_loss"], best_mode="max", create=True)
    checkpoints, manager = Checkpoints(workdir), ocp.CheckpointManager(new, options=options)
    for step in checkpoints.steps():
        progress = json.loads((folder / f"{step}/progress/metadata").read_text())
        del progress["weights"], progress["training"]
        state, metrics = checkpoints.restore(step, like, mesh), folder / f"{step}/metrics/metrics"
        args = ocp.args.Composite(
            state=ocp.args.StandardSave(state),  # pyright: ignore
            progress=ocp.args.JsonSave(progress | {"digest": digest(state, progress)}),  # pyright: ignore
        )
        manager.save(step, args=args, metrics=json.loads(metrics.read_text()) if metrics.is_file() else None)
    manager.close()
    checkpoints.close()
    shutil.rmtree(folder)
    new.rename(folder)


def rewrite_run(workdir: Path) -> None:
    """Does so for a run."""
    config, class_names = read_description(workdir)
    engine = Engine(config, class_names)
    rewrite(workdir, engine.abstract_state(), engine.mesh)
