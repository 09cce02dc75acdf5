"""Compiled connected parts of a mask and their shapes.

A part is kept as runs of pixels along rows, so that a mask with few of them costs little.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.cells.seed_kernel import count_true

__all__ = ["part_areas", "part_shapes", "parts_where"]

_Runs = NDArray[np.int32]

_COUNTED_PX = 128


@njit(cache=True)
def parts_where(mask: NDArray[np.bool_]) -> tuple[_Runs, int]:
    """Find the pixels of a mask, and which of them hang together across their edges.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        Any mask.

    Returns
    -------
    runs : ndarray of int32, shape (r, 4)
        Row, first column, column after the last, and number of the part, in reading order.
    n : int
        Parts, numbered from 0 in the order of their first pixels.
    """
    columns = mask.shape[1]
    ends = _ends_of_runs(mask)
    runs = np.empty((ends.size // 2, 4), np.int32)
    parent = np.empty(len(runs), np.int32)
    above, above_end, begin, row = 0, 0, 0, -1
    for n in range(len(runs)):
        y = ends[2 * n] // columns
        first, end = ends[2 * n] - y * columns, ends[2 * n + 1] - y * columns
        if y != row:
            # the runs of the row above, if it has any
            above, above_end = (begin, n) if y == row + 1 else (n, n)
            begin, row = n, y
        runs[n, 0], runs[n, 1], runs[n, 2] = y, first, end
        parent[n] = n
        # runs of the row above that end before this one starts meet no later one either
        while above < above_end and runs[above, 2] <= first:
            above += 1
        other = above
        while other < above_end and runs[other, 1] < end:
            _unite(parent, n, other)
            other += 1
    return runs, _number(runs, parent)


@njit(cache=True)
def _ends_of_runs(mask: NDArray[np.bool_]) -> _Runs:
    """Flat indices where runs along the rows begin, and of what comes after their ends."""
    rows, columns = mask.shape
    line = mask.ravel()
    # counted in parts first, since hardly any pixel differs from the one before it
    changes = np.zeros(line.size, np.bool_)
    for x in range(1, line.size):
        changes[x] = line[x] != line[x - 1]
    n = 0
    for y in range(rows):
        # a row begins and ends a run of its own
        at = y * columns
        changes[at] = line[at] or (y > 0 and line[at - 1])
        n += line[at] and y > 0 and line[at - 1]
    found = np.empty(count_true(changes) + n + 1, np.int32)
    n = 0
    for first in range(0, changes.size, _COUNTED_PX):
        part = changes[first : first + _COUNTED_PX]
        if count_true(part) == 0:
            continue
        for x in range(first, first + part.size):
            if changes[x]:
                found[n] = x
                n += 1
                if n % 2 == 0 and x % columns == 0 and line[x]:
                    # one run ends with its row where the next begins
                    found[n] = x
                    n += 1
    if n % 2:
        found[n] = line.size
        n += 1
    return found[:n]


@njit(cache=True)
def _root(parent: _Runs, at: int) -> int:
    while parent[at] != at:
        parent[at] = parent[parent[at]]
        at = parent[at]
    return at


@njit(cache=True)
def _unite(parent: _Runs, one: int, two: int) -> None:
    a, b = _root(parent, one), _root(parent, two)
    parent[max(a, b)] = min(a, b)


@njit(cache=True)
def _number(runs: _Runs, parent: _Runs) -> int:
    n = 0
    for at in range(len(runs)):
        root = _root(parent, at)
        if root == at:
            runs[at, 3] = n
            n += 1
        else:
            runs[at, 3] = runs[root, 3]
    return n


@njit(cache=True)
def part_shapes(
    runs: _Runs, n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Measure the parts.

    Parameters
    ----------
    runs : ndarray of int32, shape (r, 4)
        From `parts_where`.
    n : int
        Parts.

    Returns
    -------
    area_px, eccentricity, fill : ndarray of float64, shape (n,)
        Area, eccentricity of the ellipse with the same second moments, and area over that of this
        ellipse.
    """
    area, cx, cy = np.zeros(n), np.zeros(n), np.zeros(n)
    for at in range(len(runs)):
        y, first, end, part = runs[at]
        length = np.float64(end - first)
        area[part] += length
        cx[part] += length * (first + end - 1) / 2.0
        cy[part] += length * y
    for part in range(n):
        cx[part] /= area[part]
        cy[part] /= area[part]
    xx, yy, xy = np.zeros(n), np.zeros(n), np.zeros(n)
    for at in range(len(runs)):
        y, first, end, part = runs[at]
        # the pixels of a run lie evenly around its middle
        length, dx, dy = np.float64(end - first), (first + end - 1) / 2.0 - cx[part], y - cy[part]
        xx[part] += length * (dx * dx + (length * length - 1.0) / 12.0)
        yy[part] += length * dy * dy
        xy[part] += length * dx * dy
    # a pixel is a square, which adds 1/12 to its second moments
    eccentricity, fill = np.empty(n), np.empty(n)
    for part in range(n):
        across, down = xx[part] / area[part] + 1.0 / 12.0, yy[part] / area[part] + 1.0 / 12.0
        half, gap = (across + down) / 2.0, math.hypot((across - down) / 2.0, xy[part] / area[part])
        long, short = half + gap, max(half - gap, 1e-9)
        eccentricity[part] = math.sqrt(max(1.0 - short / long, 0.0))
        fill[part] = area[part] / (4.0 * math.pi * math.sqrt(long * short))
    return area, eccentricity, fill


@njit(cache=True)
def part_areas(runs: _Runs, n: int) -> NDArray[np.int64]:
    """Count the pixels of the parts.

    Parameters
    ----------
    runs : ndarray of int32, shape (r, 4)
        From `parts_where`.
    n : int
        Parts.

    Returns
    -------
    ndarray of int64, shape (n,)
        Pixels of each.
    """
    area = np.zeros(n, np.int64)
    for at in range(len(runs)):
        area[runs[at, 3]] += runs[at, 2] - runs[at, 1]
    return area
