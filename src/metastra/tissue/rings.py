"""Rings of polygons: what makes one valid, and whether it holds a point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["holds_point", "ring_area", "ring_fault"]

_FEWEST = 3


def ring_fault(points: Any) -> tuple[NDArray[np.float64], str]:
    """Check one ring of a GeoJSON polygon.

    Parameters
    ----------
    points : object
        What stands in the file: a list of positions, the first repeated at the end.

    Returns
    -------
    ring : float array of shape (n, 2)
        x and y without the repeated point; empty where the ring is not valid.
    fault : str
        What is wrong, in words; empty where nothing is.

    Examples
    --------
    >>> ring_fault([[0, 0], [4, 0], [4, 4], [0, 0]])[1]
    ''
    >>> ring_fault([[0, 0], [4, 0], [4, 4]])[1]
    'it is not closed: it begins at 0, 0 and ends at 4, 4'
    """
    nothing = np.empty((0, 2))
    try:
        ring = np.array([[float(x), float(y)] for x, y, *_ in points])
    except (TypeError, ValueError):
        return nothing, "positions must be pairs of numbers"
    if not len(ring) or not np.isfinite(ring).all():
        return nothing, "positions must be finite numbers"
    if not np.array_equal(ring[0], ring[-1]) or len(ring) == 1:
        first, last = (", ".join(f"{value:g}" for value in ring[at]) for at in (0, -1))
        return nothing, f"it is not closed: it begins at {first} and ends at {last}"
    ring = ring[:-1]
    ring = ring[np.any(ring != np.roll(ring, 1, axis=0), axis=1)]
    if len(ring) < _FEWEST:
        return nothing, f"it has {len(ring)} different points; expected at least {_FEWEST}"
    crossing = _crossing(ring)
    if crossing is not None:
        return nothing, f"it crosses itself near x {crossing[0]:.1f}, y {crossing[1]:.1f}"
    if ring_area(ring) <= 0:
        return nothing, "it encloses no area"
    return ring, ""


def ring_area(ring: NDArray[np.float64]) -> float:
    """Give the area that a ring encloses (shoelace formula).

    Parameters
    ----------
    ring : float array of shape (n, 2)
        x and y, the first point not repeated.

    Returns
    -------
    float
        At least 0, in squares of the unit of the points.

    Examples
    --------
    >>> ring_area(np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0]]))
    6.0
    """
    x, y = ring[:, 0] - ring[0, 0], ring[:, 1] - ring[0, 1]
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def holds_point(ring: NDArray[np.float64], point: NDArray[np.float64]) -> bool:
    """Say whether a point lies inside a ring (crossing number).

    Parameters
    ----------
    ring : float array of shape (n, 2)
        x and y, the first point not repeated.
    point : float array of shape (2,)
        x and y.

    Returns
    -------
    bool
        Points on the ring may fall on either side.

    Examples
    --------
    >>> square = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
    >>> holds_point(square, np.array([1.0, 2.0])), holds_point(square, np.array([5.0, 2.0]))
    (True, False)
    """
    one, two = ring, np.roll(ring, -1, axis=0)
    straddles = (one[:, 1] > point[1]) != (two[:, 1] > point[1])
    one, two = one[straddles], two[straddles]
    at = one[:, 0] + (point[1] - one[:, 1]) / (two[:, 1] - one[:, 1]) * (two[:, 0] - one[:, 0])
    return bool(np.count_nonzero(at > point[0]) % 2)


def _crossing(ring: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Find a place where two sides cross; a sweep along x keeps the comparisons few."""
    count = len(ring)
    one, two = ring, np.roll(ring, -1, axis=0)
    low = np.minimum(one[:, 0], two[:, 0])
    order = np.argsort(low, kind="stable")
    ends = np.searchsorted(low[order], np.maximum(one[:, 0], two[:, 0]), side="right")
    for place, side in enumerate(order):
        others = order[place + 1 : ends[side]]
        gap = np.abs(others - side)
        others = others[(gap > 1) & (gap < count - 1)]
        if not len(others):
            continue
        a, b, c, d = one[side], two[side], one[others], two[others]
        apart = _turn(a, b, c) * _turn(a, b, d) < 0
        apart &= _turn(c, d, a) * _turn(c, d, b) < 0
        if apart.any():
            middle: NDArray[np.float64] = (a + b) / 2
            return middle
    return None


def _turn(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sign of the turn a, b, c."""
    one, two = b - a, c - a
    turn: NDArray[np.float64] = one[..., 0] * two[..., 1] - one[..., 1] * two[..., 0]
    return turn
