"""Compiled smoothing, halving and doubling of maps, written into memory that is there already.

Rows are copied in loops: an assignment of slices is not vectorised.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.cells.tap_kernel import LINE_PX, take_taps, take_taps_down

__all__ = ["double_into", "halve_into", "laplacian_into", "pad_into", "smooth_into"]

_Floats = NDArray[np.float32]

_STRIP_PX = 256
_PART_PX = 128
_MANY_TAPS = 11


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
            at = _folded(k, width)
            row[reach - 1 - k] = line[at]
            middle[width + k] = line[width - 1 - at]


@njit(cache=True)
def _folded(k: int, size: int) -> int:
    """Where the k-th pixel beyond an edge lies inside, counted from that edge."""
    if k < size:
        return k
    k %= 2 * size
    return k if k < size else 2 * size - 1 - k


@njit(cache=True)
def smooth_into(
    padded: _Floats, reach: int, weights: _Floats, n_first: int, lines: _Floats, out: _Floats
) -> None:
    """Smooth rows, then columns, with a symmetric filter; the edge mirrors.

    Parameters
    ----------
    padded : ndarray of float32, shape (k,)
        The map, from `pad_into`.
    reach : int
        How far it is padded; not below the filter's taps.
    weights : ndarray of float32, shape (t + 1,)
        Weight at distance 0 to t; t is `n_first` and some fours, filled up with 0.
    n_first : int
        How many taps are taken at once first, one of `tap_kernel.AT_ONCE`.
    lines : ndarray of float32, shape (k,)
        To work in: at least ``(h + 2 t) LINE_PX`` values.
    out : ndarray of float32, shape (h, w)
        The smoothed map.
    """
    height, width = out.shape
    taps, wide = weights.size - 1, width + 2 * reach
    for first in range(0, width, _STRIP_PX):
        n = min(_STRIP_PX, width - first)
        source = padded[reach + first - taps :]
        place = (height, n, wide, LINE_PX)
        take_taps(source, weights, n_first, lines[taps * LINE_PX :], place)
        for k in range(taps):
            at = _folded(k, height)
            _copy(lines[(taps + at) * LINE_PX :], lines[(taps - 1 - k) * LINE_PX :], n)
            _copy(
                lines[(taps + height - 1 - at) * LINE_PX :],
                lines[(taps + height + k) * LINE_PX :],
                n,
            )
        # a part at a time, so that the rows of all taps stay in the first cache
        part = _STRIP_PX if taps < _MANY_TAPS else _PART_PX
        for at in range(0, n, part):
            place = (height, min(part, n - at), LINE_PX, width)
            take_taps_down(lines[at:], weights, n_first, out.ravel()[first + at :], place)


@njit(cache=True)
def _copy(line: _Floats, out: _Floats, n: int) -> None:
    for x in range(n):
        out[x] = line[x]


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
