"""Memory of the CPU back end: on huge pages, and kept. Imports nothing, so that it can run before everything else."""

import os
import sys

# One arena: a thread's own cannot hold a buffer of the steps (over 64 MiB) and would map it anew each time.
TUNABLES = ":".join(
    f"glibc.malloc.{setting}" for setting in ("hugetlb=1", "arena_max=1", "mmap_max=0", f"trim_threshold={2**40}")
)


def tune_malloc() -> None:
    """Starts this program again with glibc's allocator so tuned; returns when it is so already.

    XLA allocates its buffers, 620 MiB for the tutorial's network, anew in every step, and glibc gives memory of that
    size back to the system at once. The faults of getting it again cost a training step 1.03 s against 0.86 s on small
    pages, and on huge pages up to 0.3 s more where the system is slow to clear them. Kept, they cost nothing; the
    process stays as large as it once was. glibc (2.35 and later) reads the settings when a process starts, hence the
    second start, of the same process number and arguments. A GLIBC_TUNABLES of the user's own is left alone; other
    systems and C libraries are not touched.
    """
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = TUNABLES
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
