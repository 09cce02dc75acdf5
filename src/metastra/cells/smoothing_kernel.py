"""Compiled smoothing, halving and doubling of maps, written into memory that is there already.

Rows are copied in loops: an assignment of slices is not vectorised.  A pixel's sum always runs
from the middle outwards, so that the order of operations, and with it every bit, is the same
whichever loop takes how many taps at once.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["STRIP_PX", "double_into", "halve_into", "laplacian_into", "smooth_into"]

_Floats = NDArray[np.float32]

STRIP_PX = 112
"""Columns that are smoothed together down a map; a constant, so that rows lie a known way apart."""


@njit(cache=True)
def smooth_into(
    image: _Floats, weights: _Floats, strip: _Floats, across: _Floats, out: _Floats
) -> None:
    """Smooth rows, then columns, with a symmetric filter; the edge mirrors.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.
    weights : ndarray of float32, shape (r + 1,)
        Weight at distance 0 to r.
    strip : ndarray of float32, shape (k,)
        To work in: at least ``(2 h + 2 r) STRIP_PX`` and ``w + 2 r`` values.
    across : ndarray of float32, shape (h, w)
        To work in.
    out : ndarray of float32, shape (h, w)
        The smoothed map; may be `image` itself.
    """
    _smooth_rows(image, weights, strip, across)
    width = image.shape[1]
    for first in range(0, width, STRIP_PX):
        _smooth_strip(across, weights, first, min(STRIP_PX, width - first), strip, out)


@njit(cache=True)
def _smooth_rows(image: _Floats, weights: _Floats, padded: _Floats, out: _Floats) -> None:
    height, width = image.shape
    radius = weights.size - 1
    for y in range(height):
        line, row, middle = image[y], out[y], padded[radius:]
        for x in range(width):
            middle[x] = line[x]
            row[x] = weights[0] * line[x]
        for k in range(radius):
            padded[radius - 1 - k] = line[_mirrored(-1 - k, width)]
            middle[width + k] = line[_mirrored(width + k, width)]
        k = 1
        while k + 6 <= radius:
            _add_seven(row, weights, k, padded[radius - k - 6 :], middle[k:])
            k += 7
        while k + 2 <= radius:
            _add_three(row, weights, k, padded[radius - k - 2 :], middle[k:])
            k += 3
        while k <= radius:
            _add_one(row, weights[k], padded[radius - k :], middle[k:])
            k += 1


@njit(cache=True)
def _smooth_strip(
    image: _Floats, weights: _Floats, first: int, width: int, memory: _Floats, out: _Floats
) -> None:
    """Smooth some columns: copied side by side, rows are a constant apart, as in one long row."""
    height = image.shape[0]
    radius = weights.size - 1
    size = height * STRIP_PX
    padded, found = memory[: size + 2 * radius * STRIP_PX], memory[size + 2 * radius * STRIP_PX :]
    for y in range(-radius, height + radius):
        line = image[_mirrored(y, height), first:]
        row = padded[(y + radius) * STRIP_PX :]
        for x in range(width):
            row[x] = line[x]
        for x in range(width, STRIP_PX):
            row[x] = np.float32(0.0)
    found = found[:size]
    middle = padded[radius * STRIP_PX :]
    for x in range(size):
        found[x] = weights[0] * middle[x]
    k = 1
    while k + 6 <= radius:
        _add_seven_rows(
            found, weights, k, padded[(radius - k - 6) * STRIP_PX :], middle[k * STRIP_PX :]
        )
        k += 7
    while k + 2 <= radius:
        _add_three_rows(
            found, weights, k, padded[(radius - k - 2) * STRIP_PX :], middle[k * STRIP_PX :]
        )
        k += 3
    while k <= radius:
        _add_one(found, weights[k], padded[(radius - k) * STRIP_PX :], middle[k * STRIP_PX :])
        k += 1
    for y in range(height):
        row, line = out[y, first:], found[y * STRIP_PX :]
        for x in range(width):
            row[x] = line[x]


@njit(cache=True)
def _mirrored(index: int, size: int) -> int:
    if 0 <= index < size:
        return index
    index %= 2 * size
    return index if index < size else 2 * size - 1 - index


@njit(cache=True)
def _add_one(row: _Floats, weight: np.float32, before: _Floats, after: _Floats) -> None:
    for x in range(row.size):
        row[x] += weight * (before[x] + after[x])


@njit(cache=True)
def _add_three(row: _Floats, weights: _Floats, k: int, before: _Floats, after: _Floats) -> None:
    """Add the taps at k to k + 2; `before` starts k + 2 to the left, `after` k to the right."""
    w0, w1, w2 = weights[k], weights[k + 1], weights[k + 2]
    for x in range(row.size):
        value = row[x]
        value += w0 * (before[x + 2] + after[x])
        value += w1 * (before[x + 1] + after[x + 1])
        value += w2 * (before[x] + after[x + 2])
        row[x] = value


@njit(cache=True)
def _add_seven(row: _Floats, weights: _Floats, k: int, before: _Floats, after: _Floats) -> None:
    """Add the taps at k to k + 6; `before` starts k + 6 to the left, `after` k to the right."""
    w0, w1, w2, w3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
    w4, w5, w6 = weights[k + 4], weights[k + 5], weights[k + 6]
    for x in range(row.size):
        value = row[x]
        value += w0 * (before[x + 6] + after[x])
        value += w1 * (before[x + 5] + after[x + 1])
        value += w2 * (before[x + 4] + after[x + 2])
        value += w3 * (before[x + 3] + after[x + 3])
        value += w4 * (before[x + 2] + after[x + 4])
        value += w5 * (before[x + 1] + after[x + 5])
        value += w6 * (before[x] + after[x + 6])
        row[x] = value


@njit(cache=True)
def _add_three_rows(out: _Floats, weights: _Floats, k: int, above: _Floats, below: _Floats) -> None:
    w0, w1, w2 = weights[k], weights[k + 1], weights[k + 2]
    for x in range(out.size):
        value = out[x]
        value += w0 * (above[x + 2 * STRIP_PX] + below[x])
        value += w1 * (above[x + STRIP_PX] + below[x + STRIP_PX])
        value += w2 * (above[x] + below[x + 2 * STRIP_PX])
        out[x] = value


@njit(cache=True)
def _add_seven_rows(out: _Floats, weights: _Floats, k: int, above: _Floats, below: _Floats) -> None:
    w0, w1, w2, w3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
    w4, w5, w6 = weights[k + 4], weights[k + 5], weights[k + 6]
    for x in range(out.size):
        value = out[x]
        value += w0 * (above[x + 6 * STRIP_PX] + below[x])
        value += w1 * (above[x + 5 * STRIP_PX] + below[x + STRIP_PX])
        value += w2 * (above[x + 4 * STRIP_PX] + below[x + 2 * STRIP_PX])
        value += w3 * (above[x + 3 * STRIP_PX] + below[x + 3 * STRIP_PX])
        value += w4 * (above[x + 2 * STRIP_PX] + below[x + 4 * STRIP_PX])
        value += w5 * (above[x + STRIP_PX] + below[x + 5 * STRIP_PX])
        value += w6 * (above[x] + below[x + 6 * STRIP_PX])
        out[x] = value


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
    padded = np.empty((3, width + 2), np.float32)
    for y in range(height):
        for k in range(3):
            line, row = image[min(max(y - 1 + k, 0), height - 1)], padded[k]
            middle = row[1:]
            for x in range(width):
                middle[x] = line[x]
            row[0], row[width + 1] = line[0], line[width - 1]
        _laplacian_row(padded[0], padded[1], padded[2], scale, out[y])


@njit(cache=True)
def _laplacian_row(
    above: _Floats, here: _Floats, below: _Floats, scale: np.float32, out: _Floats
) -> None:
    four, twenty = np.float32(4.0), np.float32(20.0)
    for x in range(out.size):
        near = above[x + 1] + below[x + 1] + here[x] + here[x + 2]
        corners = above[x] + above[x + 2] + below[x] + below[x + 2]
        out[x] = scale * (four * near + corners - twenty * here[x + 1])
