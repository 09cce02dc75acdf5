"""Compiled taps of a symmetric filter, several at once: along a row, and down four rows together.

A pixel's sum always runs from the middle outwards, so that the order of operations, and with it
every bit, is the same whichever loop takes how many taps at once.  A weight of 0 changes nothing.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "LINE_PX",
    "add_four",
    "add_four_down",
    "add_seven",
    "add_seven_down",
    "start_four",
    "start_four_down",
    "start_seven",
    "start_seven_down",
]

_Floats = NDArray[np.float32]
_F = np.float32
_WSeven = tuple[_F, _F, _F, _F, _F, _F, _F]
_WFour = tuple[_F, _F, _F, _F]

LINE_PX = 272
"""Values from a row to the next where columns are smoothed: a constant, so that taps down a map lie
a known way apart, and an odd number of cache lines."""


@njit(cache=True)
def _seven(
    value: np.float32,
    w: _WSeven,
    before: _Floats,
    after: _Floats,
    x: int,
    step: int,
) -> np.float32:
    """Add taps from the nearest to the farthest: `before` starts with the farthest."""
    value += w[0] * (before[x + 6 * step] + after[x])
    value += w[1] * (before[x + 5 * step] + after[x + step])
    value += w[2] * (before[x + 4 * step] + after[x + 2 * step])
    value += w[3] * (before[x + 3 * step] + after[x + 3 * step])
    value += w[4] * (before[x + 2 * step] + after[x + 4 * step])
    value += w[5] * (before[x + step] + after[x + 5 * step])
    value += w[6] * (before[x] + after[x + 6 * step])
    return value


@njit(cache=True)
def start_seven(
    row: _Floats, weights: _Floats, before: _Floats, middle: _Floats, after: _Floats
) -> None:
    """Take the middle and the first seven taps of a row.

    Parameters
    ----------
    row : ndarray of float32, shape (n,)
        Written.
    weights : ndarray of float32
        Weight at each distance.
    before, middle, after : ndarray of float32
        The map from 7 before, from here and from 1 after.
    """
    w0 = weights[0]
    w = (weights[1], weights[2], weights[3], weights[4], weights[5], weights[6], weights[7])
    for x in range(row.size):
        row[x] = _seven(w0 * middle[x], w, before, after, x, 1)


@njit(cache=True)
def start_seven_down(
    rows: tuple[_Floats, _Floats, _Floats, _Floats],
    weights: _Floats,
    above: _Floats,
    middle: _Floats,
    below: _Floats,
) -> None:
    """Take the middle and the first seven taps of four rows.

    Parameters
    ----------
    rows : tuple of ndarray of float32, shape (n,)
        Written; one below the other.
    weights : ndarray of float32
        Weight at each distance.
    above, middle, below : ndarray of float32
        The map from 7 rows above, from here and from 1 below, rows LINE_PX apart.
    """
    one, two, three, four = rows
    w0 = weights[0]
    w = (weights[1], weights[2], weights[3], weights[4], weights[5], weights[6], weights[7])
    for x in range(one.size):
        one[x] = _seven(w0 * middle[x], w, above, below, x, LINE_PX)
        at = x + LINE_PX
        two[x] = _seven(w0 * middle[at], w, above, below, at, LINE_PX)
        at = x + 2 * LINE_PX
        three[x] = _seven(w0 * middle[at], w, above, below, at, LINE_PX)
        at = x + 3 * LINE_PX
        four[x] = _seven(w0 * middle[at], w, above, below, at, LINE_PX)


@njit(cache=True)
def add_seven(row: _Floats, weights: _Floats, k: int, before: _Floats, after: _Floats) -> None:
    """Add seven taps of a row.

    Parameters
    ----------
    row : ndarray of float32, shape (n,)
        Added to.
    weights : ndarray of float32
        Weight at each distance.
    k : int
        Distance of the first of these taps.
    before, after : ndarray of float32
        The map from k + 6 before and from k after.
    """
    w = (
        weights[k],
        weights[k + 1],
        weights[k + 2],
        weights[k + 3],
        weights[k + 4],
        weights[k + 5],
        weights[k + 6],
    )
    for x in range(row.size):
        row[x] = _seven(row[x], w, before, after, x, 1)


@njit(cache=True)
def add_seven_down(
    rows: tuple[_Floats, _Floats, _Floats, _Floats],
    weights: _Floats,
    k: int,
    above: _Floats,
    below: _Floats,
) -> None:
    """Add seven taps of four rows.

    Parameters
    ----------
    rows : tuple of ndarray of float32, shape (n,)
        Added to; one below the other.
    weights : ndarray of float32
        Weight at each distance.
    k : int
        Distance of the first of these taps.
    above, below : ndarray of float32
        The map from k + 6 rows above and from k below, rows LINE_PX apart.
    """
    one, two, three, four = rows
    w = (
        weights[k],
        weights[k + 1],
        weights[k + 2],
        weights[k + 3],
        weights[k + 4],
        weights[k + 5],
        weights[k + 6],
    )
    for x in range(one.size):
        one[x] = _seven(one[x], w, above, below, x, LINE_PX)
        at = x + LINE_PX
        two[x] = _seven(two[x], w, above, below, at, LINE_PX)
        at = x + 2 * LINE_PX
        three[x] = _seven(three[x], w, above, below, at, LINE_PX)
        at = x + 3 * LINE_PX
        four[x] = _seven(four[x], w, above, below, at, LINE_PX)


@njit(cache=True)
def _four(
    value: np.float32,
    w: _WFour,
    before: _Floats,
    after: _Floats,
    x: int,
    step: int,
) -> np.float32:
    """Add taps from the nearest to the farthest: `before` starts with the farthest."""
    value += w[0] * (before[x + 3 * step] + after[x])
    value += w[1] * (before[x + 2 * step] + after[x + step])
    value += w[2] * (before[x + step] + after[x + 2 * step])
    value += w[3] * (before[x] + after[x + 3 * step])
    return value


@njit(cache=True)
def start_four(
    row: _Floats, weights: _Floats, before: _Floats, middle: _Floats, after: _Floats
) -> None:
    """Take the middle and the first four taps of a row.

    Parameters
    ----------
    row : ndarray of float32, shape (n,)
        Written.
    weights : ndarray of float32
        Weight at each distance.
    before, middle, after : ndarray of float32
        The map from 4 before, from here and from 1 after.
    """
    w0 = weights[0]
    w = (weights[1], weights[2], weights[3], weights[4])
    for x in range(row.size):
        row[x] = _four(w0 * middle[x], w, before, after, x, 1)


@njit(cache=True)
def start_four_down(
    rows: tuple[_Floats, _Floats, _Floats, _Floats],
    weights: _Floats,
    above: _Floats,
    middle: _Floats,
    below: _Floats,
) -> None:
    """Take the middle and the first four taps of four rows.

    Parameters
    ----------
    rows : tuple of ndarray of float32, shape (n,)
        Written; one below the other.
    weights : ndarray of float32
        Weight at each distance.
    above, middle, below : ndarray of float32
        The map from 4 rows above, from here and from 1 below, rows LINE_PX apart.
    """
    one, two, three, four = rows
    w0 = weights[0]
    w = (weights[1], weights[2], weights[3], weights[4])
    for x in range(one.size):
        one[x] = _four(w0 * middle[x], w, above, below, x, LINE_PX)
        at = x + LINE_PX
        two[x] = _four(w0 * middle[at], w, above, below, at, LINE_PX)
        at = x + 2 * LINE_PX
        three[x] = _four(w0 * middle[at], w, above, below, at, LINE_PX)
        at = x + 3 * LINE_PX
        four[x] = _four(w0 * middle[at], w, above, below, at, LINE_PX)


@njit(cache=True)
def add_four(row: _Floats, weights: _Floats, k: int, before: _Floats, after: _Floats) -> None:
    """Add four taps of a row.

    Parameters
    ----------
    row : ndarray of float32, shape (n,)
        Added to.
    weights : ndarray of float32
        Weight at each distance.
    k : int
        Distance of the first of these taps.
    before, after : ndarray of float32
        The map from k + 3 before and from k after.
    """
    w = (weights[k], weights[k + 1], weights[k + 2], weights[k + 3])
    for x in range(row.size):
        row[x] = _four(row[x], w, before, after, x, 1)


@njit(cache=True)
def add_four_down(
    rows: tuple[_Floats, _Floats, _Floats, _Floats],
    weights: _Floats,
    k: int,
    above: _Floats,
    below: _Floats,
) -> None:
    """Add four taps of four rows.

    Parameters
    ----------
    rows : tuple of ndarray of float32, shape (n,)
        Added to; one below the other.
    weights : ndarray of float32
        Weight at each distance.
    k : int
        Distance of the first of these taps.
    above, below : ndarray of float32
        The map from k + 3 rows above and from k below, rows LINE_PX apart.
    """
    one, two, three, four = rows
    w = (weights[k], weights[k + 1], weights[k + 2], weights[k + 3])
    for x in range(one.size):
        one[x] = _four(one[x], w, above, below, x, LINE_PX)
        at = x + LINE_PX
        two[x] = _four(two[x], w, above, below, at, LINE_PX)
        at = x + 2 * LINE_PX
        three[x] = _four(three[x], w, above, below, at, LINE_PX)
        at = x + 3 * LINE_PX
        four[x] = _four(four[x], w, above, below, at, LINE_PX)
