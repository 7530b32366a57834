"""Reads the arrays of a checkpoint in a child process with a memory limit, before this process reads them.

A checkpoint may come from anybody. It says itself how large its pieces are, and tensorstore takes memory for a piece
before it looks at the network's shapes: 40 KB may take gigabytes. The child costs 0.3 s. Linux alone keeps the limit.

    python bounded.py ITEM BYTES ...     in the child: needs numpy and tensorstore alone
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SLACK = 2**28  # bytes beyond the promised ones, for tensorstore's own work
MAX_LISTS = 2**22  # bytes of the lists of arrays, JSON that orbax parses
_LISTS = ("_METADATA", "_sharding", "array_metadatas/process_0")
_TOO_LARGE = 3  # exit status of the child
_KINDS = {"/.zarray": "zarr", "/zarr.json": "zarr3"}  # end of a key -> tensorstore's driver


def check_growth(promised: Mapping[Path, int]) -> None:
    """Checks that reading items of a checkpoint takes no more memory than their arrays may.

    Args:
        promised: folder of each item -> bytes of the arrays that it should hold.

    Raises:
        ValueError: one takes more, or its lists are too large.
    """
    for item in promised:
        for name in _LISTS:
            if (size := _size(item / name)) > MAX_LISTS:
                raise ValueError(f"{name} has {size:,} bytes: needs at most {MAX_LISTS:,}")
    if not sys.executable or not sys.platform.startswith("linux"):
        return
    # Without -I or -E: the packages may be where PYTHONPATH says. One arena: each takes address space of its own.
    command = [sys.executable, "-P", __file__, *(str(word) for pair in promised.items() for word in pair)]
    found = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, env=os.environ | {"MALLOC_ARENA_MAX": "1"}
    )
    if found.returncode == _TOO_LARGE or found.returncode < 0:  # it was refused memory, and killed by that
        total = sum(promised.values())
        raise ValueError(f"its files expand to more than the {total:,} bytes of its arrays: refused")
    if found.returncode != 0:
        raise ValueError((found.stderr.decode(errors="replace").strip().splitlines() or ["cannot be read"])[-1])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read(item: str, promised: int) -> None:
    """Reads every array of an item; passes over one that is damaged, since the parent finds that, too."""
    import tensorstore as ts

    limits = {"data_copy_concurrency": {"limit": 1}, "file_io_concurrency": {"limit": 1}}
    context = ts.Context({**limits, "cache_pool": {"total_bytes_limit": 0}})
    base = f"file://{item}/"
    is_ocdbt = os.path.exists(os.path.join(item, "manifest.ocdbt"))
    store = {"driver": "ocdbt", "base": base} if is_ocdbt else {"driver": "file", "path": f"{item}/"}
    for key in ts.KvStore.open(store, context=context).result().list().result():
        name = key.decode(errors="surrogateescape")
        driver = next((driver for end, driver in _KINDS.items() if name.endswith(end)), None)
        if driver is None:
            continue
        folder = name.rpartition("/")[0] + "/"
        place = {**store, "path": folder} if is_ocdbt else {"driver": "file", "path": f"{item}/{folder}"}
        try:
            array = ts.open({"driver": driver, "kvstore": place}, read=True, context=context).result()
            if array.size * array.dtype.numpy_dtype.itemsize > promised:
                raise MemoryError
            array.read().result()
        except MemoryError:
            raise
        except Exception:  # noqa: S112, damaged files raise a dozen types, and the others may be large
            continue


def _main() -> int:
    import resource

    import tensorstore  # noqa: F401, its own memory does not count

    promised = dict(zip(sys.argv[1::2], map(int, sys.argv[2::2]), strict=True))
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    limit = used + 2 * max(promised.values()) + SLACK  # one array is read after the other
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    try:
        for item, size in promised.items():
            _read(item, size)
    except MemoryError:
        return _TOO_LARGE
    return 0


if __name__ == "__main__":
    sys.exit(_main())
