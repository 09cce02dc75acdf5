"""Compiled measures of a coarse map: correlation with itself, blocks, Otsu's threshold, parts."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.encoders.map_kernel import total

__all__ = [
    "autocorrelations",
    "block_counts",
    "block_spread",
    "boundary_px",
    "nuclei_by_part",
    "otsu",
]

_Floats = NDArray[np.float32]
_OTSU_BINS = 64


@njit(cache=True)
def autocorrelations(
    image: _Floats, dx: NDArray[np.int64], dy: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Correlate a map with itself some pixels away, in four directions at each distance.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.
    dx, dy : ndarray of int64, shape (4 k,)
        Offsets, four of each distance together; dy not below 0.

    Returns
    -------
    ndarray of float64, shape (k + 1,)
        Mean product of the centred values over their variance, mean of four directions; 0 in a
        flat map, and where no pair lies in the map.  Then the largest minus the smallest of the
        four at the second distance.
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
    found = np.zeros(dx.size // 4 + 1)
    variance = _mean_product(centred, 0, 0)
    if variance < 1e-6:
        return found
    for k in range(dx.size // 4):
        first, least, most = 0.0, np.inf, -np.inf
        for at in range(4 * k, 4 * k + 4):
            value = _mean_product(centred, dx[at], dy[at]) / variance
            first, least, most = first + value, min(least, value), max(most, value)
        found[k] = first / 4.0
        if k == 1:
            found[-1] = most - least
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
def block_spread(image: _Floats, n: int) -> tuple[float, float]:
    """Average n × n equal blocks; rows and columns that are left over do not count.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.
    n : int
        Blocks along a side, a power of two.

    Returns
    -------
    mean, sd : float
        Of the means of the blocks.
    """
    rows, columns = image.shape[0] // n, image.shape[1] // n
    means = np.zeros(n * n)
    for y in range(rows * n):
        for b in range(n):
            at = y // rows * n + b
            for x in range(b * columns, (b + 1) * columns):
                means[at] += image[y, x]
    for k in range(n * n):
        means[k] /= rows * columns
    return _spread(means)


@njit(cache=True)
def block_counts(points: NDArray[np.float64], shape: tuple[int, int], n: int) -> float:
    """Compare the counts of points in n × n equal blocks.

    Parameters
    ----------
    points : ndarray of float64, shape (k, 2)
        x and y in pixels, at least one.
    shape : tuple of int
        Height and width of the map.
    n : int
        Blocks along a side, a power of two.

    Returns
    -------
    float
        Standard deviation of the counts over their mean.
    """
    counts = np.zeros(n * n)
    for k in range(len(points)):
        column = min(max(int(points[k, 0] * n / shape[1]), 0), n - 1)
        row = min(max(int(points[k, 1] * n / shape[0]), 0), n - 1)
        counts[row * n + column] += 1.0
    mean, sd = _spread(counts)
    return sd / mean


@njit(cache=True)
def _spread(values: NDArray[np.float64]) -> tuple[float, float]:
    mean = _folded_sum(values) / values.size
    squares = np.empty(values.size)
    for k in range(values.size):
        squares[k] = (values[k] - mean) ** 2
    return mean, np.sqrt(_folded_sum(squares) / values.size)


@njit(cache=True)
def _folded_sum(values: NDArray[np.float64]) -> float:
    """Add halves to halves, so that equal values have no spread; a power of two of them."""
    left = values.copy()
    n = left.size // 2
    while n:
        for k in range(n):
            left[k] += left[k + n]
        n //= 2
    found: float = left[0]
    return found


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


@njit(cache=True)
def nuclei_by_part(
    dense: NDArray[np.bool_],
    points: NDArray[np.float64],
    scale: float,
    shapes: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
) -> tuple[float, float, float, int]:
    """Compare the nuclei of the dense and of the loose part.

    Parameters
    ----------
    dense : ndarray of bool, shape (h, w)
        Which pixels are dense.
    points : ndarray of float64, shape (n, 2)
        x and y of the nuclei, at least one.
    scale : float
        Pixels of the mask to a unit of the points.
    shapes : tuple of ndarray of float64, shape (n,)
        Area, haematoxylin and eccentricity of each.

    Returns
    -------
    area, haematoxylin, eccentricity : float
        Logarithms of the ratio of the means in the dense to those in the loose part, haematoxylin
        plus 0.05; the difference for the eccentricity.  0 where all are in one part.
    n_dense : int
        Nuclei in the dense part.
    """
    rows, columns = dense.shape
    area, dark, eccentricity = shapes
    sums, n_dense = np.zeros((2, 3)), 0
    for k in range(len(points)):
        x = min(max(int(points[k, 0] * scale), 0), columns - 1)
        y = min(max(int(points[k, 1] * scale), 0), rows - 1)
        row = sums[1 if dense[y, x] else 0]
        n_dense += dense[y, x]
        row[0] += area[k]
        row[1] += dark[k]
        row[2] += eccentricity[k]
    n_loose = len(points) - n_dense
    if n_dense == 0 or n_loose == 0:
        return 0.0, 0.0, 0.0, n_dense
    for part in range(3):
        sums[0, part] /= n_loose
        sums[1, part] /= n_dense
    return (
        math.log(sums[1, 0] / sums[0, 0]),
        math.log((sums[1, 1] + 0.05) / (sums[0, 1] + 0.05)),
        sums[1, 2] - sums[0, 2],
        n_dense,
    )
