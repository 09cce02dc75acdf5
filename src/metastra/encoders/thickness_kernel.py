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
    gaps = np.empty(columns, np.int32)
    gaps[:] = far
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
    best = np.empty(columns, np.int32)
    for y in range(rows):
        line, beside = along[y], 1
        for x in range(columns):
            best[x] = line[x]
        while beside < columns and beside * beside < _largest(best):
            _take_beside(line, beside, best)
            beside += 1
        for x in range(columns):
            if best[x] > 0:
                counts[best[x]] += 1
    return counts


@njit(cache=True)
def _largest(values: NDArray[np.int32]) -> int:
    most = np.int32(0)
    for x in range(values.size):
        most = max(most, values[x])
    return int(most)


@njit(cache=True)
def _take_beside(along: NDArray[np.int32], beside: int, best: NDArray[np.int32]) -> None:
    """Go so many columns to the right and to the left."""
    square = np.int32(beside * beside)
    right, other = along[beside:], best[beside:]
    for x in range(along.size - beside):
        best[x] = min(best[x], square + right[x])
    for x in range(along.size - beside):
        other[x] = min(other[x], square + along[x])


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
