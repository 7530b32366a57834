"""A prepared set of photographs, in memory or memory-mapped from the cache."""

from dataclasses import dataclass, field

import numpy as np

from foodjax.data.found import Found
from foodjax.data.images import check_images


@dataclass(frozen=True)
class Prepared:
    """One prepared set; row i of every field is the same photograph.

    Attributes:
        class_names: names of the classes in label order.
        images: uint8 (N, H, H, 3), memory-mapped.
        labels: int64 (N,).
        ids: N ids, unique in this set.
        found: what was found of the whole data.
        digests: N digests of the files, 32 hex digits each; () in a set that was made of arrays.
        checksum: of all of this; "" for a set that is not in the cache.
        folder: its name in the cache; "" for a set that is not there.

    Raises:
        TypeError: the images are not uint8.
        ValueError: the images have another shape.
    """

    class_names: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray
    ids: list[str]
    found: Found = field(default_factory=Found)
    digests: tuple[str, ...] = ()
    checksum: str = ""
    folder: str = ""

    def __post_init__(self) -> None:
        check_images(self.images)  # of whoever makes a set without photographs on disk
