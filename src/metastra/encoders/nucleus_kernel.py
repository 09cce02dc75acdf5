"""Compiled measures of the nuclei of a tile: spread of their shapes, kinds, and arrangement."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["columns_of", "measure_arrangement", "measure_nuclei", "nearest_of_each"]

_Values = NDArray[np.float64]
_Limits = tuple[float, float, float, float, float, float, float]


@njit(cache=True)
def measure_nuclei(
    columns: _Values,
    ordered: _Values,
    limits: _Limits,
    areas_mm2: tuple[float, float],
    lymphocyte_like: NDArray[np.bool_],
    out: _Values,
) -> int:
    """Measure density, spread of the shapes, and kinds.

    Parameters
    ----------
    columns, ordered : ndarray of float64, shape (7, n)
        From `columns_of`, and the same in ascending order.
    limits : tuple of float
        Small below and large above these areas (µm²); lymphocyte-like from and to these areas and
        below this eccentricity; elongated above this one; hyperchromatic above so many times the
        median.
    areas_mm2 : tuple of float
        Of the tile and of its tissue.
    lymphocyte_like : ndarray of bool, shape (n,)
        Written: which are small, round and dark.
    out : ndarray of float64, shape (k,)
        Written: its first 39 values.

    Returns
    -------
    int
        How many values were written.
    """
    n, (tile_mm2, tissue_mm2) = columns.shape[1], areas_mm2
    spread = _spread_of_columns(columns, ordered)
    mean_um2, sd_um2 = spread[0, 0], spread[0, 1]
    out[0], out[1], out[2] = n / tile_mm2, n / tissue_mm2, n * mean_um2 / tissue_mm2 / 1e6
    at = 3
    for row in range(len(spread)):
        for k in range(4):
            out[at] = spread[row, k]
            at += 1
    median_od = (ordered[3, (n - 1) // 2] + ordered[3, n // 2]) / 2.0
    kinds = _counts_of_kinds(columns, median_od, limits, lymphocyte_like)
    out[at] = sd_um2 / mean_um2
    for k in range(kinds.size):
        out[at + 1 + k] = kinds[k] / n
    at += 1 + kinds.size
    out[at] = kinds[-1] / tile_mm2
    return at + 1


@njit(cache=True)
def measure_arrangement(
    points: _Values,
    nearest: tuple[_Values, NDArray[np.int64]],
    shapes: tuple[_Values, _Values, _Values, _Values],
    lymphocyte_like: NDArray[np.bool_],
    tissue_mm2: float,
    reaches_um: tuple[float, float],
    out: _Values,
) -> None:
    """Measure how nuclei lie to one another.

    Parameters
    ----------
    points : ndarray of float64, shape (n, 2)
        Positions in µm.
    nearest : tuple of ndarray
        Distances, shape (k, n), and neighbours, shape (n, k), from `nearest_of_each`.
    shapes : tuple of ndarray of float64, shape (n,)
        Eccentricity, angle in radians, area and haematoxylin of each.
    lymphocyte_like : ndarray of bool, shape (n,)
        Which are lymphocyte-like.
    tissue_mm2 : float
        Area of the tissue.
    reaches_um : tuple of float
        Within which neighbours are counted, the larger one second.
    out : ndarray of float64, shape (13,)
        Written: in the order of the features.
    """
    distances, neighbours = nearest
    n = len(points)
    by_rank = _spread_of_columns(distances, distances)
    random_um = 0.5 / math.sqrt(n / (tissue_mm2 * 1e6))
    out[0], out[1], out[2] = by_rank[0, 0], by_rank[0, 1], by_rank[0, 0] / random_um
    out[3], out[4] = by_rank[-1, 0], by_rank[-1, 1] / max(by_rank[-1, 0], 1e-9)
    close, wide, wide_like = _pairs_within(points, lymphocyte_like, reaches_um[0], reaches_um[1])
    out[5], out[6] = 2.0 * close / n, 2.0 * wide / n
    out[7], out[8], out[9], out[10], out[11] = _agreement(
        points, neighbours, shapes[0], shapes[1], shapes[2], shapes[3]
    )
    n_like = 0
    for k in range(n):
        n_like += lymphocyte_like[k]
    out[12] = 2.0 * wide_like / n_like if n_like > 0 else 0.0


@njit(cache=True)
def columns_of(
    area: _Values,
    eccentricity: _Values,
    fill: _Values,
    haematoxylin: _Values,
    haematoxylin_sd: _Values,
    contrast: _Values,
    strength_od: float,
) -> _Values:
    """Put side by side what is spread between nuclei.

    Parameters
    ----------
    area, eccentricity, fill, haematoxylin, haematoxylin_sd, contrast : ndarray of shape (n,)
        Of each nucleus, as in `metastra.cells.nuclei.NucleusShapes`.
    strength_od : float
        Of haematoxylin in the tile.

    Returns
    -------
    ndarray of float64, shape (7, n)
        Area, eccentricity, fill, haematoxylin; haematoxylin and contrast over the strength;
        standard deviation of haematoxylin over its mean.
    """
    out = np.empty((7, area.size))
    for k in range(area.size):
        out[0, k] = area[k]
        out[1, k] = eccentricity[k]
        out[2, k] = fill[k]
        out[3, k] = haematoxylin[k]
        out[4, k] = haematoxylin[k] / strength_od
        out[5, k] = contrast[k] / strength_od
        out[6, k] = haematoxylin_sd[k] / max(haematoxylin[k], 1e-3)
    return out


@njit(cache=True)
def _spread_of_columns(columns: _Values, ordered: _Values) -> _Values:
    """Mean, standard deviation, 10th and 90th percentile of each column.

    Percentiles are values, not interpolated.
    """
    k, n = columns.shape
    out = np.empty((k, 4))
    for row in range(k):
        first = 0.0
        for at in range(n):
            first += columns[row, at]
        mean, second = first / n, 0.0
        for at in range(n):
            second += (columns[row, at] - mean) ** 2
        out[row, 0], out[row, 1] = mean, math.sqrt(second / n)
        out[row, 2], out[row, 3] = ordered[row, (n - 1) // 10], ordered[row, (9 * (n - 1)) // 10]
    return out


@njit(cache=True)
def _counts_of_kinds(
    columns: _Values,
    median_od: float,
    limits: _Limits,
    lymphocyte_like: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Count small, large, elongated, hyperchromatic, large dark, lymphocyte-like nuclei."""
    small, large, least, most, rounded, elongated, dark_times = limits
    counts = np.zeros(6, np.int64)
    for k in range(columns.shape[1]):
        area, eccentricity, haematoxylin = columns[0, k], columns[1, k], columns[3, k]
        dark = haematoxylin > median_od
        like = least <= area and area <= most and eccentricity < rounded and dark
        lymphocyte_like[k] = like
        counts[0] += area < small
        counts[1] += area > large
        counts[2] += eccentricity > elongated
        counts[3] += haematoxylin > dark_times * median_od
        counts[4] += area > large and dark
        counts[5] += like
    return counts


@njit(cache=True)
def nearest_of_each(points: _Values, k: int) -> tuple[_Values, NDArray[np.int64], bool]:
    """Find the nearest other points of each point.

    Parameters
    ----------
    points : ndarray of float64, shape (n, 2)
        Positions, more than k.
    k : int
        How many.

    Returns
    -------
    distance : ndarray of float64, shape (k, n)
        The nearest first.
    neighbours : ndarray of int64, shape (n, k)
        Which they are.
    clear : bool
        Whether no other point is as far as the last of these, so that there is one answer.

    Notes
    -----
    All pairs are looked at: for the few hundred nuclei of a tile that is quicker than a tree.
    """
    n = len(points)
    distance, neighbours = np.empty((k, n)), np.zeros((n, k), np.int64)
    squares, near, clear = np.empty(n), np.empty(k), True
    x, y = points[:, 0].copy(), points[:, 1].copy()
    for i in range(n):
        for j in range(n):
            across, down = x[j] - x[i], y[j] - y[i]
            squares[j] = across * across + down * down
        squares[i] = np.inf
        near[:] = np.inf
        which = neighbours[i]
        for j in range(n):
            if squares[j] < near[k - 1]:
                at = k - 1
                while at > 0 and near[at - 1] > squares[j]:
                    near[at], which[at] = near[at - 1], which[at - 1]
                    at -= 1
                near[at], which[at] = squares[j], j
        last, n_last = near[k - 1], 0
        for j in range(n):
            n_last += squares[j] <= last
        clear = clear and n_last == k
        for at in range(k):
            distance[at, i] = math.sqrt(near[at])
    return distance, neighbours, clear


@njit(cache=True)
def _pairs_within(
    points: _Values, counted: NDArray[np.bool_], close: float, wide: float
) -> tuple[int, int, int]:
    """Count pairs at most so far apart: close, wide, wide of those that count."""
    n_close, n_wide, of_counted = 0, 0, 0
    near, far = close * close, wide * wide
    for i in range(len(points)):
        for j in range(i):
            across, down = points[i, 0] - points[j, 0], points[i, 1] - points[j, 1]
            square = across * across + down * down
            n_close += square <= near
            n_wide += square <= far
            of_counted += (square <= far) & counted[i] & counted[j]
    return n_close, n_wide, of_counted


@njit(cache=True)
def _agreement(
    points: _Values,
    neighbours: NDArray[np.int64],
    eccentricity: _Values,
    angle_rad: _Values,
    area: _Values,
    haematoxylin: _Values,
) -> tuple[float, float, float, float, float]:
    """Compare each nucleus with its neighbours.

    Parameters
    ----------
    points : ndarray of float64, shape (n, 2)
        Positions.
    neighbours : ndarray of int64, shape (n, k)
        Nearest nuclei of each.
    eccentricity, angle_rad, area, haematoxylin : ndarray of float64, shape (n,)
        Of each nucleus.

    Returns
    -------
    resultant, parallel, beside, area_difference, haematoxylin_difference : float
        Length of the mean doubled direction; mean cosine of twice the angle to a neighbour's
        direction; minus that to the way to the neighbour; mean absolute differences of logarithms.
    """
    n, k = neighbours.shape
    total, sum_cos, sum_sin, parallel, pairs, beside = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    of_area, of_dark = 0.0, 0.0
    log_area, log_dark = np.empty(n), np.empty(n)
    for i in range(n):
        log_area[i], log_dark[i] = math.log(area[i]), math.log(max(haematoxylin[i], 1e-3))
    for i in range(n):
        weight, turned = eccentricity[i], 2.0 * angle_rad[i]
        total += weight
        sum_cos += weight * math.cos(turned)
        sum_sin += weight * math.sin(turned)
        for at in range(k):
            j = neighbours[i, at]
            both = weight * eccentricity[j]
            pairs += both
            parallel += both * math.cos(turned - 2.0 * angle_rad[j])
            bearing = math.atan2(points[j, 1] - points[i, 1], points[j, 0] - points[i, 0])
            beside -= weight * math.cos(turned - 2.0 * bearing)
            of_area += abs(log_area[i] - log_area[j])
            of_dark += abs(log_dark[i] - log_dark[j])
    total, pairs = max(total, 1e-9), max(pairs, 1e-9)
    resultant = math.hypot(sum_cos, sum_sin) / total
    return resultant, parallel / pairs, beside / k / total, of_area / (n * k), of_dark / (n * k)
