"""Compiled measures of texture: co-occurrence and local binary patterns."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.encoders.map_kernel import total
from metastra.encoders.mask_kernel import count_in_turn, gather

__all__ = ["LEVELS", "binary_patterns", "cooccurrence", "haralick", "pair_measures", "quantise"]

LEVELS = 16
"""Grey levels of the co-occurrence matrix."""


@njit(cache=True)
def quantise(
    image: NDArray[np.float32], mask: NDArray[np.bool_], top: float, out: NDArray[np.uint8]
) -> None:
    """Divide 0 to `top` into `LEVELS` equal steps; what is above falls into the last.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Not below 0.
    mask : ndarray of bool, shape (h, w)
        Which pixels count.
    top : float
        Upper end.
    out : ndarray of uint8, shape (h, w)
        Written: 0 to LEVELS − 1; LEVELS outside the mask.
    """
    scale = np.float32(LEVELS / top)
    for y in range(image.shape[0]):
        line, inside, row = image[y], mask[y], out[y]
        for x in range(row.size):
            level = min(np.int32(line[x] * scale), np.int32(LEVELS - 1))
            row[x] = level if inside[x] else LEVELS


@njit(cache=True)
def cooccurrence(levels: NDArray[np.uint8], dx: int, dy: int) -> NDArray[np.float64]:
    """Count pairs of levels of pixels that lie (dx, dy) apart.

    Parameters
    ----------
    levels : ndarray of uint8, shape (h, w)
        0 to LEVELS; pairs with LEVELS are not counted.
    dx, dy : int
        Offset in pixels; dy not below 0.

    Returns
    -------
    ndarray of float64, shape (LEVELS, LEVELS)
        Symmetric; not normalised.
    """
    side = LEVELS + 1
    # four tables in turn: a table waits for its last addition where the same pair comes again
    counts = np.zeros((4, side * side), np.int32)
    rows, columns = levels.shape
    width = columns - abs(dx)
    codes = np.empty(max(width, 0), np.uint16)
    for y in range(rows - dy):
        one = levels[y, max(0, -dx) :]
        two = levels[y + dy, max(0, dx) :]
        for x in range(width):
            codes[x] = np.uint16(one[x]) * np.uint16(side) + np.uint16(two[x])
        count_in_turn(codes, counts)
    gather(counts)
    whole = counts[0]
    table = np.empty((LEVELS, LEVELS))
    for i in range(LEVELS):
        for j in range(LEVELS):
            table[i, j] = whole[i * side + j] + whole[j * side + i]
    return table


@njit(cache=True)
def haralick(counts: NDArray[np.float64]) -> tuple[float, float, float, float, float]:
    """Describe a co-occurrence matrix.

    Parameters
    ----------
    counts : ndarray of float64, shape (LEVELS, LEVELS)
        Symmetric counts.

    Returns
    -------
    contrast, correlation, homogeneity, energy, entropy : float
        Contrast in squared levels, entropy in bits; all 0 without any pair.

    Notes
    -----
    Haralick, Shanmugam and Dinstein 1973, IEEE Trans SMC 3:610: f2, f3, f5, f1 and f9.
    """
    whole = total(counts.ravel())
    if whole == 0.0:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    mean, second = 0.0, 0.0
    for i in range(LEVELS):
        share = total(counts[i]) / whole
        mean += share * i
        second += share * i * i
    contrast, product, homogeneity, energy, entropy = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(LEVELS):
        for j in range(LEVELS):
            p = counts[i, j] / whole
            if p == 0.0:
                continue
            gap = float((i - j) * (i - j))
            contrast += p * gap
            product += p * i * j
            homogeneity += p / (1.0 + gap)
            energy += p * p
            entropy -= p * np.log2(p)
    variance = second - mean * mean
    correlation = (product - mean * mean) / variance if variance > 1e-9 else 0.0
    return contrast, correlation, homogeneity, energy, entropy


@njit(cache=True)
def pair_measures(
    levels: NDArray[np.uint8], dx: NDArray[np.int64], dy: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Describe pairs of pixels in several directions together.

    Parameters
    ----------
    levels : ndarray of uint8, shape (h, w)
        As for `cooccurrence`.
    dx, dy : ndarray of int64, shape (k,)
        Offset of each direction.

    Returns
    -------
    ndarray of float64, shape (6,)
        `haralick` of the sum of all directions, and the largest minus the smallest contrast of a
        single one over their mean (0 where there is none).
    """
    together = np.zeros((LEVELS, LEVELS))
    mean, least, most = 0.0, np.inf, 0.0
    for k in range(dx.size):
        counts = cooccurrence(levels, dx[k], dy[k])
        contrast = _contrast(counts)
        mean, least, most = mean + contrast, min(least, contrast), max(most, contrast)
        for i in range(LEVELS):
            for j in range(LEVELS):
                together[i, j] += counts[i, j]
    mean /= dx.size
    found = np.empty(6)
    found[0], found[1], found[2], found[3], found[4] = haralick(together)
    found[5] = (most - least) / mean if mean > 1e-6 else 0.0
    return found


@njit(cache=True)
def _contrast(counts: NDArray[np.float64]) -> float:
    whole, contrast = total(counts.ravel()), 0.0
    if whole > 0.0:
        for i in range(LEVELS):
            for j in range(LEVELS):
                contrast += counts[i, j] / whole * float((i - j) * (i - j))
    return contrast


@njit(cache=True)
def binary_patterns(
    image: NDArray[np.float32],
    mask: NDArray[np.bool_],
    dx: NDArray[np.int64],
    dy: NDArray[np.int64],
    step: float,
) -> NDArray[np.float64]:
    """Count rotation-invariant uniform local binary patterns.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map, smoothed to about the circle's radius.
    mask : ndarray of bool, shape (h, w)
        Which centres count.
    dx, dy : ndarray of int64, shape (8,)
        The circle, in order around it.
    step : float
        A neighbour is darker (has more stain) when it exceeds the centre by more than this.

    Returns
    -------
    ndarray of float64, shape (10,)
        Shares of centres with 0 to 8 darker neighbours in one run around the circle, and of all
        others; they add to 1, or to 0 for an empty mask.

    Notes
    -----
    Ojala, Pietikäinen and Mäenpää 2002, IEEE Trans PAMI 24:971.
    """
    rows, columns = image.shape
    reach = 0
    for k in range(8):
        reach = max(reach, abs(dx[k]), abs(dy[k]))
    width = columns - 2 * reach
    if width <= 0:
        return np.zeros(10)
    # what does not count has a code of its own
    counts = np.zeros((4, 257), np.int32)
    bits, codes = np.empty(width, np.uint8), np.empty(width, np.uint16)
    limit = np.empty(width, np.float32)
    over = np.float32(step)
    for y in range(reach, rows - reach):
        centre, inside = image[y, reach:], mask[y, reach:]
        for x in range(width):
            limit[x] = centre[x] + over
            bits[x] = 0
        for k in range(0, 8, 4):
            _set_four_bits(
                bits,
                limit,
                np.uint8(1 << k),
                image[y + dy[k], reach + dx[k] :],
                image[y + dy[k + 1], reach + dx[k + 1] :],
                image[y + dy[k + 2], reach + dx[k + 2] :],
                image[y + dy[k + 3], reach + dx[k + 3] :],
            )
        for x in range(width):
            codes[x] = bits[x] if inside[x] else np.uint16(256)
        count_in_turn(codes, counts)
    gather(counts)
    return _by_pattern(counts[0])


@njit(cache=True)
def _set_four_bits(
    bits: NDArray[np.uint8],
    limit: NDArray[np.float32],
    lowest: np.uint8,
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    third: NDArray[np.float32],
    fourth: NDArray[np.float32],
) -> None:
    two, four, eight = np.uint8(lowest * 2), np.uint8(lowest * 4), np.uint8(lowest * 8)
    zero = np.uint8(0)
    for x in range(bits.size):
        least = limit[x]
        bits[x] |= (
            (lowest if first[x] > least else zero)
            | (two if second[x] > least else zero)
            | (four if third[x] > least else zero)
            | (eight if fourth[x] > least else zero)
        )


@njit(cache=True)
def _by_pattern(counts: NDArray[np.int32]) -> NDArray[np.float64]:
    """Gather the 256 codes of a circle into 0 to 8 in one run, and the rest."""
    shares = np.zeros(10)
    for code in range(256):
        darker, changes = 0, 0
        for k in range(8):
            now = (code >> k) & 1
            darker += now
            changes += now != (code >> ((k + 7) % 8)) & 1
        shares[darker if changes <= 2 else 9] += counts[code]
    whole = total(shares)
    if whole > 0.0:
        for k in range(10):
            shares[k] /= whole
    return shares
