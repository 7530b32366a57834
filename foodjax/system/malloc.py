"""glibc's malloc: tuned for XLA on CPU, or for a server. Imports only os and sys, so that it can run first."""

import os
import sys

# One arena: a thread's own arena cannot hold a buffer of the steps (over 64 MiB) and would map it each time.
TUNABLES = ":".join(
    f"glibc.malloc.{setting}" for setting in ("hugetlb=1", "arena_max=1", "mmap_max=0", f"trim_threshold={2**40}")
)
_MMAP_THRESHOLD = -3  # of mallopt
_APART, _WALL = 512 * 2**20, 2**16  # bytes; TensorFlow alone takes 213 MiB of the first
_MOST_WALLS = 10**4


def tune_malloc() -> None:
    """Restarts this program with glibc's malloc on huge pages that it keeps; returns if the settings are there already.

    XLA allocates its buffers (412 MiB for the tutorial's network) in every step, and glibc returns memory of that size
    to the system at once. The page faults of the next step cost time: 1.03 s against 0.86 s a training step with small
    pages, and up to 0.3 s more with huge pages if the system clears them slowly. Memory that is kept costs no time, but
    the process never shrinks. glibc (2.35 and later) reads the settings when a process starts, hence the restart, with
    the same process id and arguments. A GLIBC_TUNABLES that the user has set is left alone, and so are other systems;
    other C libraries ignore the variable.
    """
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = TUNABLES
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def keep_small_blocks_apart() -> None:
    """Makes room for small blocks below the buffers of the steps, in a malloc that `tune_malloc` has tuned.

    A step frees its buffers (412 MiB for the tutorial's network) where the heap ends, and the next step finds them
    there. Small blocks of other threads that come between would split that place, and the next step would need a second
    one: with TensorFlow making the batches, the program took 300 to 400 MiB more. malloc puts a block into the smallest
    place that holds it, so that a smaller free place draws them. It costs no memory until it is used.
    """
    libc = _glibc()
    if libc is None or os.environ.get("GLIBC_TUNABLES") != TUNABLES:
        return
    place, walls = libc.malloc(_APART), []
    # A block behind it stays: otherwise the place would join the end of the heap. The first ones may fill older gaps.
    while place and len(walls) < _MOST_WALLS and not (walls and (walls[-1] or 0) > place):
        walls.append(libc.malloc(_WALL))
    for block in (place, *walls[:-1]):
        libc.free(block)


def return_free_memory() -> None:
    """Returns all free memory to the system, after the steps; the malloc that `tune_malloc` has tuned keeps it."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def return_large_blocks() -> None:
    """Makes glibc's malloc return each block of a MiB and more to the system as soon as it is freed.

    Otherwise the first large photograph raises that bound to 32 MiB, and a server keeps much of what later ones took
    (350 MiB after eight pictures of 49 million pixels). Other systems and C libraries are left as they are.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_MMAP_THRESHOLD, 2**20)


def _glibc():
    """Returns the process's glibc with its malloc; None where the system has another C library."""
    if sys.platform != "linux":
        return None
    import ctypes

    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return None
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes, libc.malloc_trim.argtypes = [ctypes.c_void_p], [ctypes.c_size_t]
    return libc
