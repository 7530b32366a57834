"""Exact and near duplicates among prepared pictures, within and between the parts of a data set.

Exact are pictures whose files or whose pixels are equal. Near are pictures that show the same photograph: resized,
recompressed, mirrored from left to right, made brighter or darker, or cropped by about 2 % at each edge. The search
has three steps, none of them quadratic in the number of pictures:

1. Pictures with equal digests or pixels form a group; the first of a group stands for it.
2. Candidates are pairs whose 64-bit hashes (see `fingerprint`) differ in at most 12 bits and agree in two of their
   eight bytes. For each of the 28 choices of two bytes the hashes are sorted with these bytes first, and each one is
   compared with the next 8, or the next 2 where one is plain (the sorted neighbourhood of Hernandez and Stolfo, SIGMOD
   1995). So 100,000 pictures on one plain ground, whose hashes may all be equal, cost about twice as much as others.
3. The pixels confirm a candidate. In windows of the small pictures (an eighth of about 32 pixels) the structure term
   of SSIM, 2 cov(a, b) / (var(a) + var(b)) (Wang et al., 2004), is averaged over the windows that have detail.
   Pictures that are mostly plain ground (digits, X-rays, products on white) show too little for that: no pixel of
   their small pictures, in colour, may differ by more than an eighth of the range of the picture.

The thresholds for changed pictures were chosen on 150 photographs of Food-101, changed in 15 ways, and are checked on
200 others in tests/data/test_duplicates.py. The bound for unrelated ones lies between the true and the false pairs
among 4,500 photographs, looked at. Pictures on a plain ground are not found when they are cropped, or when resizing to
the prepared size moves their lines (`data.resize` "nearest"); among 40,000 that look alike, about half are found.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from foodjax.data.fingerprint import NOISE, Fingerprints, fingerprint, small_colour, variance, windows

MAX_BITS = 12  # of 64 that differ between the hashes of candidates
MAX_BITS_PLAIN = 6  # where one of them is plain
MIN_COSINE = 0.85  # between the coefficients of candidates
MIN_COSINE_PLAIN = 0.99  # where one of them is plain
MIN_STRUCTURE = 0.65  # mean of the structure term of SSIM
MAX_DIFFERENCE = 1 / 8  # of the range of a plain picture
MIN_RANGE = 16.0  # of a plain picture, grey levels; flatter ones can only be exact duplicates
NEIGHBOURS = 8  # compared with each hash, in each order
NEIGHBOURS_PLAIN = 2  # where one of them is plain
_TASK = 2048  # pairs that are compared at once


class Part(NamedTuple):
    """The prepared pictures of one part of a data set.

    Attributes:
        images: uint8 (N, H, H, 3), may be memory-mapped; parts may share one array, or have arrays of one H.
        labels: int (N,), the class of each picture.
        digests: N digests of the encoded files, None where unknown; empty: all unknown.
        rows: int (M,), the rows of `images` in this part; None: all.
    """

    images: np.ndarray
    labels: np.ndarray
    digests: Sequence[str | None] = ()
    rows: np.ndarray | None = None


class Pair(NamedTuple):
    """Two pictures that are duplicates; the first comes first in the order of the parts and rows.

    Attributes:
        part: the first picture's part.
        row: its row in the images of the part.
        other_part: the second picture's part.
        other_row: its row.
        kind: "exact" or "near".
        where: "within a class", "across classes" or "between parts".
    """

    part: str
    row: int
    other_part: str
    other_row: int
    kind: str
    where: str


def find_duplicates(parts: Mapping[str, Part]) -> list[Pair]:
    """Finds the duplicates among all pictures of all parts.

    Of a group of exact duplicates each member is paired with the group's first one, and only the first one is compared
    with other pictures. So the list grows with the number of pictures, not with its square.

    Args:
        parts: the parts by name, in the order in which their pictures are numbered.

    Returns:
        The pairs, sorted by part and row.
    """
    names = list(parts)
    rows = [np.arange(len(p.images)) if p.rows is None else np.asarray(p.rows) for p in parts.values()]
    part_of = np.repeat(np.arange(len(names)), [len(r) for r in rows])
    row_of = np.concatenate([*rows, np.zeros(0, int)]).astype(int)
    label_of = np.concatenate([*(np.asarray(p.labels)[r] for p, r in zip(parts.values(), rows, strict=True)), [0]])
    digests = [
        p.digests[int(row)] if len(p.digests) else None for p, r in zip(parts.values(), rows, strict=True) for row in r
    ]
    sides = {p.images.shape[1] for p, r in zip(parts.values(), rows, strict=True) if len(r)}
    if len(sides) > 1:
        raise ValueError(f"the parts have pictures of {sorted(sides)} pixels: needs one size")
    if not sides:
        return []

    def load(numbers: np.ndarray) -> np.ndarray:
        """Returns the pictures of these numbers, uint8 (n, H, H, 3)."""
        return np.stack([parts[names[part_of[i]]].images[row_of[i]] for i in numbers])

    found = [fingerprint(p.images, p.rows) for p, r in zip(parts.values(), rows, strict=True) if len(r)]
    prints = Fingerprints(*(np.concatenate(field) for field in zip(*found, strict=True)))
    first = exact_groups(prints.checksums, digests, load)
    copies = np.flatnonzero(first != np.arange(len(first)))
    near = confirm(candidates(prints, np.flatnonzero(first == np.arange(len(first)))), prints, load)
    pairs = [(int(first[i]), int(i), "exact") for i in copies] + [(int(i), int(j), "near") for i, j in near]

    def where(i: int, j: int) -> str:
        if part_of[i] != part_of[j]:
            return "between parts"
        return "within a class" if label_of[i] == label_of[j] else "across classes"

    return [
        Pair(names[part_of[i]], int(row_of[i]), names[part_of[j]], int(row_of[j]), kind, where(i, j))
        for i, j, kind in sorted(pairs)
    ]


def exact_groups(checksums: np.ndarray, digests: Sequence[str | None], load) -> np.ndarray:
    """Returns int (N,): for each picture the number of the first one with the same digest or the same pixels."""
    total = len(checksums)
    links: list[tuple[int, int]] = []
    seen: dict[str, int] = {}
    for i, digest in enumerate(digests):
        if digest is not None and (j := seen.setdefault(digest, i)) != i:
            links.append((j, i))
    order = np.argsort(checksums, kind="stable")
    same = np.flatnonzero(checksums[order][1:] == checksums[order][:-1])
    for i, j in zip(order[same], order[same + 1], strict=True):  # neighbours: a chain joins a group
        if np.array_equal(*load(np.array([i, j]))):
            links.append((int(i), int(j)))
    group = components(links, total)
    _, first = np.unique(group, return_index=True)
    return first[group]


def components(links: list[tuple[int, int]], total: int) -> np.ndarray:
    """Returns int (total,): the number of the connected component of each node, by its first node from 0 upwards."""
    first = list(range(total))  # a node of the same component, no later one; itself for the first

    def find(i: int) -> int:
        while first[i] != i:
            first[i] = first[first[i]]
            i = first[i]
        return i

    for i, j in links:
        i, j = find(i), find(j)
        first[max(i, j)] = min(i, j)
    return np.unique([find(i) for i in range(total)], return_inverse=True)[1]


def candidates(prints: Fingerprints, rows: np.ndarray) -> np.ndarray:
    """Returns the pairs of `rows` whose hashes and coefficients are close: int (M, 2), sorted, each i < j."""
    hashes, plain = prints.hashes[rows], prints.plain[rows]
    octets = hashes[:, None].view(np.uint8)  # (n, 8)
    found = [np.zeros(0, np.int64)]
    for a, b in itertools.combinations(range(8), 2):
        rest = [k for k in range(8) if k not in (a, b)]
        rest = rest[a:] + rest[:a]  # another order of neighbours in each table
        words = np.ascontiguousarray(octets[:, [a, b, *rest]]).view(">u8")[:, 0].astype(np.uint64)
        order = np.argsort(words, kind="stable")
        words = words[order]
        for step in range(1, min(NEIGHBOURS, len(rows) - 1) + 1):
            differ = words[step:] ^ words[:-step]
            close = (np.bitwise_count(differ) <= MAX_BITS) & (differ >> np.uint64(48) == 0)
            at = np.flatnonzero(close)
            i, j = order[at], order[at + step]
            near = (np.bitwise_count(differ[at]) <= MAX_BITS_PLAIN) & (step <= NEIGHBOURS_PLAIN)
            at = near | ~(plain[i] | plain[j])
            found.append(np.minimum(i, j)[at] * len(rows) + np.maximum(i, j)[at])
    i, j = np.divmod(np.unique(np.concatenate(found)), max(len(rows), 1))
    i, j = rows[i], rows[j]
    close = [
        np.einsum("nk,nk->n", prints.coefficients[i[k : k + _TASK]], prints.coefficients[j[k : k + _TASK]])
        for k in range(0, len(i), _TASK)
    ]
    plain = prints.plain[i] | prints.plain[j]
    close = np.concatenate([*close, np.zeros(0)]) >= np.where(plain, MIN_COSINE_PLAIN, MIN_COSINE)
    return np.stack([i[close], j[close]], 1)


def confirm(pairs: np.ndarray, prints: Fingerprints, load) -> np.ndarray:
    """Returns the candidates (M, 2) whose pixels agree, straight or mirrored."""
    plain = prints.plain[pairs].any(1)
    kept = np.zeros(len(pairs), bool)
    for alike, chosen in ((_same_structure, ~plain), (_same_pixels, plain)):
        chosen = np.flatnonzero(chosen)
        for start in range(0, len(chosen), _TASK):
            at = chosen[start : start + _TASK]
            a, b = prints.small[pairs[at].T]
            kept[at] = alike(a, b) | alike(a, b[:, :, ::-1])
    for at in np.flatnonzero(kept & plain):
        a, b = small_colour(load(pairs[at]))[:, None]
        kept[at] = (_same_pixels(a, b) | _same_pixels(a, b[:, :, ::-1]))[0]
    return pairs[kept]


def _same_structure(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compares n pictures window by window, by the structure term of SSIM: uint8 (n, S, S) to bool (n,)."""
    a, b = windows(a), windows(b)
    va, vb, difference = variance(a), variance(b), variance(a - b)
    detail = np.maximum(va, vb) > NOISE
    structure = 1 - difference / (va + vb + NOISE)
    return (structure * detail).sum(1) >= MIN_STRUCTURE * np.maximum(detail.sum(1), 1)


def _same_pixels(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compares n pictures pixel by pixel, after fitting brightness and contrast: (n, S, S) or (n, S, S, 3) to (n,)."""
    a, b = (x.reshape(len(x), -1).astype(np.float32) for x in (a, b))
    reach = np.minimum(np.ptp(a, axis=1), np.ptp(b, axis=1))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    gain = np.clip((a * b).sum(1) / np.maximum((b * b).sum(1), 1e-6), 0.5, 2)
    difference = np.abs(a - gain[:, None] * b).max(1)
    return (reach >= MIN_RANGE) & (difference <= MAX_DIFFERENCE * reach)
