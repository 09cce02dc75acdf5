"""Compiled geometry: nearest points of a jittered lattice, and points that keep their distance."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["keep_apart", "nearest_two"]

_F32 = NDArray[np.float32]


@njit(cache=True)
def nearest_two(
    x: _F32, y: _F32, px: _F32, py: _F32, spacing: float
) -> tuple[_F32, _F32, NDArray[np.int32]]:
    """Find the two nearest points of a jittered lattice for each place.

    Parameters
    ----------
    x, y : ndarray of shape (n,), float32
        Places, µm.
    px, py : ndarray of shape (rows, columns), float32
        Point of each cell of the lattice, µm; cell (r, c) covers x from (c - 2) to (c - 1) and y
        from (r - 2) to (r - 1) spacings.
    spacing : float
        Side of a cell, µm.

    Returns
    -------
    first, second : ndarray of shape (n,), float32
        Distances to the nearest and the second nearest point, µm (Worley 1996, *A cellular texture
        basis function*).
    index : ndarray of shape (n,), int32
        Flat number of the nearest point.
    """
    n = x.size
    first = np.empty(n, np.float32)
    second = np.empty(n, np.float32)
    index = np.empty(n, np.int32)
    rows, columns = px.shape
    for i in range(n):
        row, column = int(np.floor(y[i] / spacing)) + 2, int(np.floor(x[i] / spacing)) + 2
        best, next_best, which = np.float32(1e18), np.float32(1e18), 0
        for r in range(max(row - 2, 0), min(row + 3, rows)):
            for c in range(max(column - 2, 0), min(column + 3, columns)):
                dx, dy = px[r, c] - x[i], py[r, c] - y[i]
                d = dx * dx + dy * dy
                if d < best:
                    next_best, best, which = best, d, r * columns + c
                elif d < next_best:
                    next_best = d
        first[i], second[i], index[i] = np.sqrt(best), np.sqrt(next_best), which
    return first, second, index


@njit(cache=True)
def keep_apart(x: _F32, y: _F32, reach: _F32, width: float, height: float) -> NDArray[np.bool_]:
    """Choose points in their order so that no two are closer than the sum of their reaches.

    Parameters
    ----------
    x, y : ndarray of shape (n,), float32
        Candidates, µm, from 0 to `width` and `height`; the first ones win.
    reach : ndarray of shape (n,), float32
        How much room each one needs around it, µm.
    width, height : float
        Of the field, µm.

    Returns
    -------
    ndarray of shape (n,), bool
        Which are kept (dart throwing: Cook 1986, *ACM Trans. Graph.* 5, 51).
    """
    kept = np.zeros(x.size, np.bool_)
    if x.size == 0:
        return kept
    widest = reach.max()
    cell = max(2.0 * widest, 1.0)
    columns, rows = int(width / cell) + 1, int(height / cell) + 1
    head = np.full(rows * columns, -1, np.int64)
    link = np.full(x.size, -1, np.int64)
    for i in range(x.size):
        column = min(max(int(x[i] / cell), 0), columns - 1)
        row = min(max(int(y[i] / cell), 0), rows - 1)
        free = True
        for r in range(max(row - 1, 0), min(row + 2, rows)):
            for c in range(max(column - 1, 0), min(column + 2, columns)):
                j = head[r * columns + c]
                while j >= 0 and free:
                    dx, dy, room = x[i] - x[j], y[i] - y[j], reach[i] + reach[j]
                    free = dx * dx + dy * dy >= room * room
                    j = link[j]
        if free:
            kept[i] = True
            link[i] = head[row * columns + column]
            head[row * columns + column] = i
    return kept
