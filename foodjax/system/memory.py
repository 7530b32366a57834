"""How much memory this process may still take."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from foodjax.system.errors import UserError

try:
    import resource
except ImportError:  # not on Windows
    resource = None

_CGROUP = Path("/sys/fs/cgroup")  # of a container


def available() -> int:
    """Returns the bytes that the machine, the container and the limit of the process (ulimit -v) leave."""
    left = [psutil.virtual_memory().available]
    with contextlib.suppress(OSError, ValueError):  # no container, or "max"
        most, used = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        left.append(most - used + _reclaimable())
    if (most := limit()) is not None:
        left.append(most - psutil.Process().memory_info().vms)
    return max(0, min(left))


def _reclaimable() -> int:
    """Returns the bytes of files that the container keeps in memory and gives up when it needs more."""
    lines = (_CGROUP / "memory.stat").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.split()[0] in ("inactive_file", "active_file"))


def limit() -> int | None:
    """Returns the bytes of addresses that the process may have (ulimit -v); None without such a limit."""
    if resource is None:
        return None
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def check_limit(gib: float, what: str) -> None:
    """Raises UserError if the process may not have `gib` GiB of addresses, which `what` needs.

    Libraries that are refused memory end the process with a trace in C++, or wait for ever.
    """
    if (most := limit()) is not None and most < gib * 2**30:
        raise UserError(
            f"the address space is limited to {most / 2**30:.1f} GiB (ulimit -v): {what} needs at least {gib:.1f} GiB"
        )


@contextlib.contextmanager
def limited(growth: int) -> Iterator[None]:
    """Lets the process take at most `growth` further bytes of addresses: for libraries that trust what a file says.

    On Linux alone; other systems limit nothing. The limit holds for all threads. A library that asks for more raises
    MemoryError, or an error of its own.
    """
    if resource is None or not sys.platform.startswith("linux"):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = psutil.Process().memory_info().vms + growth
    if soft != resource.RLIM_INFINITY:
        most = min(most, soft)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def check(needed: int, what: str) -> None:
    """Raises UserError if `needed` bytes, which `what` takes, are more than there are."""
    if needed > (left := available()):
        raise UserError(
            f"{what} takes {needed / 2**30:.1f} GiB of memory, and {left / 2**30:.1f} GiB are free: needs more memory"
        )
