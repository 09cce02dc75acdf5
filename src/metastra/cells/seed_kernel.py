"""Compiled search for the centres of blobs."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["keep_strongest", "local_maxima", "strongest_scale"]


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
    height, width = best.shape
    factor = np.float32(weight)
    for y in range(height):
        for x in range(width):
            value = factor * response[y, x]
            if value > best[y, x]:
                best[y, x] = value
                scale[y, x] = number


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
    n = 0
    for y in range(height):
        for x in range(width):
            value = image[y, x]
            if not value > floor:
                continue
            if _is_top(image, y, x, value):
                found[n] = y * width + x
                n += 1
    return found[:n].copy()


@njit(cache=True)
def _is_top(image: NDArray[np.float32], y: int, x: int, value: float) -> bool:
    height, width = image.shape
    for v in range(max(y - 1, 0), min(y + 2, height)):
        for u in range(max(x - 1, 0), min(x + 2, width)):
            before = v < y or (v == y and u < x)
            if image[v, u] > value or (before and image[v, u] == value):
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
