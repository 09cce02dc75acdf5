"""Compiled search for the centres of blobs."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "count_true",
    "keep_strongest",
    "local_maxima",
    "raise_and_find_strength",
    "strongest_scale",
]


_PART_PX = 2048
_COUNTED_PX = 128


@njit(cache=True)
def count_true(mask: NDArray[np.bool_]) -> int:
    """Count what is true.

    Parameters
    ----------
    mask : ndarray of bool, shape (n,)
        Any mask.

    Returns
    -------
    int
        How many are.
    """
    n = 0
    for x in range(mask.size):
        n += mask[x]
    return n


@njit(cache=True)
def _quantile_of_every_second(bits: NDArray[np.uint32], share: float) -> np.uint32:
    """Find the bits of a quantile of every second pixel of every second row, not interpolated.

    The bits of a number, with those of a negative one turned over, are in its order: they are
    counted by their upper 11, then by the next 11 of those that share the upper ones, and so on.
    """
    rows, columns = (bits.shape[0] + 1) // 2, (bits.shape[1] + 1) // 2
    keys = np.empty(rows * columns, np.uint32)
    for v in range(rows):
        line, row = bits[2 * v], keys[v * columns :]
        for u in range(columns):
            value = line[2 * u]
            row[u] = ~value if value >> np.uint32(31) else value | np.uint32(0x80000000)
    place = int(share * (keys.size - 1))
    found, left = np.uint32(0), keys.size
    for shift in (21, 10, 0):
        at, before = _bin_of(_counts(keys[:left], np.uint32(shift)), place)
        found |= np.uint32(at << shift)
        place -= before
        left = _keep(keys[:left], np.uint32(shift), np.uint32(at))
    return found & np.uint32(0x7FFFFFFF) if found >> np.uint32(31) else ~found


@njit(cache=True)
def _counts(keys: NDArray[np.uint32], shift: np.uint32) -> NDArray[np.int32]:
    """Count 11 bits from a place on."""
    counts = np.zeros(2048, np.int32)
    for k in range(keys.size):
        counts[(keys[k] >> shift) & np.uint32(0x7FF)] += 1
    return counts


@njit(cache=True)
def _bin_of(counts: NDArray[np.int32], place: int) -> tuple[int, int]:
    """Where the place falls, and how many lie before that bin."""
    seen, at = 0, 0
    while seen + counts[at] <= place:
        seen += counts[at]
        at += 1
    return at, seen


@njit(cache=True)
def _keep(keys: NDArray[np.uint32], shift: np.uint32, wanted: np.uint32) -> int:
    """Move the keys of one bin to the front, and count them."""
    n = 0
    for k in range(keys.size):
        keys[n] = keys[k]
        n += (keys[k] >> shift) & np.uint32(0x7FF) == wanted
    return n


@njit(cache=True)
def raise_and_find_strength(
    image: NDArray[np.float32],
    near: NDArray[np.float32],
    share: float,
    even: NDArray[np.uint32],
    out: NDArray[np.float32],
) -> np.uint32:
    """Raise a map to a share of its mean nearby, and say how strong it is.

    Parameters
    ----------
    image, near : ndarray of float32, shape (h, w)
        The map, and its mean near each pixel.
    share : float
        Of the mean, rounded to float32.
    even : ndarray of uint32, shape (h, w)
        Bits of the map after it was smoothed a little.
    out : ndarray of float32, shape (h, w)
        Written.

    Returns
    -------
    uint32
        Bits of the 95th percentile of every second pixel of every second row of `even`.
    """
    part = np.float32(share)
    line, mean, row = image.ravel(), near.ravel(), out.ravel()
    for x in range(row.size):
        row[x] = max(line[x], part * mean[x])
    return _quantile_of_every_second(even, 0.95)


@njit(cache=True)
def strongest_scale(
    responses: NDArray[np.float32],
    weights: NDArray[np.float32],
    best: NDArray[np.float32],
    scale: NDArray[np.int8],
) -> None:
    """Find at each pixel the scale whose weighted response is highest; of equal ones the first.

    Parameters
    ----------
    responses : ndarray of float32, shape (k, h, w)
        Of each scale.
    weights : ndarray of float32, shape (k,)
        Of each scale.
    best : ndarray of float32, shape (h, w)
        Written: the highest weighted response.
    scale : ndarray of int8, shape (h, w)
        Written: number of the scale that gave it.
    """
    highest, which = best.ravel(), scale.ravel()
    # a part at a time, which stays in the first cache
    for first in range(0, highest.size, _PART_PX):
        last = min(first + _PART_PX, highest.size)
        for number in range(len(responses)):
            _take_stronger(
                responses[number].ravel()[first:last],
                weights[number],
                number,
                highest[first:last],
                which[first:last],
            )


@njit(cache=True)
def _take_stronger(
    line: NDArray[np.float32],
    factor: np.float32,
    number: int,
    highest: NDArray[np.float32],
    which: NDArray[np.int8],
) -> None:
    this = np.int8(number)
    if number == 0:
        for x in range(line.size):
            highest[x] = factor * line[x]
            which[x] = this
    else:
        for x in range(line.size):
            value = factor * line[x]
            which[x] = this if value > highest[x] else which[x]
            highest[x] = max(value, highest[x])


@njit(cache=True)
def local_maxima(image: NDArray[np.float32], floor: float) -> NDArray[np.int64]:
    """Find pixels above all eight neighbours; of a plateau, its first pixel in reading order.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.
    floor : float
        Only maxima above this.

    Returns
    -------
    ndarray of int64, shape (n,)
        Flat indices, ascending.

    Examples
    --------
    >>> image = np.zeros((4, 4), np.float32)
    >>> image[1, 2] = 1.0
    >>> local_maxima(image, 0.5).tolist()
    [6]
    """
    height, width = image.shape
    found = np.empty(image.size, np.int64)
    # counted in parts first, since hardly any is a top
    is_top = np.zeros(image.size, np.bool_)
    line = image.ravel()
    # as one long row: pixels beside an edge are not right yet, those of the first and last row open
    if height > 2:
        _mark_tops(line, width, np.float64(floor), is_top[width : line.size - width])
    for x in range(width):
        is_top[x] = _is_top_at(image, floor, 0, x)
        is_top[line.size - width + x] = _is_top_at(image, floor, height - 1, x)
    for y in range(height):
        is_top[y * width] = _is_top_at(image, floor, y, 0)
        is_top[y * width + width - 1] = _is_top_at(image, floor, y, width - 1)
    n = 0
    for first in range(0, is_top.size, _COUNTED_PX):
        part = is_top[first : first + _COUNTED_PX]
        if count_true(part) > 0:
            for x in range(part.size):
                if part[x]:
                    found[n] = first + x
                    n += 1
    return found[:n].copy()


@njit(cache=True)
def _mark_tops(line: NDArray[np.float32], width: int, floor: float, out: NDArray[np.bool_]) -> None:
    """Mark what is above the eight around it, from the second row on."""
    above, here, below = line[0:], line[width:], line[2 * width :]
    # the first and last pixel have no neighbour in the row
    for x in range(1, out.size - 1):
        value = here[x]
        before = max(above[x - 1], above[x], above[x + 1], here[x - 1])
        after = max(below[x - 1], below[x], below[x + 1], here[x + 1])
        out[x] = (value > floor) & (value > before) & (value >= after)


@njit(cache=True)
def _is_top_at(image: NDArray[np.float32], floor: float, y: int, x: int) -> bool:
    """Look at one pixel; what is outside counts as below it."""
    value = image[y, x]
    if not value > floor:
        return False
    for v in range(max(y - 1, 0), min(y + 2, image.shape[0])):
        for u in range(max(x - 1, 0), min(x + 2, image.shape[1])):
            is_before = v < y or (v == y and u < x)
            if (is_before and image[v, u] >= value) or image[v, u] > value:
                return False
    return True


@njit(cache=True)
def keep_strongest(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    radius: NDArray[np.float64],
    order: NDArray[np.int64],
    share: float,
) -> NDArray[np.int64]:
    """Of candidates that overlap keep the stronger one.

    Parameters
    ----------
    x, y, radius : ndarray of shape (n,)
        Position and radius of each, in pixels.
    order : ndarray of int64, shape (n,)
        Candidates from the strongest to the weakest.
    share : float
        Two overlap when they are nearer than this share of the larger radius.

    Returns
    -------
    ndarray of int64, shape (n,)
        For each candidate the one that stands for it: itself where it is kept.

    Notes
    -----
    A grid with cells as wide as the largest reach holds the kept ones, so that only nine cells are
    looked at.
    """
    n = x.size
    owner, following = np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        owner[i] = following[i] = -1
    if n == 0:
        return owner
    widest, right, bottom = 0.0, 0.0, 0.0
    for i in range(n):
        widest, right, bottom = max(widest, radius[i]), max(right, x[i]), max(bottom, y[i])
    cell = max(share * widest, 1.0)
    across = int(right / cell) + 1
    down = int(bottom / cell) + 1
    first = np.empty(across * down, np.int64)
    for k in range(first.size):
        first[k] = -1
    for i in order:
        column, row = int(x[i] / cell), int(y[i] / cell)
        nearest = np.inf
        for v in range(max(row - 1, 0), min(row + 2, down)):
            for u in range(max(column - 1, 0), min(column + 2, across)):
                j = first[v * across + u]
                while j >= 0:
                    far = (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2
                    reach = share * max(radius[i], radius[j])
                    if far < reach * reach and far < nearest:
                        nearest = far
                        owner[i] = j
                    j = following[j]
        if owner[i] < 0:
            owner[i] = i
            following[i] = first[row * across + column]
            first[row * across + column] = i
    return owner
