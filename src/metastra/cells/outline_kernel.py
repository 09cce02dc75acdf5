"""Compiled outlines of nuclei around their centres, and what is measured inside them."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["climb", "sums_by_label"]


@njit(cache=True)
def climb(
    height_map: NDArray[np.float32], mask: NDArray[np.bool_], seeds: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Give each pixel of a mask to the seed it reaches by always climbing the steepest way.

    Parameters
    ----------
    height_map : ndarray of float32, shape (h, w)
        What is climbed.
    mask : ndarray of bool, shape (h, w)
        Which pixels may belong to a nucleus.
    seeds : ndarray of int32, shape (h, w)
        Label of the nucleus at each top that counts, from 1; 0 elsewhere.

    Returns
    -------
    ndarray of int32, shape (h, w)
        Labels; 0 outside the mask and where the climb ends at a top that does not count.

    Notes
    -----
    The watershed by steepest ascent (Beucher and Meyer 1993) without flooding: a path is followed
    until it meets a pixel whose end is known, and then written back, so each pixel is walked once.
    """
    rows, columns = height_map.shape
    size = rows * columns
    flat = height_map.ravel()
    end = np.full(size, -1, np.int64)
    path = np.empty(size, np.int64)
    labels = np.zeros((rows, columns), np.int32)
    out = labels.ravel()
    seed_of = seeds.ravel()
    may = mask.ravel()
    for start in range(size):
        if not may[start]:
            continue
        at, steps = start, 0
        while end[at] < 0:
            path[steps] = at
            steps += 1
            up = _steepest(flat, at, rows, columns)
            if up == at:
                end[at] = at
            else:
                at = up
        top = end[at]
        for k in range(steps):
            end[path[k]] = top
        out[start] = seed_of[top]
    return labels


@njit(cache=True)
def _steepest(flat: NDArray[np.float32], at: int, rows: int, columns: int) -> int:
    y, x = at // columns, at % columns
    best, up = flat[at], at
    for v in range(max(y - 1, 0), min(y + 2, rows)):
        for u in range(max(x - 1, 0), min(x + 2, columns)):
            j = v * columns + u
            # equal heights: the first in reading order, so that no two wait for one another
            if flat[j] > best or (flat[j] == best and j < up):
                best, up = flat[j], j
    return up


@njit(cache=True)
def sums_by_label(
    labels: NDArray[np.int32],
    haematoxylin: NDArray[np.float32],
    around: NDArray[np.float32],
    n: int,
) -> NDArray[np.float64]:
    """Sum over the pixels of each label, in one pass.

    Parameters
    ----------
    labels : ndarray of int32, shape (h, w)
        0 is no nucleus.
    haematoxylin, around : ndarray of float32, shape (h, w)
        Haematoxylin, and haematoxylin of what is no nucleus nearby.
    n : int
        Highest label.

    Returns
    -------
    ndarray of float64, shape (n, 9)
        Count; sums of x, y, x², y², xy, haematoxylin, its square, and `around`.
    """
    sums = np.zeros((n, 9))
    rows, columns = labels.shape
    for y in range(rows):
        for x in range(columns):
            label = labels[y, x]
            if label == 0:
                continue
            row = sums[label - 1]
            value = np.float64(haematoxylin[y, x])
            row[0] += 1.0
            row[1] += x
            row[2] += y
            row[3] += x * x
            row[4] += y * y
            row[5] += x * y
            row[6] += value
            row[7] += value * value
            row[8] += around[y, x]
    return sums
