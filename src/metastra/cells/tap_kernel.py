"""Compiled taps of a symmetric filter, as many at once as registers hold: along a row and down it.

A pixel's sum always runs from the middle outwards, so that the order of operations, and with it
every bit, is the same whichever loop takes how many taps at once.  A weight of 0 changes nothing.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "ALONE",
    "AT_ONCE",
    "LINE_PX",
    "copy_row",
    "folded",
    "take_taps",
    "take_taps_down",
    "take_taps_together",
]

_Floats = NDArray[np.float32]
_F = np.float32
_WSeven = tuple[_F, _F, _F, _F, _F, _F, _F]
_WFour = tuple[_F, _F, _F, _F]
_WThree = tuple[_F, _F, _F]

LINE_PX = 272
"""Values from a row to the next where columns are smoothed: a constant, so that taps down a map lie
a known way apart, and an odd number of cache lines."""

_Place = tuple[int, int, int, int]
"""Rows, values in a row, and how far they lie apart in the source and where they go."""

AT_ONCE = (4, 7, 11, 14)
"""Taps of the filters that are taken together along rows."""
ALONE = (7, 14)
"""How many taps are taken first down columns, and along rows by a filter that is taken by itself;
what is left is taken in fours."""


_MOST = AT_ONCE[-1]
_APART = _MOST + 1


@njit(cache=True)
def _seven_weights(weights: _Floats, k: int) -> _WSeven:
    return (
        weights[k],
        weights[k + 1],
        weights[k + 2],
        weights[k + 3],
        weights[k + 4],
        weights[k + 5],
        weights[k + 6],
    )


@njit(cache=True)
def _four_weights(weights: _Floats, k: int) -> _WFour:
    return weights[k], weights[k + 1], weights[k + 2], weights[k + 3]


@njit(cache=True)
def _seven(value: _F, w: _WSeven, line: _Floats, before: int, after: int, step: int) -> _F:
    """Add taps from the nearest to the farthest: the place `before` is that of the farthest."""
    value += w[0] * (line[before + 6 * step] + line[after])
    value += w[1] * (line[before + 5 * step] + line[after + step])
    value += w[2] * (line[before + 4 * step] + line[after + 2 * step])
    value += w[3] * (line[before + 3 * step] + line[after + 3 * step])
    value += w[4] * (line[before + 2 * step] + line[after + 4 * step])
    value += w[5] * (line[before + step] + line[after + 5 * step])
    value += w[6] * (line[before] + line[after + 6 * step])
    return value


@njit(cache=True)
def _four(value: _F, w: _WFour, line: _Floats, before: int, after: int, step: int) -> _F:
    """Add taps from the nearest to the farthest: the place `before` is that of the farthest."""
    value += w[0] * (line[before + 3 * step] + line[after])
    value += w[1] * (line[before + 2 * step] + line[after + step])
    value += w[2] * (line[before + step] + line[after + 2 * step])
    value += w[3] * (line[before] + line[after + 3 * step])
    return value


@njit(cache=True)
def _seven_along(source: _Floats, weights: _Floats, out: _Floats, place: _Place) -> None:
    rows, columns, apart, to = place
    w0, w = weights[0], _seven_weights(weights, 1)
    for y in range(rows):
        line, row = source[y * apart :], out[y * to :]
        for x in range(columns):
            value = w0 * line[x + 7]
            row[x] = _seven(value, w, line, x, x + 8, 1)


@njit(cache=True)
def _fourteen_along(source: _Floats, weights: _Floats, out: _Floats, place: _Place) -> None:
    rows, columns, apart, to = place
    w0, w, v = weights[0], _seven_weights(weights, 1), _seven_weights(weights, 8)
    for y in range(rows):
        line, row = source[y * apart :], out[y * to :]
        for x in range(columns):
            value = w0 * line[x + 14]
            value = _seven(value, w, line, x + 7, x + 15, 1)
            row[x] = _seven(value, v, line, x, x + 22, 1)


@njit(cache=True)
def _add_four_along(source: _Floats, weights: _Floats, k: int, out: _Floats, place: _Place) -> None:
    """Add the taps from a distance on; `source` starts with the farthest before."""
    rows, columns, apart, to = place
    w, after = _four_weights(weights, k), source[2 * k + 3 :]
    for y in range(rows):
        line, other, row = source[y * apart :], after[y * apart :], out[y * to :]
        for x in range(columns):
            value = row[x]
            value += w[0] * (line[x + 3] + other[x])
            value += w[1] * (line[x + 2] + other[x + 1])
            value += w[2] * (line[x + 1] + other[x + 2])
            row[x] = value + w[3] * (line[x] + other[x + 3])


@njit(cache=True)
def _seven_down(source: _Floats, weights: _Floats, out: _Floats, place: _Place) -> None:
    rows, columns, apart, to = place
    w0, w = weights[0], _seven_weights(weights, 1)
    for y in range(rows):
        line, row = source[y * apart :], out[y * to :]
        for x in range(columns):
            value = w0 * line[x + 7 * LINE_PX]
            row[x] = _seven(value, w, line, x, x + 8 * LINE_PX, LINE_PX)


@njit(cache=True)
def _fourteen_down(source: _Floats, weights: _Floats, out: _Floats, place: _Place) -> None:
    rows, columns, apart, to = place
    w0, w, v = weights[0], _seven_weights(weights, 1), _seven_weights(weights, 8)
    for y in range(rows):
        line, row = source[y * apart :], out[y * to :]
        for x in range(columns):
            value = w0 * line[x + 14 * LINE_PX]
            value = _seven(value, w, line, x + 7 * LINE_PX, x + 15 * LINE_PX, LINE_PX)
            row[x] = _seven(value, v, line, x, x + 22 * LINE_PX, LINE_PX)


@njit(cache=True)
def _add_four_down(source: _Floats, weights: _Floats, k: int, out: _Floats, place: _Place) -> None:
    """Add the taps from a distance on; `source` starts with the farthest before."""
    rows, columns, apart, to = place
    w, after = _four_weights(weights, k), source[(2 * k + 3) * LINE_PX :]
    for y in range(rows):
        line, other, row = source[y * apart :], after[y * apart :], out[y * to :]
        for x in range(columns):
            value = row[x]
            value += w[0] * (line[x + 3 * LINE_PX] + other[x])
            value += w[1] * (line[x + 2 * LINE_PX] + other[x + LINE_PX])
            value += w[2] * (line[x + LINE_PX] + other[x + 2 * LINE_PX])
            row[x] = value + w[3] * (line[x] + other[x + 3 * LINE_PX])


@njit(cache=True)
def take_taps(source: _Floats, weights: _Floats, n_first: int, out: _Floats, place: _Place) -> None:
    """Filter a map along rows.

    Parameters
    ----------
    source : ndarray of float32, shape (j,)
        The map with its mirrored edges; it starts as many pixels before the first as there
        are taps.
    weights : ndarray of float32, shape (t + 1,)
        Weight at distance 0 to t; t is `n_first` and some fours.
    n_first : int
        How many taps are taken first, one of `ALONE`.
    out : ndarray of float32, shape (k,)
        Written.
    place : tuple of int
        Rows, values in a row, and how far rows lie apart in `source` and in `out`.
    """
    taps = weights.size - 1
    near = source[(taps - n_first) :]
    if n_first == 7:
        _seven_along(near, weights, out, place)
    else:
        _fourteen_along(near, weights, out, place)
    for k in range(n_first + 1, taps, 4):
        _add_four_along(source[(taps - k - 3) :], weights, k, out, place)


@njit(cache=True)
def take_taps_down(
    lines: _Floats, weights: _Floats, n_first: int, out: _Floats, place: tuple[int, int, int]
) -> None:
    """Filter a map down columns; the edge mirrors.

    Parameters
    ----------
    lines : ndarray of float32, shape (j,)
        The map in rows LINE_PX apart, with room for as many rows as there are taps above and
        below, which are written.
    weights : ndarray of float32, shape (t + 1,)
        Weight at distance 0 to t; t is `n_first` and some fours.
    n_first : int
        How many taps are taken first, one of `ALONE`.
    out : ndarray of float32, shape (k,)
        Written.
    place : tuple of int
        Rows, values in a row, and how far rows lie apart in `out`.  Of 128 values in a row the rows
        of all taps stay in the first cache.
    """
    height, n, apart = place
    taps = weights.size - 1
    for k in range(taps):
        at = folded(k, height)
        copy_row(lines[(taps + at) * LINE_PX :], lines[(taps - 1 - k) * LINE_PX :], n)
        below = lines[(taps + height + k) * LINE_PX :]
        copy_row(lines[(taps + height - 1 - at) * LINE_PX :], below, n)
    near, where = lines[(taps - n_first) * LINE_PX :], (height, n, LINE_PX, apart)
    if n_first == 7:
        _seven_down(near, weights, out, where)
    else:
        _fourteen_down(near, weights, out, where)
    for k in range(n_first + 1, taps, 4):
        _add_four_down(lines[(taps - k - 3) * LINE_PX :], weights, k, out, where)


@njit(cache=True)
def folded(k: int, size: int) -> int:
    """Find where the k-th pixel beyond an edge lies inside, counted from that edge.

    Parameters
    ----------
    k : int
        From 0.
    size : int
        Pixels of the row or column.

    Returns
    -------
    int
        From 0, below `size`.
    """
    if k < size:
        return k
    k %= 2 * size
    return k if k < size else 2 * size - 1 - k


@njit(cache=True)
def copy_row(line: _Floats, out: _Floats, n: int) -> None:
    """Copy a row in a loop: an assignment of slices is not vectorised.

    Parameters
    ----------
    line : ndarray of float32, shape (j,)
        What is copied.
    out : ndarray of float32, shape (k,)
        Written.
    n : int
        How many values.
    """
    for x in range(n):
        out[x] = line[x]


@njit(cache=True)
def _three_weights(weights: _Floats, k: int) -> _WThree:
    return weights[k], weights[k + 1], weights[k + 2]


@njit(cache=True)
def _three(value: _F, w: _WThree, line: _Floats, before: int, after: int, step: int) -> _F:
    """Add taps from the nearest to the farthest: the place `before` is that of the farthest."""
    value += w[0] * (line[before + 2 * step] + line[after])
    value += w[1] * (line[before + step] + line[after + step])
    value += w[2] * (line[before] + line[after + 2 * step])
    return value


@njit(cache=True)
def take_taps_together(lines: _Floats, weights: _Floats, out: _Floats, n: int) -> None:
    """Filter two rows with four filters, which share the sums of two pixels.

    Parameters
    ----------
    lines : ndarray of float32, shape (j,)
        Two rows with their mirrored edges, LINE_PX apart; they start 14 pixels before the first.
    weights : ndarray of float32, shape (4 × 15,)
        Of each filter the weight at distance 0 to 14; 0 beyond 4, 7, 11 and 14.
    out : ndarray of float32, shape (8 LINE_PX,)
        Written, LINE_PX apart: each filter of the first row and of the second.
    n : int
        Pixels of a row.
    """
    w0, w1, w2, w3 = weights, weights[_APART:], weights[2 * _APART :], weights[3 * _APART :]
    m0, m1, m2, m3 = w0[0], w1[0], w2[0], w3[0]
    near0, near1, near2, near3 = (
        _four_weights(w0, 1),
        _four_weights(w1, 1),
        _four_weights(w2, 1),
        _four_weights(w3, 1),
    )
    next1, next2, next3 = _three_weights(w1, 5), _three_weights(w2, 5), _three_weights(w3, 5)
    far2, far3, last3 = _four_weights(w2, 8), _four_weights(w3, 8), _three_weights(w3, 12)
    one, two, row = lines[:], lines[LINE_PX:], out[:]
    for x in range(n):
        a, b = one[x + 14], two[x + 14]
        # in groups of distances, so that sums and weights stay in registers
        a0 = _four(m0 * a, near0, one, x + 10, x + 15, 1)
        b0 = _four(m0 * b, near0, two, x + 10, x + 15, 1)
        a1 = _four(m1 * a, near1, one, x + 10, x + 15, 1)
        b1 = _four(m1 * b, near1, two, x + 10, x + 15, 1)
        a2 = _four(m2 * a, near2, one, x + 10, x + 15, 1)
        b2 = _four(m2 * b, near2, two, x + 10, x + 15, 1)
        a3 = _four(m3 * a, near3, one, x + 10, x + 15, 1)
        b3 = _four(m3 * b, near3, two, x + 10, x + 15, 1)
        a1 = _three(a1, next1, one, x + 7, x + 19, 1)
        b1 = _three(b1, next1, two, x + 7, x + 19, 1)
        a2 = _three(a2, next2, one, x + 7, x + 19, 1)
        b2 = _three(b2, next2, two, x + 7, x + 19, 1)
        a3 = _three(a3, next3, one, x + 7, x + 19, 1)
        b3 = _three(b3, next3, two, x + 7, x + 19, 1)
        a2 = _four(a2, far2, one, x + 3, x + 22, 1)
        b2 = _four(b2, far2, two, x + 3, x + 22, 1)
        a3 = _four(a3, far3, one, x + 3, x + 22, 1)
        b3 = _four(b3, far3, two, x + 3, x + 22, 1)
        row[x], row[x + LINE_PX] = a0, b0
        row[x + 2 * LINE_PX], row[x + 3 * LINE_PX] = a1, b1
        row[x + 4 * LINE_PX], row[x + 5 * LINE_PX] = a2, b2
        row[x + 6 * LINE_PX] = _three(a3, last3, one, x, x + 26, 1)
        row[x + 7 * LINE_PX] = _three(b3, last3, two, x, x + 26, 1)
