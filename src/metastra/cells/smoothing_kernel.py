"""Compiled smoothing, halving and doubling of maps, written into memory that is there already.

Rows are copied in loops: an assignment of slices is not vectorised.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.cells.tap_kernel import (
    AT_ONCE,
    LINE_PX,
    copy_row,
    folded,
    take_taps_together,
)

__all__ = [
    "double_into",
    "filter_rows_together",
    "halve_into",
    "laplacian_into",
    "pad_into",
]

_Floats = NDArray[np.float32]

_MOST = AT_ONCE[-1]


@njit(cache=True)
def pad_into(image: _Floats, reach: int, padded: _Floats) -> None:
    """Copy a map with its rows mirrored at both ends.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.
    reach : int
        Pixels that are added at either end.
    padded : ndarray of float32, shape (k,)
        Written: h rows of w + 2 reach values one after the other.
    """
    height, width = image.shape
    wide = width + 2 * reach
    for y in range(height):
        line, row = image[y], padded[y * wide : (y + 1) * wide]
        middle = row[reach:]
        for x in range(width):
            middle[x] = line[x]
        for k in range(min(reach, width)):
            row[reach - 1 - k] = line[k]
            middle[width + k] = line[width - 1 - k]
        for k in range(width, reach):
            at = folded(k, width)
            row[reach - 1 - k] = line[at]
            middle[width + k] = line[width - 1 - at]


@njit(cache=True)
def filter_rows_together(
    image: _Floats, first: int, n: int, weights: _Floats, memory: _Floats
) -> None:
    """Filter rows with four filters at once; the edge mirrors.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.
    first, n : int
        First column and how many, at most 240.
    weights : ndarray of float32, shape (4 × 15,)
        As for `tap_kernel.take_taps_together`.
    memory : ndarray of float32, shape (k,)
        Written: 10 LINE_PX values to work in; then of each filter h + 28 rows LINE_PX apart, of
        which the first and the last 14 are left open.
    """
    height = image.shape[0]
    two, made = memory[: 2 * LINE_PX], memory[2 * LINE_PX : 10 * LINE_PX]
    for y in range(0, height, 2):
        for k in range(2):
            _mirror_row(image[min(y + k, height - 1)], first - _MOST, n + 2 * _MOST, two, k)
        take_taps_together(two, weights, made, n)
        for number in range(4):
            start = 10 + number * (height + 2 * _MOST) + _MOST + y
            for k in range(min(2, height - y)):
                row = memory[(start + k) * LINE_PX :]
                copy_row(made[(2 * number + k) * LINE_PX :], row, n)


@njit(cache=True)
def _mirror_row(line: _Floats, start: int, n: int, out: _Floats, number: int) -> None:
    """Copy a part of a row that may begin before it and end after it."""
    width, row = line.size, out[number * LINE_PX :]
    before, end = max(-start, 0), min(n, width - start)
    copy_row(line[start + before :], row[before:], end - before)
    for k in range(before):
        row[before - 1 - k] = line[folded(k, width)]
    for k in range(n - end):
        row[end + k] = line[width - 1 - folded(k, width)]


@njit(cache=True)
def halve_into(image: _Floats, out: _Floats) -> None:
    """Average 2 × 2 pixels; an odd last row or column counts twice.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.
    out : ndarray of float32, shape (⌈h / 2⌉, ⌈w / 2⌉)
        Means.
    """
    rows, columns = image.shape
    height, width = out.shape
    quarter = np.float32(0.25)
    for y in range(height):
        one, two = image[2 * y], image[min(2 * y + 1, rows - 1)]
        line = out[y]
        for x in range(columns // 2):
            line[x] = quarter * (one[2 * x] + one[2 * x + 1] + two[2 * x] + two[2 * x + 1])
        if columns % 2:
            line[width - 1] = np.float32(0.5) * (one[columns - 1] + two[columns - 1])


@njit(cache=True)
def double_into(image: _Floats, out: _Floats) -> None:
    """Interpolate a halved map back, linearly between the centres of its pixels.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        What `halve_into` gave, or what was made of it.
    out : ndarray of float32, shape (2 h or 2 h − 1, 2 w or 2 w − 1)
        The outermost pixels repeat the nearest mean.
    """
    rows, columns = image.shape
    height, width = out.shape
    near, far = np.float32(0.75), np.float32(0.25)
    # one more at either end, where the nearest mean repeats
    row = np.empty(columns + 2, np.float32)
    for y in range(height):
        v = min(y // 2, rows - 1)
        other = min(max(v - 1 + 2 * (y % 2), 0), rows - 1)
        one, two, middle, line = image[v], image[other], row[1:], out[y]
        for u in range(columns):
            middle[u] = near * one[u] + far * two[u]
        row[0], row[columns + 1] = row[1], row[columns]
        for u in range(width // 2):
            line[2 * u] = near * row[u + 1] + far * row[u]
            line[2 * u + 1] = near * row[u + 1] + far * row[u + 2]
        if width % 2:
            line[width - 1] = near * row[columns] + far * row[columns - 1]


@njit(cache=True)
def laplacian_into(image: _Floats, factor: np.float32, out: _Floats) -> None:
    """Take the nine-point Laplacian times a factor; the edge repeats.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        A smoothed map.
    factor : float32
        What the Laplacian is multiplied by.
    out : ndarray of float32, shape (h, w)
        Another one than `image`.
    """
    height, width = image.shape
    scale = factor / np.float32(6.0)
    if height > 2:
        # as one long row; what lies beside an edge is put right below
        line, found = image.ravel(), out.ravel()
        inner = found[width + 1 : line.size - width - 1]
        _laplacian_row(line, line[width:], line[2 * width :], scale, inner)
    for y in range(height):
        for x in range(0, width, max(width - 1, 1)):
            out[y, x] = _laplacian_at(image, y, x, scale)
    for y in range(0, height, max(height - 1, 1)):
        for x in range(width):
            out[y, x] = _laplacian_at(image, y, x, scale)


@njit(cache=True)
def _laplacian_row(
    above: _Floats, here: _Floats, below: _Floats, scale: np.float32, out: _Floats
) -> None:
    """Of the pixels of `out`, which starts at the second pixel of the three rows."""
    four, twenty = np.float32(4.0), np.float32(20.0)
    for x in range(out.size):
        near = above[x + 1] + below[x + 1] + here[x] + here[x + 2]
        corners = above[x] + above[x + 2] + below[x] + below[x + 2]
        out[x] = scale * (four * near + corners - twenty * here[x + 1])


@njit(cache=True)
def _laplacian_at(image: _Floats, y: int, x: int, scale: np.float32) -> np.float32:
    height, width = image.shape
    above, here, below = image[max(y - 1, 0)], image[y], image[min(y + 1, height - 1)]
    left, right = max(x - 1, 0), min(x + 1, width - 1)
    near = above[x] + below[x] + here[left] + here[right]
    corners = above[left] + above[right] + below[left] + below[right]
    found: np.float32 = scale * (np.float32(4.0) * near + corners - np.float32(20.0) * here[x])
    return found
