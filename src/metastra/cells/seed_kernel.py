"""Compiled search for the centres of blobs."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["keep_strongest", "local_maxima", "raise_to_share", "strongest_scale"]


@njit(cache=True)
def raise_to_share(
    image: NDArray[np.float32], mean: NDArray[np.float32], share: float, out: NDArray[np.float32]
) -> None:
    """Raise a map to a share of its mean nearby.

    Parameters
    ----------
    image, mean : ndarray of float32, shape (h, w)
        The map, and its mean near each pixel.
    share : float
        Of the mean, rounded to float32.
    out : ndarray of float32, shape (h, w)
        Written.
    """
    part = np.float32(share)
    for y in range(image.shape[0]):
        line, near, row = image[y], mean[y], out[y]
        for x in range(row.size):
            row[x] = max(line[x], part * near[x])


@njit(cache=True)
def strongest_scale(
    best: NDArray[np.float32],
    scale: NDArray[np.int8],
    response: NDArray[np.float32],
    weight: float,
    number: int,
) -> None:
    """Take a scale where its weighted response is above all scales before; works in place.

    Parameters
    ----------
    best : ndarray of float32, shape (h, w)
        Highest weighted response so far.
    scale : ndarray of int8, shape (h, w)
        Number of the scale that gave it.
    response : ndarray of float32, shape (h, w)
        Of this scale.
    weight : float
        Of this scale.
    number : int
        Of this scale.
    """
    factor, this = np.float32(weight), np.int8(number)
    for y in range(best.shape[0]):
        line, highest, which = response[y], best[y], scale[y]
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
    found = np.empty(image.size, np.int32)
    padded = np.full((3, width + 2), -np.inf, np.float32)
    # read eight at a time, since hardly any is a top
    is_top = np.zeros(width + -width % 8, np.bool_)
    eights = is_top.view(np.uint64)
    least = np.float64(floor)
    n = 0
    for y in range(height):
        for k in range(3):
            row = padded[k, 1:]
            if 0 <= y - 1 + k < height:
                line = image[y - 1 + k]
                for x in range(width):
                    row[x] = line[x]
            else:
                for x in range(width):
                    row[x] = -np.inf
        _mark_tops(padded[0], padded[1], padded[2], least, is_top[:width])
        for k in range(eights.size):
            if eights[k]:
                for x in range(8 * k, 8 * k + 8):
                    if is_top[x]:
                        found[n] = y * width + x
                        n += 1
    return found[:n].astype(np.int64)


@njit(cache=True)
def _mark_tops(
    above: NDArray[np.float32],
    here: NDArray[np.float32],
    below: NDArray[np.float32],
    floor: float,
    out: NDArray[np.bool_],
) -> None:
    for x in range(out.size):
        value = here[x + 1]
        before = max(above[x], above[x + 1], above[x + 2], here[x])
        after = max(below[x], below[x + 1], below[x + 2], here[x + 2])
        out[x] = (value > floor) & (value > before) & (value >= after)


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
    owner = np.full(n, -1, np.int64)
    if n == 0:
        return owner
    cell = max(share * radius.max(), 1.0)
    across = int(x.max() / cell) + 1
    down = int(y.max() / cell) + 1
    first = np.full(across * down, -1, np.int64)
    following = np.full(n, -1, np.int64)
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
