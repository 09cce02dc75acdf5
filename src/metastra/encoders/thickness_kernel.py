"""Compiled thickness of the parts of a mask, by exact distances to what is not in it."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["distance_counts", "thickness"]


@njit(cache=True)
def distance_counts(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count the squared distances from each pixel of a mask to the nearest one that is not in it.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        Not all true.

    Returns
    -------
    ndarray of int64, shape (h² + w²,)
        How many pixels have each squared distance, between the middles of pixels.

    Notes
    -----
    First along columns, then the least over the columns beside, as far as one may still be nearer
    (Saito and Toriwaki 1994): exact.
    """
    rows, columns = mask.shape
    # above any distance in the map, but small enough to be squared
    far = np.int32(rows + columns)
    one, zero = np.int32(1), np.int32(0)
    along = np.empty((rows, columns), np.int32)
    gaps = np.full(columns, far, np.int32)
    for y in range(rows):
        line, row = along[y], mask[y]
        for x in range(columns):
            gaps[x] = gaps[x] + one if row[x] else zero
            line[x] = gaps[x]
    gaps[:] = far
    for y in range(rows - 1, -1, -1):
        line, row = along[y], mask[y]
        for x in range(columns):
            gaps[x] = gaps[x] + one if row[x] else zero
            line[x] = min(line[x], gaps[x]) * min(line[x], gaps[x])
    counts = np.zeros(rows * rows + columns * columns, np.int64)
    for y in range(rows):
        line = along[y]
        for x in range(columns):
            if line[x] > 0:
                counts[_least_square(line, x)] += 1
    return counts


@njit(cache=True)
def _least_square(along: NDArray[np.int32], x: int) -> int:
    best, beside, last = along[x], 1, along.size - 1
    while beside * beside < best and (beside <= x or x + beside <= last):
        square = np.int32(beside * beside)
        if beside <= x:
            best = min(best, square + along[x - beside])
        if x + beside <= last:
            best = min(best, square + along[x + beside])
        beside += 1
    return int(best)


@njit(cache=True)
def thickness(counts: NDArray[np.int64], share: float) -> tuple[float, float]:
    """Mean and a quantile of distances that were counted by their squares.

    Parameters
    ----------
    counts : ndarray of int64, shape (k,)
        From `distance_counts`; not all 0.
    share : float
        From 0 to 1.

    Returns
    -------
    mean, quantile : float
        The quantile interpolated between two distances, as `numpy.quantile` does.
    """
    n, first = 0, 0.0
    for square in range(counts.size):
        if counts[square]:
            n += counts[square]
            first += counts[square] * np.sqrt(square)
    place = share * (n - 1)
    at = int(place)
    rest = place - at
    one = _distance_at(counts, at)
    two = _distance_at(counts, min(at + 1, n - 1))
    quantile = one + (two - one) * rest if rest < 0.5 else two - (two - one) * (1.0 - rest)
    return first / n, quantile


@njit(cache=True)
def _distance_at(counts: NDArray[np.int64], place: int) -> float:
    seen, square = 0, 0
    while seen + counts[square] <= place:
        seen += counts[square]
        square += 1
    found: float = np.sqrt(np.float64(square))
    return found
