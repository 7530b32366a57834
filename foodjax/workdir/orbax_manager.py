"""Retention policy for orbax's CheckpointManager, and repair of the files that it reads for it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from foodjax.config.listed import MONITORS
from foodjax.system import files


def _rank(metrics: Any) -> float:
    # The highest rank is kept. Orbax would take NaN for the best, so that is ranked last.
    ((name, value),) = metrics.items()
    rank = float(value) if MONITORS[name] else -float(value)
    return rank if rank == rank else float("-inf")


LATEST = 2  # checkpoints kept beside the best: the older one is what is left when the newer one is damaged


def create_manager(folder: Path) -> ocp.CheckpointManager:
    """Returns orbax's manager of a folder of checkpoints; it creates the folder and removes old checkpoints."""
    # BestN's n counts those it keeps; the last of equals would win, so only improvements carry metrics.
    policy = AnyPreservationPolicy(
        [LatestN(LATEST), BestN(get_metric_fn=_rank, n=1, keep_checkpoints_without_metrics=False)]
    )
    return ocp.CheckpointManager(
        folder,
        options=ocp.CheckpointManagerOptions(preservation_policy=policy, best_fn=_rank, best_mode="max", create=True),
    )


def mend(folder: Path, steps: list[int], best: int | None, metrics: dict[str, float]) -> None:
    """Repairs the files by which orbax ranks checkpoints: with a wrong value it would delete the best one.

    Args:
        folder: of the checkpoints.
        steps: that it holds.
        best: the one with the best value of train.monitor, or None.
        metrics: that value of the best one, by its name.

    Raises:
        OSError: a file cannot be written.
    """
    if best is not None:
        path, text = folder / f"{best}/metrics/metrics", json.dumps(metrics).encode()
        if not path.is_file() or files.read_bytes(path) != text:
            files.write_bytes(path, text)
    for step in steps:
        if step != best:
            shutil.rmtree(folder / f"{step}/metrics", ignore_errors=True)
        # Orbax does without this one, but not with a damaged one.
        if (path := folder / f"{step}/_CHECKPOINT_METADATA").is_file() and not _is_orbax_json(path):
            path.unlink()


def _is_orbax_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(files.read_bytes(path, files.MAX_JSON), parse_int=np.int64), dict)
    except (ValueError, OverflowError, RecursionError):
        return False
