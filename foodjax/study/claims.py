"""Claims: which of the sweeps that share a folder works on what. The system releases the claims of one that dies."""

from pathlib import Path

import filelock

from foodjax.study.space import Trial
from foodjax.system.files import PathLike, to_path


def first_free(waiting: list[Trial]) -> tuple[Trial, filelock.BaseFileLock] | None:
    """Returns the first trial that no other process works on, and a claim on it; None if there is none now."""
    for trial in waiting:
        if (claim := claimed(trial.workdir)) is not None:
            if not _is_locked(trial.workdir):
                return trial, claim
            claim.release()
    return None


def claimed(place: PathLike, seconds: float = 0) -> filelock.BaseFileLock | None:
    """Claims a workdir or the comparison of a sweep; returns the lock, or None where another sweep has it.

    Args:
        place: the workdir or the folder of the comparison.
        seconds: to wait for it; -1 waits for ever.
    """
    place = to_path(place)
    folder = place.parent / ".claims"
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / place.name)
    try:
        lock.acquire(timeout=seconds)
    except filelock.Timeout:
        return None
    return lock


def _is_locked(workdir: Path) -> bool:
    """Returns whether a process trains in the workdir; a run of a killed sweep may still be saving."""
    if not (workdir / ".lock").exists():
        return False  # makes no lock file: an empty workdir stays empty
    lock = filelock.FileLock(workdir / ".lock")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return True
    lock.release()
    return False
