"""Pages of memory-mapped pictures, which a process need not hold."""

import mmap

import numpy as np

_HELD = 16 * 2**20  # bytes of pictures that are read before their pages are given back


def release(images: np.ndarray, count: int, batch_size: int) -> None:
    """Gives the pages of memory-mapped pictures back now and then; the system reads them again from its file cache.

    Otherwise the process comes to hold all pictures of an epoch.

    Args:
        images: uint8 (N, H, W, 3); an array that is not mapped for reading is left alone.
        count: of the batches that were read so far.
        batch_size: pictures in a batch.
    """
    if count % max(1, _HELD // max(1, batch_size * images[:1].nbytes)) == 0:
        release_all(images)


def release_all(images: np.ndarray) -> None:
    """Gives all pages of memory-mapped pictures back; an array that is not mapped for reading is left alone."""
    mapped = getattr(images, "_mmap", None)
    if mapped is not None and getattr(images, "mode", "") == "r" and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
