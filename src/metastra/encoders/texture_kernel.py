"""Compiled measures of texture: moments, co-occurrence and local binary patterns."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "LEVELS",
    "binary_patterns",
    "cooccurrence",
    "haralick",
    "masked_quantiles",
    "moments",
    "quantised",
]

LEVELS = 16
"""Grey levels of the co-occurrence matrix."""


@njit(cache=True)
def moments(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Mean, standard deviation and skewness inside a mask.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.
    mask : ndarray of bool, shape (h, w)
        Which pixels count.

    Returns
    -------
    mean, sd, skewness : float
        All 0 for an empty mask; skewness 0 where the map is flat.
    """
    n, first, second, third = 0, 0.0, 0.0, 0.0
    # sums around the middle value of the map, so that nothing is lost when they are subtracted
    origin = np.float64(image[image.shape[0] // 2, image.shape[1] // 2])
    for y in range(image.shape[0]):
        line, inside = image[y], mask[y]
        for x in range(line.size):
            if inside[x]:
                gap = line[x] - origin
                n += 1
                first += gap
                second += gap * gap
                third += gap * gap * gap
    if n == 0:
        return 0.0, 0.0, 0.0
    mean = first / n
    variance = second / n - mean * mean
    if variance < 1e-8:
        return origin + mean, 0.0, 0.0
    moment = third / n - 3.0 * mean * second / n + 2.0 * mean * mean * mean
    return origin + mean, variance**0.5, moment / variance**1.5


@njit(cache=True)
def quantised(image: NDArray[np.float32], mask: NDArray[np.bool_], top: float) -> NDArray[np.uint8]:
    """Divide 0 to `top` into `LEVELS` equal steps; what is above falls into the last.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Not below 0.
    mask : ndarray of bool, shape (h, w)
        Which pixels count.
    top : float
        Upper end.

    Returns
    -------
    ndarray of uint8, shape (h, w)
        0 to LEVELS − 1; LEVELS outside the mask.
    """
    out = np.empty(image.shape, np.uint8)
    scale = np.float32(LEVELS / top)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            out[y, x] = min(int(image[y, x] * scale), LEVELS - 1) if mask[y, x] else LEVELS
    return out


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
    counts = np.zeros(side * side, np.int64)
    rows, columns = levels.shape
    width = columns - abs(dx)
    for y in range(rows - dy):
        one = levels[y, max(0, -dx) :]
        two = levels[y + dy, max(0, dx) :]
        for x in range(width):
            counts[one[x] * np.int64(side) + two[x]] += 1
    table = counts.reshape((side, side))[:LEVELS, :LEVELS].astype(np.float64)
    return table + table.T


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
    total = counts.sum()
    if total == 0.0:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    mean, second = 0.0, 0.0
    for i in range(LEVELS):
        share = counts[i].sum() / total
        mean += share * i
        second += share * i * i
    contrast, product, homogeneity, energy, entropy = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(LEVELS):
        for j in range(LEVELS):
            p = counts[i, j] / total
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
    reach = max(np.abs(dx).max(), np.abs(dy).max())
    width = columns - 2 * reach
    counts = np.zeros(256, np.int64)
    if width <= 0:
        return np.zeros(10)
    codes = np.empty(width, np.uint8)
    limit = np.empty(width, np.float32)
    for y in range(reach, rows - reach):
        limit[:] = image[y, reach : reach + width] + np.float32(step)
        codes[:] = 0
        for k in range(8):
            start = reach + dx[k]
            _set_bits(codes, image[y + dy[k], start : start + width], limit, np.uint8(1 << k))
        inside = mask[y, reach : reach + width]
        for x in range(width):
            if inside[x]:
                counts[codes[x]] += 1
    return _by_pattern(counts)


@njit(cache=True)
def _set_bits(
    codes: NDArray[np.uint8], line: NDArray[np.float32], limit: NDArray[np.float32], bit: np.uint8
) -> None:
    for x in range(codes.size):
        codes[x] |= bit if line[x] > limit[x] else np.uint8(0)


@njit(cache=True)
def _by_pattern(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Gather the 256 codes of a circle into 0 to 8 in one run, and the rest."""
    shares = np.zeros(10)
    for code in range(256):
        darker, changes = 0, 0
        for k in range(8):
            now = (code >> k) & 1
            darker += now
            changes += now != (code >> ((k + 7) % 8)) & 1
        shares[darker if changes <= 2 else 9] += counts[code]
    total = shares.sum()
    return shares / total if total > 0.0 else shares


@njit(cache=True)
def masked_quantiles(
    image: NDArray[np.float32], mask: NDArray[np.bool_], shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Quantiles of optical densities inside a mask, to 0.00125.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Not below 0; above 2.56 counts as 2.56.
    mask : ndarray of bool, shape (h, w)
        Which pixels count.
    shares : ndarray of float64, shape (k,)
        From 0 to 1, ascending.

    Returns
    -------
    ndarray of float64, shape (k,)
        Middles of bins; 0 for an empty mask.
    """
    n_bins = 2048
    counts = np.zeros(n_bins, np.int64)
    rows, columns = image.shape
    scale = np.float32(n_bins / 2.56)
    n = 0
    for y in range(rows):
        for x in range(columns):
            if mask[y, x]:
                counts[min(int(image[y, x] * scale), n_bins - 1)] += 1
                n += 1
    found = np.zeros(shares.size)
    if n == 0:
        return found
    seen, at = 0, 0
    for k in range(shares.size):
        place = shares[k] * (n - 1)
        while seen + counts[at] <= place:
            seen += counts[at]
            at += 1
        found[k] = (at + 0.5) / scale
    return found
