"""What this machine's CPU can do."""

import functools
from pathlib import Path


@functools.cache
def flags() -> frozenset[str]:
    """Returns the CPU's features as Linux names them, such as "avx512f"; empty where the system does not tell.

    Example:
        >>> isinstance(flags(), frozenset)
        True
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2] for line in lines if line.startswith("flags")), "").split())
