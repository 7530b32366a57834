"""Checks of pictures that a user gives as an array: pixels are uint8, 0..255, and every picture has the same side."""

from collections.abc import Collection
from typing import Any

import numpy as np


def check_dtype(images: Any) -> None:
    """Checks the dtype of an array of any library; works while JAX traces a function, too.

    Raises:
        TypeError: it is not uint8.
    """
    if images.dtype != np.uint8:
        raise TypeError(
            f"the pictures are {images.dtype}: needs uint8, 0..255: np.round(255 * images).astype(np.uint8) converts "
            "values in 0..1, np.round(images).astype(np.uint8) those in 0..255"
        )


def check_images(images: Any, side: int | None = None, ndims: Collection[int] = (4,)) -> np.ndarray:
    """Returns pictures as a numpy array, after a check of its dtype and shape.

    Args:
        images: uint8 (N, H, H, 3), or what numpy makes such an array of; a single picture is (H, H, 3).
        side: H, pixels; None: any.
        ndims: numbers of axes that may be given: 4 for pictures, 3 for a single one.

    Raises:
        TypeError: the dtype is not uint8.
        ValueError: the shape is another one.
    """
    try:
        found = np.asarray(images)
    except ValueError:  # a list of arrays
        raise ValueError(f"the pictures have more than one shape: needs {_needed(side, ndims)}") from None
    if found.size or found.dtype == np.uint8:  # an empty list has no dtype of its own
        check_dtype(found)
    height, width, channels = found.shape[-3:] if found.ndim in ndims else (0, 1, 0)
    if height != width or channels != 3 or side not in (None, height):
        raise ValueError(f"the pictures have the shape {found.shape}: needs {_needed(side, ndims)}")
    return found


def _needed(side: int | None, ndims: Collection[int]) -> str:
    h = "H" if side is None else side
    shapes = {3: f"({h}, {h}, 3) for one", 4: f"(N, {h}, {h}, 3)"}
    return " or ".join(shapes[n] for n in sorted(ndims, reverse=True))
