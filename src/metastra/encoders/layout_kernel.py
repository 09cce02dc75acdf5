"""Compiled measures of a coarse map: correlation with itself, blocks, dense and loose parts."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.cells.seed_kernel import count_true
from metastra.cells.smoothing_kernel import halve_into
from metastra.encoders.map_kernel import above, as_floats, total
from metastra.encoders.mask_kernel import moments
from metastra.encoders.part_kernel import part_areas, parts_where
from metastra.encoders.thickness_kernel import distance_counts, thickness

__all__ = ["measure_dense", "measure_evenness", "otsu"]

_Floats = NDArray[np.float32]
_Values = NDArray[np.float64]
_OTSU_BINS = 64
_LEAST_PART_UM2 = 100.0


@njit(cache=True)
def measure_evenness(
    stains: _Floats,
    masks: tuple[NDArray[np.bool_], _Floats],
    times: int,
    offsets: tuple[NDArray[np.int64], NDArray[np.int64]],
    n_blocks: int,
    points: _Values,
) -> tuple[_Values, _Floats]:
    """Measure how a tile repeats itself and how even it is.

    Parameters
    ----------
    stains : ndarray of float32, shape (2, h, w)
        Haematoxylin and eosin over their strength, halved.
    masks : tuple of ndarray
        Tissue of the tile, of bool; and memory for two maps of its size.
    times : int
        How often the stains were halved.
    offsets : tuple of ndarray of int64, shape (4 k,)
        Across and down, four of each distance together; dy not below 0.
    n_blocks : int
        Blocks along a side, a power of two.
    points : ndarray of float64, shape (n, 2)
        Nuclei in pixels of the tile.

    Returns
    -------
    found : ndarray of float64, shape (2 k + 6,)
        Of each stain the correlation with itself at each distance, its spread over directions,
        and the variation between blocks; then the variation of the tissue and of the nuclei.
    share : ndarray of float32, shape (h, w)
        Tissue, halved as often as the stains; it lies in the memory.
    """
    tissue, memory = masks
    height, width = tissue.shape
    share = memory[: tissue.size].reshape(height, width)
    as_floats(tissue, share)
    start = tissue.size
    for _ in range(times):
        height, width = (height + 1) // 2, (width + 1) // 2
        half = memory[start : start + height * width].reshape(height, width)
        halve_into(share, half)
        share, start = half, start + half.size
    n_lags = offsets[0].size // 4 + 1
    found = np.zeros(2 * (n_lags + 1) + 2)
    for stain in range(2):
        row = found[stain * (n_lags + 1) :]
        _autocorrelations(stains[stain], offsets[0], offsets[1], row)
        mean, sd = _block_spread(stains[stain], n_blocks)
        row[n_lags] = sd / mean if mean > 1e-3 else 0.0
    row = found[2 * (n_lags + 1) :]
    row[0] = _block_spread(share, n_blocks)[1]
    if len(points) > 0:
        row[1] = _block_counts(points, tissue.shape, n_blocks)
    return found, share


@njit(cache=True)
def measure_dense(
    eosin: _Floats,
    smooth: _Floats,
    share: _Floats,
    nuclei: tuple[_Values, _Values, _Values, _Values],
    scale: tuple[float, float, float, float],
) -> _Values:
    """Compare the dense part with the rest.

    Parameters
    ----------
    eosin, smooth, share : ndarray of float32, shape (h, w)
        Eosin and smoothed haematoxylin over their strength; share of tissue.
    nuclei : tuple of ndarray of float64
        Centroids in pixels of the tile, shape (n, 2); area, haematoxylin and eccentricity, shape
        (n,), or empty where they are not known.
    scale : tuple of float
        Micrometres per pixel of the tile and of the maps, the square of the latter, and area of
        the tile in mm².

    Returns
    -------
    ndarray of float64, shape (14,)
        In the order of the features; all 0 where there is only one part.
    """
    mpp_of_tile, mpp, pixel_um2, area_mm2 = scale
    threshold, contrast, separation = otsu(smooth)
    dense, loose, sparse = (
        np.empty(smooth.shape, np.bool_),
        np.empty(smooth.shape, np.bool_),
        np.empty(smooth.shape, np.bool_),
    )
    out, n_dense = np.zeros(14), above(smooth, threshold, dense)
    if contrast == 0.0 or n_dense == 0:
        return out
    above(share, 0.5, loose)
    one, two, three = dense.ravel(), loose.ravel(), sparse.ravel()
    for x in range(one.size):
        three[x] = not one[x]
        two[x] = two[x] & three[x]
    n_loose, n_parts = count_true(two), 0
    runs, n = parts_where(dense)
    areas = part_areas(runs, n)
    for k in range(n):
        n_parts += areas[k] * pixel_um2 >= _LEAST_PART_UM2
    thick_px, thick_p90_px = thickness(distance_counts(dense), 0.9)
    thin_px, _ = thickness(distance_counts(sparse), 0.9)
    out[0], out[1], out[2], out[3] = n_dense / dense.size, contrast, separation, n_parts / area_mm2
    out[4], out[5], out[6] = 2.0 * mpp * thick_px, 2.0 * mpp * thick_p90_px, 2.0 * mpp * thin_px
    # π/4 corrects the length of a staircase
    out[7] = _boundary_px(dense) * mpp / 1000.0 * np.pi / 4.0 / area_mm2
    if n_loose > 0:
        inside, outside = moments(eosin, dense)[0], moments(eosin, loose)[0]
        out[8] = math.log((inside + 0.05) / (outside + 0.05))
    n_nuclei, loose_mm2 = nuclei[1].size, n_loose * (mpp / 1000.0) ** 2
    if n_nuclei > 0:
        out[9], out[10], out[11], n_inside = _nuclei_by_part(dense, nuclei, mpp_of_tile / mpp)
        out[12] = n_inside / n_nuclei
        out[13] = (n_nuclei - n_inside) / loose_mm2 if loose_mm2 > 1e-4 else 0.0
    return out


@njit(cache=True)
def _autocorrelations(
    image: _Floats, dx: NDArray[np.int64], dy: NDArray[np.int64], found: _Values
) -> None:
    """Correlate a map with itself some pixels away, in four directions at each distance.

    Offsets, four of each distance together; dy not below 0.  Of each distance the mean product of
    the centred values over their variance, mean of four directions; 0 in a flat map, and where no
    pair lies in the map.  Then the largest minus the smallest of the four at the second distance.
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
    variance = _mean_product(centred, 0, 0)
    if variance < 1e-6:
        return
    for k in range(dx.size // 4):
        first, least, most = 0.0, np.inf, -np.inf
        for at in range(4 * k, 4 * k + 4):
            value = _mean_product(centred, dx[at], dy[at]) / variance
            first, least, most = first + value, min(least, value), max(most, value)
        found[k] = first / 4.0
        if k == 1:
            found[dx.size // 4] = most - least


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
def _block_spread(image: _Floats, n: int) -> tuple[float, float]:
    """Mean and standard deviation of the means of n × n equal blocks, n a power of two.

    Rows and columns that are left over do not count.
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
def _block_counts(points: NDArray[np.float64], shape: tuple[int, int], n: int) -> float:
    """Divide the deviation of the counts of points in n × n equal blocks by their mean."""
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
def _boundary_px(mask: NDArray[np.bool_]) -> int:
    """Count the pairs of neighbours across or down that differ."""
    rows, columns = mask.shape
    n = 0
    for y in range(rows):
        for x in range(columns):
            n += y + 1 < rows and mask[y, x] != mask[y + 1, x]
            n += x + 1 < columns and mask[y, x] != mask[y, x + 1]
    return n


@njit(cache=True)
def _nuclei_by_part(
    dense: NDArray[np.bool_], nuclei: tuple[_Values, _Values, _Values, _Values], scale: float
) -> tuple[float, float, float, int]:
    """Compare the nuclei of the dense and of the loose part.

    Logarithms of the ratio of the mean areas and of the mean haematoxylin plus 0.05 in the dense to
    those in the loose part, the difference of the mean eccentricities, 0 where all are in one part;
    and how many are in the dense part.  `scale` turns a pixel of the tile into one of the mask.
    """
    rows, columns = dense.shape
    points, area, dark, eccentricity = nuclei
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
