"""Claims: which of the sweeps that share a folder works on what. Those of a sweep that dies are free again."""

import time
from pathlib import Path

from foodjax.study.space import Trial
from foodjax.system.files import PathLike, to_path
from foodjax.system.ownership import Owner

_AGAIN = 0.2  # seconds between two attempts


def first_free(waiting: list[Trial]) -> tuple[Trial, Owner] | None:
    """Returns the first trial that no other process works on, and a claim on it; None if there is none now."""
    for trial in waiting:
        if (claim := claimed(trial.workdir)) is not None:
            if not _is_locked(trial.workdir):
                return trial, claim
            claim.release()
    return None


def claimed(place: PathLike, seconds: float = 0) -> Owner | None:
    """Claims a workdir or the comparison of a sweep; returns the claim, or None where another sweep has it.

    Args:
        place: the workdir or the folder of the comparison.
        seconds: to wait for it; -1 waits for ever.
    """
    place = to_path(place)
    folder = place.parent / ".claims"
    folder.mkdir(parents=True, exist_ok=True)
    claim, begin = Owner(folder / place.name), time.monotonic()
    while claim.acquire(wait=0):
        if 0 <= seconds <= time.monotonic() - begin:
            return None
        time.sleep(_AGAIN)
    return claim


def _is_locked(workdir: Path) -> bool:
    """Returns whether a process trains in the workdir; a run of a killed sweep may still be saving."""
    if not (workdir / ".lock").exists():
        return False  # makes no lock file: an empty workdir stays empty
    lock = Owner(workdir / ".lock")
    if lock.acquire(wait=0):
        return True
    lock.release()
    return False
