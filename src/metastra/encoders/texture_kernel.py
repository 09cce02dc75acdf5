"""Compiled measures of texture: co-occurrence and local binary patterns."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.encoders.map_kernel import total

__all__ = ["LEVELS", "binary_patterns", "cooccurrences", "haralick", "pair_measures", "quantise"]

LEVELS = 16
"""Grey levels of the co-occurrence matrix."""
_SIDE = LEVELS + 1
_BLOCK_PX = 2048


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
    line, inside, row = image.ravel(), mask.ravel(), out.ravel()
    for x in range(row.size):
        level = min(np.int32(line[x] * scale), np.int32(LEVELS - 1))
        row[x] = level if inside[x] else LEVELS


@njit(cache=True)
def cooccurrences(
    levels: NDArray[np.uint8], dx: NDArray[np.int64], dy: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Count pairs of levels of pixels that lie (dx, dy) apart.

    Parameters
    ----------
    levels : ndarray of uint8, shape (h, w)
        0 to LEVELS; pairs with LEVELS are not counted.
    dx, dy : ndarray of int64, shape (k,)
        Offsets in pixels, an even number of them; dy not below 0.

    Returns
    -------
    ndarray of float64, shape (k, LEVELS, LEVELS)
        For each offset a symmetric table, not normalised.

    Notes
    -----
    A pixel and its neighbours at two offsets are counted as one of 17³ triples, which halves the
    counting; the two tables of pairs are sums over it.
    """
    reach = 0
    for k in range(dx.size):
        reach = max(reach, abs(dx[k]), dy[k])
    padded, n, wide = _padded(levels, reach)
    tables = np.empty((dx.size, LEVELS, LEVELS))
    codes = np.empty(_BLOCK_PX, np.uint16)
    # two tables in turn: one waits for its last addition where the same triple comes again
    counts = np.empty((2, _SIDE * _SIDE * _SIDE), np.uint16)
    for k in range(0, dx.size, 2):
        whole = np.zeros(_SIDE * _SIDE * _SIDE, np.int64)
        # so many blocks that no small count runs over
        for begin in range(0, n, 31 * _BLOCK_PX):
            counts[:] = 0
            for at in range(begin, min(begin + 31 * _BLOCK_PX, n), _BLOCK_PX):
                one = padded[reach + at + dy[k] * wide + dx[k] :]
                two = padded[reach + at + dy[k + 1] * wide + dx[k + 1] :]
                block = codes[: min(_BLOCK_PX, n - at)]
                _code_triples(padded[reach + at :], one, two, block)
                _count_alternately(block, counts)
            for place in range(whole.size):
                whole[place] += np.int64(counts[0, place]) + np.int64(counts[1, place])
        _split_triples(whole, tables[k], tables[k + 1])
    return tables


@njit(cache=True)
def _padded(levels: NDArray[np.uint8], reach: int) -> tuple[NDArray[np.uint8], int, int]:
    """Make one long row with what is not counted between rows; its length; a row's length."""
    rows, columns = levels.shape
    wide = columns + reach
    padded = np.empty((rows + reach) * wide + 2 * reach, np.uint8)
    for x in range(padded.size):
        padded[x] = LEVELS
    for y in range(rows):
        line, row = levels[y], padded[reach + y * wide :]
        for x in range(columns):
            row[x] = line[x]
    return padded, rows * wide - reach, wide


@njit(cache=True)
def _code_triples(
    here: NDArray[np.uint8],
    one: NDArray[np.uint8],
    two: NDArray[np.uint8],
    codes: NDArray[np.uint16],
) -> None:
    side = np.uint16(_SIDE)
    for x in range(codes.size):
        codes[x] = (np.uint16(here[x]) * side + np.uint16(one[x])) * side + np.uint16(two[x])


@njit(cache=True)
def _count_alternately(codes: NDArray[np.uint16], counts: NDArray[np.uint16]) -> None:
    one, two, step = counts[0], counts[1], np.uint16(1)
    whole = codes.size - codes.size % 2
    for x in range(0, whole, 2):
        one[codes[x]] += step
        two[codes[x + 1]] += step
    for x in range(whole, codes.size):
        one[codes[x]] += step


@njit(cache=True)
def _split_triples(
    triples: NDArray[np.int64], one: NDArray[np.float64], two: NDArray[np.float64]
) -> None:
    """Sum over the second neighbours for the first table, over the first for the second."""
    pairs = np.zeros((2, _SIDE, _SIDE), np.int64)
    for i in range(_SIDE):
        of_one, of_two = pairs[0, i], pairs[1, i]
        for j in range(_SIDE):
            line = triples[(i * _SIDE + j) * _SIDE :]
            n = 0
            for k in range(_SIDE):
                n += line[k]
                of_two[k] += line[k]
            of_one[j] = n
    for i in range(LEVELS):
        for j in range(LEVELS):
            one[i, j] = pairs[0, i, j] + pairs[0, j, i]
            two[i, j] = pairs[1, i, j] + pairs[1, j, i]


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
    stains: NDArray[np.float32],
    mask: NDArray[np.bool_],
    top: float,
    offsets: NDArray[np.int64],
    levels: NDArray[np.uint8],
) -> NDArray[np.float64]:
    """Describe pairs of pixels in several directions together.

    Parameters
    ----------
    stains : ndarray of float32, shape (n, h, w)
        Not below 0.
    mask : ndarray of bool, shape (h, w)
        Which pixels count.
    top : float
        The highest grey level, as for `quantise`.
    offsets : ndarray of int64, shape (d, 2, k)
        Of each distance across and down, as for `cooccurrences`.
    levels : ndarray of uint8, shape (h, w)
        To work in.

    Returns
    -------
    ndarray of float64, shape (n, d, 6)
        `haralick` of the sum of all directions, and the largest minus the smallest contrast of a
        single one over their mean (0 where there is none).
    """
    found = np.empty((len(stains), len(offsets), 6))
    for stain in range(len(stains)):
        quantise(stains[stain], mask, top, levels)
        for at in range(len(offsets)):
            tables, row = cooccurrences(levels, offsets[at, 0], offsets[at, 1]), found[stain, at]
            together = np.zeros((LEVELS, LEVELS))
            mean, least, most = 0.0, np.inf, 0.0
            for k in range(len(tables)):
                counts = tables[k]
                contrast = _contrast(counts)
                mean, least, most = mean + contrast, min(least, contrast), max(most, contrast)
                for i in range(LEVELS):
                    for j in range(LEVELS):
                        together[i, j] += counts[i, j]
            mean /= len(tables)
            row[0], row[1], row[2], row[3], row[4] = haralick(together)
            row[5] = (most - least) / mean if mean > 1e-6 else 0.0
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
    maps: NDArray[np.float32],
    numbers: NDArray[np.int64],
    mask: NDArray[np.bool_],
    circles: NDArray[np.int64],
    step: float,
) -> NDArray[np.float64]:
    """Count rotation-invariant uniform local binary patterns.

    Parameters
    ----------
    maps : ndarray of float32, shape (n, k, h, w)
        Smoothings of n maps.
    numbers : ndarray of int64, shape (c,)
        On which of the k each circle is taken: smoothed to about its radius.
    mask : ndarray of bool, shape (h, w)
        Which centres count.
    circles : ndarray of int64, shape (c, 2, 8)
        Eight pixels of each circle, in order around it: across and down.
    step : float
        A neighbour is darker (has more stain) when it exceeds the centre by more than this.

    Returns
    -------
    ndarray of float64, shape (n, c, 10)
        Shares of centres with 0 to 8 darker neighbours in one run around the circle, and of all
        others; they add to 1, or to 0 for an empty mask.

    Notes
    -----
    Ojala, Pietikäinen and Mäenpää 2002, IEEE Trans PAMI 24:971.
    """
    rows, columns = mask.shape
    found = np.zeros((len(maps), len(circles), 10))
    for at in range(len(circles)):
        reach = 0
        for k in range(8):
            reach = max(reach, abs(circles[at, 0, k]), abs(circles[at, 1, k]))
        if columns <= 2 * reach or rows <= 2 * reach:
            continue
        # the map as one long row; where a circle would leave the map nothing counts
        inside, ways = _without_edges(mask, reach), circles[at, 1] * columns + circles[at, 0]
        for number in range(len(maps)):
            line, shares = maps[number, numbers[at]].ravel(), found[number, at]
            _count_patterns(line, inside, ways, reach * columns + reach, np.float32(step), shares)
            whole = total(shares)
            for k in range(10 if whole > 0.0 else 0):
                shares[k] /= whole
    return found


@njit(cache=True)
def _count_patterns(
    line: NDArray[np.float32],
    inside: NDArray[np.bool_],
    ways: NDArray[np.int64],
    margin: int,
    step: np.float32,
    shares: NDArray[np.float64],
) -> None:
    bits, counts = np.empty(_BLOCK_PX, np.uint8), np.zeros((10, _BLOCK_PX), np.uint8)
    n_blocks = 0
    for first in range(margin, line.size - margin, _BLOCK_PX):
        n = min(_BLOCK_PX, line.size - margin - first)
        _set_bits(bits[:n], step, line, first, ways)
        _to_patterns(bits[:n], inside[first:])
        for k in range(10):
            _count_equal(bits[:n], np.uint8(k), counts[k])
        n_blocks += 1
        # small counts are emptied before they run over
        if n_blocks == 255 or first + _BLOCK_PX >= line.size - margin:
            for k in range(10):
                shares[k] += _sum(counts[k])
            counts[:] = 0
            n_blocks = 0


@njit(cache=True)
def _without_edges(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    rows, columns = mask.shape
    found = mask.ravel().copy()
    for y in range(reach, rows - reach):
        row = found[y * columns :]
        for x in range(reach):
            row[x] = row[columns - 1 - x] = False
    return found


@njit(cache=True)
def _sum(counts: NDArray[np.uint8]) -> int:
    n = 0
    for x in range(counts.size):
        n += counts[x]
    return n


@njit(cache=True)
def _set_bits(
    bits: NDArray[np.uint8],
    step: np.float32,
    line: NDArray[np.float32],
    at: int,
    ways: NDArray[np.int64],
) -> None:
    """Set a bit for each way where what lies there exceeds a pixel by more than the step."""
    here, a, b = line[at:], line[at + ways[0] :], line[at + ways[1] :]
    c, d, e = line[at + ways[2] :], line[at + ways[3] :], line[at + ways[4] :]
    f, g, h = line[at + ways[5] :], line[at + ways[6] :], line[at + ways[7] :]
    zero = np.int32(0)
    # numbers as wide as the map's, which is quicker than bytes beside them
    for x in range(bits.size):
        least = here[x] + step
        found = np.int32(1) if a[x] > least else zero
        found |= np.int32(2) if b[x] > least else zero
        found |= np.int32(4) if c[x] > least else zero
        found |= np.int32(8) if d[x] > least else zero
        found |= np.int32(16) if e[x] > least else zero
        found |= np.int32(32) if f[x] > least else zero
        found |= np.int32(64) if g[x] > least else zero
        found |= np.int32(128) if h[x] > least else zero
        bits[x] = found


@njit(cache=True)
def _to_patterns(bits: NDArray[np.uint8], inside: NDArray[np.bool_]) -> None:
    """Turn the bits of a circle into their number where they are one run, else 9; 10 outside."""
    for x in range(bits.size):
        here = bits[x]
        turned = np.uint8(here << 1) | np.uint8(here >> 7)
        pattern = _n_bits(here) if _n_bits(here ^ turned) <= 2 else np.uint8(9)
        bits[x] = pattern if inside[x] else np.uint8(10)


@njit(cache=True)
def _n_bits(bits: np.uint8) -> np.uint8:
    """Count the bits of a byte, two, four and eight at once."""
    twos = np.uint8(bits - np.uint8(np.uint8(bits >> 1) & np.uint8(0x55)))
    fours = np.uint8(
        np.uint8(twos & np.uint8(0x33)) + np.uint8(np.uint8(twos >> 2) & np.uint8(0x33))
    )
    return np.uint8(np.uint8(fours + np.uint8(fours >> 4)) & np.uint8(0x0F))


@njit(cache=True)
def _count_equal(values: NDArray[np.uint8], value: np.uint8, counts: NDArray[np.uint8]) -> None:
    one, zero = np.uint8(1), np.uint8(0)
    for x in range(values.size):
        counts[x] = np.uint8(counts[x] + (one if values[x] == value else zero))
