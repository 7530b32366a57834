"""Restarts the program with a malloc tuned for XLA on CPU. Imports only os and sys, so that it can run first."""

import os
import sys

# One arena: a thread's own arena cannot hold a buffer of the steps (over 64 MiB) and would map it each time.
TUNABLES = ":".join(
    f"glibc.malloc.{setting}" for setting in ("hugetlb=1", "arena_max=1", "mmap_max=0", f"trim_threshold={2**40}")
)


def tune_malloc() -> None:
    """Restarts this program with glibc's malloc on huge pages that it keeps; returns if the settings are there already.

    XLA allocates its buffers (620 MiB for the tutorial's network) in every step, and glibc returns memory of that size
    to the system at once. The page faults of the next step cost time: 1.03 s against 0.86 s a training step with small
    pages, and up to 0.3 s more with huge pages if the system clears them slowly. Memory that is kept costs no time, but
    the process never shrinks. glibc (2.35 and later) reads the settings when a process starts, hence the restart, with
    the same process id and arguments. A GLIBC_TUNABLES that the user has set is left alone, and so are other systems;
    other C libraries ignore the variable.
    """
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = TUNABLES
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
