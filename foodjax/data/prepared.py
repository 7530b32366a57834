"""A prepared set of photographs, in memory or memory-mapped from the cache."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from foodjax.data.images import check_images
from foodjax.data.sources.base import Unused


class Found(NamedTuple):
    """What a source's listing says beside the examples of one part.

    Attributes:
        counts: number of photographs of each part.
        notes: lines that say how parts and classes were found.
        unused: files of all parts that are not used.
        where: the path of the source, as the notes name it.
    """

    counts: dict[str, int] = {}
    notes: tuple[str, ...] = ()
    unused: tuple[Unused, ...] = ()
    where: str = ""


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
