"""Fingerprints of prepared pictures: what the search for duplicates compares instead of the pictures.

The hash is the perceptual hash of Zauner (Implementation and Benchmarking of Perceptual Image Hash Functions, 2010):
the signs of the lowest frequencies in the discrete cosine transform of a small grey picture. Only the frequencies
that are even from left to right count here, so a picture and its mirror image have the same hash.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

SIDE = 32  # of the small pictures, about; pixels
WINDOW = 4  # side of the windows of a small picture, pixels
NOISE = 50.0  # variance in a window that JPEG and rounding explain, grey levels squared
PLAIN = 2 / 3  # a picture is plain when less than this share of its windows has detail
_TASK = 16  # pictures that a thread takes at once: they stay in the cache of the processor
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Fingerprints(NamedTuple):
    """Fingerprints of N pictures of H x H pixels; S = H / round(H / 32), rounded down, is 21 to 48 from H = 21 on.

    Attributes:
        hashes: uint64 (N,), a bit for each coefficient: 1 where it is positive.
        coefficients: float32 (N, 64), the DCT coefficients behind the bits; each picture's have length 1.
        small: uint8 (N, S, S), the luminance, averaged over squares; pixels left over at the edges count nowhere.
        plain: bool (N,), True where most of the picture is a ground without detail.
        checksums: uint64 (N,), equal for equal pixels.
    """

    hashes: np.ndarray
    coefficients: np.ndarray
    small: np.ndarray
    plain: np.ndarray
    checksums: np.ndarray


def fingerprint(images: np.ndarray, rows: np.ndarray | None = None) -> Fingerprints:
    """Computes the fingerprints of pictures, in as many threads as there are processors.

    Args:
        images: uint8 (N, H, H, 3), may be memory-mapped.
        rows: int (M,), only these pictures, in this order; None: all.

    Returns:
        M or N fingerprints.
    """
    total, size = len(images) if rows is None else len(rows), images.shape[1]
    factor = _factor(size)
    side = size // factor
    small, checksums = np.zeros((total, side, side), np.uint8), np.zeros(total, np.uint64)
    weights = np.tile(np.array(_LUMINANCE, np.float32), factor) / np.float32(factor**2)
    odd = np.random.default_rng(0).integers(0, 2**63, -(-3 * side * side * factor // 4), np.uint64) * 2 + 1

    def one(start: int) -> None:
        part = slice(start, start + _TASK)
        sums = _row_sums(images[part] if rows is None else images[rows[part]], factor)
        flat = sums.reshape(len(sums), -1)
        if rest := -flat.shape[1] % 4:
            flat = np.pad(flat, ((0, 0), (0, rest)))
        checksums[part] = np.einsum("nw,w->n", flat.view(np.uint64), odd)
        blocks = sums.reshape(len(sums), side, side, 3 * factor).astype(np.float32)
        small[part] = np.einsum("nyxk,k->nyx", blocks, weights) + 0.5

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(one, range(0, total, _TASK)))
    hashes, coefficients, plain = np.zeros(total, np.uint64), np.zeros((total, 64), np.float32), np.zeros(total, bool)
    basis = _basis(side)
    for start in range(0, total, 1024):  # not in the threads: BLAS has its own
        part = slice(start, start + 1024)
        found = small[part].reshape(-1, side * side).astype(np.float32) @ basis
        hashes[part] = np.packbits(found > 0, axis=1).view(np.uint64)[:, 0]
        coefficients[part] = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)
        plain[part] = (variance(windows(small[part])) > NOISE).mean(1) < PLAIN
    return Fingerprints(hashes, coefficients, small, plain, checksums)


def windows(pictures: np.ndarray) -> np.ndarray:
    """Cuts (N, S, S) into its K whole windows side by side.

    Returns:
        float32 (K, pixels of a window, N): the pictures last, so that sums over a window are fast.
    """
    side = min(WINDOW, pictures.shape[1])
    count = pictures.shape[1] // side
    cut = pictures[:, : count * side, : count * side].reshape(-1, count, side, count, side)
    return cut.transpose(1, 3, 2, 4, 0).reshape(count * count, side * side, -1).astype(np.float32)


def variance(cut: np.ndarray) -> np.ndarray:
    """Returns the variance in each window, (N, K), of `windows` (K, pixels, N)."""
    mean = cut.mean(1, keepdims=True)
    return ((cut - mean) ** 2).mean(1).T


def small_colour(images: np.ndarray) -> np.ndarray:
    """Returns pictures averaged as in `Fingerprints.small`, in colour: uint8 (N, H, H, 3) to float32 (N, S, S, 3)."""
    factor = _factor(images.shape[1])
    sums = _row_sums(images, factor)  # (N, S, 3 * S * factor)
    side = sums.shape[1]
    return sums.reshape(-1, side, side, factor, 3).mean(3, dtype=np.float32) / factor


def _factor(size: int) -> int:
    return max(1, round(size / SIDE))


def _row_sums(images: np.ndarray, factor: int) -> np.ndarray:
    """Returns the sums of `factor` neighbouring rows, uint16 (N, S, 3 * S * factor)."""
    side = images.shape[1] // factor
    start = (images.shape[1] - side * factor) // 2
    inner = slice(start, start + side * factor)
    rows = images[:, inner, inner].reshape(len(images), side, factor, -1)
    sums = rows[:, :, 0].astype(np.uint16)
    for i in range(1, factor):
        sums += rows[:, :, i]
    return sums


def _basis(side: int) -> np.ndarray:
    """Returns the 64 lowest cosines of S x S pixels that are even from left to right: (S * S, 64)."""
    pairs = [(v, h) for v in range(26) for h in range(0, 26, 2) if v or h]
    pairs.sort(key=lambda pair: (pair[0] ** 2 + pair[1] ** 2, pair))
    wave = np.cos(np.pi * (np.arange(side) + 0.5) * np.arange(26)[:, None] / side)  # (26, S)
    return np.stack([np.outer(wave[v], wave[h]).ravel() for v, h in pairs[:64]], 1).astype(np.float32)
