"""The identity of photographs: digests of their files, whatever their paths, their names and their order."""

import hashlib
import json
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from foodjax.data.prepared import Prepared


class Photograph(NamedTuple):
    """A photograph of a prepared set.

    Attributes:
        id: its name in the set.
        class_name: its class.
        digest: of its file.
    """

    id: str
    class_name: str
    digest: str


def digest(encoded: bytes) -> str:
    """Returns 128 bits of a hash (BLAKE2b) of an encoded photograph, as 32 hex digits."""
    return hashlib.blake2b(encoded, digest_size=16).hexdigest()


def photographs(data: Prepared, rows: Iterable[int]) -> list[Photograph]:
    """Returns the photographs of the given rows of a prepared set, in this order.

    In a set that somebody made of arrays, the digest is that of the pixels.
    """
    found = []
    for row in np.asarray(rows, int).tolist():
        known = data.digests[row] if data.digests else digest(b"pixels" + np.ascontiguousarray(data.images[row]).data)
        found.append(Photograph(data.ids[row], data.class_names[data.labels[row]], known))
    return found


def content(found: Iterable[Photograph]) -> str:
    """Returns one digest of a part, 32 hex digits: of the classes and the files, not of ids and order."""
    rows = sorted((one.digest, one.class_name) for one in found)
    return digest(json.dumps(rows).encode())
