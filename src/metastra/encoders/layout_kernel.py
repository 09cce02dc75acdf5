"""Compiled measures of a coarse map: correlation with itself, Otsu's threshold, thickness."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.encoders.map_kernel import total

__all__ = ["autocorrelations", "block_means", "boundary_px", "otsu", "squared_distances"]

_Floats = NDArray[np.float32]
_OTSU_BINS = 64


@njit(cache=True)
def autocorrelations(
    image: _Floats, dx: NDArray[np.int64], dy: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Correlate a map with itself some pixels away.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.
    dx, dy : ndarray of int64, shape (k,)
        Offsets; dy not below 0.

    Returns
    -------
    ndarray of float64, shape (k,)
        Mean product of the centred values over their variance; 0 in a flat map, and where no pair
        lies in the map.
    """
    rows, columns = image.shape
    sums = np.zeros(columns)
    for y in range(rows):
        for x in range(columns):
            sums[x] += image[y, x]
    mean = np.float32(total(sums) / image.size)
    centred = np.empty((rows, columns), np.float32)
    for y in range(rows):
        for x in range(columns):
            centred[y, x] = image[y, x] - mean
    found = np.zeros(dx.size)
    variance = _mean_product(centred, 0, 0)
    if variance >= 1e-6:
        for k in range(dx.size):
            found[k] = _mean_product(centred, dx[k], dy[k]) / variance
    return found


@njit(cache=True)
def _mean_product(image: _Floats, dx: int, dy: int) -> float:
    rows, columns = image.shape
    width, height = columns - abs(dx), rows - dy
    if width <= 0 or height <= 0:
        return 0.0
    sums = np.zeros(width)
    for y in range(height):
        _add_products(image[y, max(0, -dx) :], image[y + dy, max(0, dx) :], sums)
    mean: float = total(sums) / (width * height)
    return mean


@njit(cache=True)
def _add_products(one: _Floats, two: _Floats, sums: NDArray[np.float64]) -> None:
    for x in range(sums.size):
        sums[x] += one[x] * two[x]


@njit(cache=True)
def block_means(image: _Floats, n: int) -> NDArray[np.float64]:
    """Average n × n equal blocks; rows and columns that are left over do not count.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.
    n : int
        Blocks along a side.

    Returns
    -------
    ndarray of float64, shape (n, n)
        Means.
    """
    rows, columns = image.shape[0] // n, image.shape[1] // n
    means: NDArray[np.float64] = np.zeros((n, n))
    for y in range(rows * n):
        for b in range(n):
            for x in range(b * columns, (b + 1) * columns):
                means[y // rows, b] += image[y, x]
    for k in range(n):
        for b in range(n):
            means[k, b] /= rows * columns
    return means


@njit(cache=True)
def otsu(values: _Floats) -> tuple[float, float, float]:
    """Divide a map into a low and a high part (Otsu 1979), over 64 equal bins.

    Parameters
    ----------
    values : ndarray of float32, shape (h, w)
        Any map.

    Returns
    -------
    threshold, contrast, separation : float
        The edge of a bin, the difference of the two means, and the share of the variance between
        them; the last two are 0 in a flat map.
    """
    counts, edges = _histogram(values)
    middles, shares = np.empty(_OTSU_BINS, np.float32), np.empty(_OTSU_BINS)
    for k in range(_OTSU_BINS):
        middles[k] = (edges[k] + edges[k + 1]) / np.float32(2.0)
        shares[k] = counts[k] / values.size
    mean = 0.0
    for k in range(_OTSU_BINS):
        mean += shares[k] * middles[k]
    variance = 0.0
    for k in range(_OTSU_BINS):
        gap = middles[k] - np.float32(mean)
        variance += shares[k] * (gap * gap)
    if variance < 1e-5:
        return float(edges[_OTSU_BINS]), 0.0, 0.0
    below, moment = 0.0, 0.0
    best, most, best_below, best_moment = 0, -1.0, 0.0, 0.0
    for k in range(_OTSU_BINS):
        below += shares[k]
        moment += shares[k] * middles[k]
        inside = below * (1.0 - below)
        between = (mean * below - moment) ** 2 / inside if inside > 1e-6 else 0.0
        if between > most:
            best, most, best_below, best_moment = k, between, below, moment
    low = best_moment / best_below
    high = (mean - best_moment) / (1.0 - best_below)
    return float(edges[best + 1]), high - low, most / variance


@njit(cache=True)
def _histogram(values: _Floats) -> tuple[NDArray[np.int64], _Floats]:
    """Count into 64 equal bins from the lowest to the highest value, as `numpy.histogram` does."""
    first = last = values[0, 0]
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            first, last = min(first, values[y, x]), max(last, values[y, x])
    if first == last:
        first, last = first - np.float32(0.5), last + np.float32(0.5)
    edges = np.empty(_OTSU_BINS + 1, np.float32)
    step = (last - first) / np.float32(_OTSU_BINS)
    for k in range(_OTSU_BINS):
        edges[k] = np.float32(k) * step + first
    edges[_OTSU_BINS] = last
    counts = np.zeros(_OTSU_BINS, np.int64)
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            value = values[y, x]
            place = (value - first) / (last - first) * np.float32(_OTSU_BINS)
            at = min(int(place), _OTSU_BINS - 1)
            # what rounding has put beside its bin goes where the edges say
            if value < edges[at]:
                at -= 1
            elif value >= edges[at + 1] and at != _OTSU_BINS - 1:
                at += 1
            counts[at] += 1
    return counts, edges


@njit(cache=True)
def squared_distances(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Squared distance from each pixel of a mask to the nearest one that is not in it.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        Not all true.

    Returns
    -------
    ndarray of int64, shape (n,)
        Between the middles of pixels, in reading order.

    Notes
    -----
    First along columns, then the least over the columns beside, as far as one may still be nearer
    (Saito and Toriwaki 1994): exact.
    """
    rows, columns = mask.shape
    far = rows + columns
    along = np.empty((rows, columns), np.int64)
    for x in range(columns):
        gap = far
        for y in range(rows):
            gap = gap + 1 if mask[y, x] else 0
            along[y, x] = gap
        gap = far
        for y in range(rows - 1, -1, -1):
            gap = gap + 1 if mask[y, x] else 0
            along[y, x] = min(along[y, x], gap)
    squares = np.empty(mask.size, np.int64)
    n = 0
    for y in range(rows):
        line = along[y]
        for x in range(columns):
            if mask[y, x]:
                squares[n] = _least_square(line, x)
                n += 1
    return squares[:n]


@njit(cache=True)
def _least_square(along: NDArray[np.int64], x: int) -> int:
    best: int = along[x] * along[x]
    beside = 1
    while beside * beside < best and (beside <= x or x + beside < along.size):
        square = beside * beside
        if beside <= x:
            best = min(best, square + along[x - beside] * along[x - beside])
        if x + beside < along.size:
            best = min(best, square + along[x + beside] * along[x + beside])
        beside += 1
    return best


@njit(cache=True)
def boundary_px(mask: NDArray[np.bool_]) -> int:
    """Count the edges of pixels between the two kinds.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        Holds both kinds.

    Returns
    -------
    int
        Pairs of neighbours across or down that differ.
    """
    rows, columns = mask.shape
    n = 0
    for y in range(rows):
        for x in range(columns):
            n += y + 1 < rows and mask[y, x] != mask[y + 1, x]
            n += x + 1 < columns and mask[y, x] != mask[y, x + 1]
    return n
