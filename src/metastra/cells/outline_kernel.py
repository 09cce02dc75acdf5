"""Compiled outlines of nuclei around their centres, and what is measured inside them."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["climb", "darker", "keep_outside", "shapes_of_sums", "sums_by_label"]

_Floats = NDArray[np.float32]


@njit(cache=True)
def darker(fine: _Floats, coarse: _Floats, least: float, out: NDArray[np.bool_]) -> None:
    """Mark where a map exceeds a smoother one.

    Parameters
    ----------
    fine, coarse : ndarray of float32, shape (h, w)
        The map, and what is around each pixel.
    least : float
        By more than this, rounded to float32.
    out : ndarray of bool, shape (h, w)
        Written.
    """
    limit = np.float32(least)
    one, two, row = fine.ravel(), coarse.ravel(), out.ravel()
    for x in range(row.size):
        row[x] = one[x] - two[x] > limit


@njit(cache=True)
def climb(
    height_map: _Floats,
    mask: NDArray[np.bool_],
    tops: NDArray[np.int64],
    label_of_top: NDArray[np.int32],
    labels: NDArray[np.int32],
) -> None:
    """Give each pixel of a mask to the top it reaches by always climbing the steepest way.

    Parameters
    ----------
    height_map : ndarray of float32, shape (h, w)
        What is climbed.
    mask : ndarray of bool, shape (h, w)
        Which pixels may belong to a nucleus.
    tops : ndarray of int64, shape (k,)
        Flat indices of the tops that count.
    label_of_top : ndarray of int32, shape (k,)
        Label of the nucleus of each, from 1.
    labels : ndarray of int32, shape (h, w)
        Written: labels; 0 outside the mask and where the climb ends at a top that does not count.

    Notes
    -----
    The watershed by steepest ascent (Beucher and Meyer 1993) without flooding: a path is followed
    until it meets a pixel whose end is known, and then written back, so each pixel is walked once.
    """
    rows, columns = height_map.shape
    step = np.empty((rows, columns), np.int8)
    _steepest(height_map, step)
    ways = np.empty(9, np.int64)
    for v in range(3):
        for u in range(3):
            ways[3 * v + u] = (v - 1) * columns + u - 1
    # label of the end of a way, −1 where it is not known yet
    end = np.full(rows * columns, -1, np.int32)
    for k in range(tops.size):
        end[tops[k]] = label_of_top[k]
    path = np.empty(rows * columns, np.int32)
    up, out, may = step.ravel(), labels.ravel(), mask.ravel()
    out[:] = 0
    for start in range(end.size):
        if not may[start]:
            continue
        if end[start] >= 0:
            out[start] = end[start]
            continue
        at, steps = start, 0
        while end[at] < 0:
            path[steps] = at
            steps += 1
            way = ways[up[at]]
            if way == 0:
                end[at] = 0
            at += way
        label = end[at]
        for k in range(steps):
            end[path[k]] = label
        out[start] = label


@njit(cache=True)
def _steepest(height_map: _Floats, step: NDArray[np.int8]) -> None:
    """Write the number, in reading order, of the highest of the nine pixels in and around each.

    Of equal heights the first in reading order counts, so that no two wait for one another.
    """
    rows, columns = height_map.shape
    line, out = height_map.ravel(), step.ravel()
    if rows > 2 and columns > 2:
        # as one long row; what lies beside an edge is put right below
        _steepest_row(line, columns, out[columns + 1 : line.size - columns - 1])
    for y in range(rows):
        for x in range(0, columns, 1 if y in (0, rows - 1) else max(columns - 1, 1)):
            step[y, x] = _steepest_at(height_map, y, x)


@njit(cache=True)
def _steepest_row(line: _Floats, columns: int, step: NDArray[np.int8]) -> None:
    """Of the pixels of `step`, which starts at the second pixel of the second row."""
    above, here, below = line, line[columns:], line[2 * columns :]
    for x in range(step.size):
        value, at = above[x], np.int32(0)
        at = np.int32(1) if above[x + 1] > value else at
        value = max(value, above[x + 1])
        at = np.int32(2) if above[x + 2] > value else at
        value = max(value, above[x + 2])
        at = np.int32(3) if here[x] > value else at
        value = max(value, here[x])
        at = np.int32(4) if here[x + 1] > value else at
        value = max(value, here[x + 1])
        at = np.int32(5) if here[x + 2] > value else at
        value = max(value, here[x + 2])
        at = np.int32(6) if below[x] > value else at
        value = max(value, below[x])
        at = np.int32(7) if below[x + 1] > value else at
        value = max(value, below[x + 1])
        at = np.int32(8) if below[x + 2] > value else at
        step[x] = at


@njit(cache=True)
def _steepest_at(height_map: _Floats, y: int, x: int) -> int:
    """Look at one pixel; what is outside counts as lower than all."""
    rows, columns = height_map.shape
    value, at = np.float32(-np.inf), 4
    for v in range(max(y - 1, 0), min(y + 2, rows)):
        for u in range(max(x - 1, 0), min(x + 2, columns)):
            if height_map[v, u] > value:
                value, at = height_map[v, u], 3 * (v - y + 1) + u - x + 1
    return at


@njit(cache=True)
def keep_outside(
    labels: NDArray[np.int32], haematoxylin: _Floats, outside: _Floats, around: _Floats
) -> None:
    """Split off what is no nucleus.

    Parameters
    ----------
    labels : ndarray of int32, shape (h, w)
        0 is no nucleus.
    haematoxylin : ndarray of float32, shape (h, w)
        Haematoxylin.
    outside : ndarray of float32, shape (h, w)
        Written: 1 where no nucleus is, else 0.
    around : ndarray of float32, shape (h, w)
        Written: haematoxylin where no nucleus is, else 0.
    """
    one, zero = np.float32(1.0), np.float32(0.0)
    label, line = labels.ravel(), haematoxylin.ravel()
    row, rest = outside.ravel(), around.ravel()
    for x in range(row.size):
        row[x] = one if label[x] == 0 else zero
        rest[x] = line[x] if label[x] == 0 else zero


@njit(cache=True)
def sums_by_label(
    labels: NDArray[np.int32],
    haematoxylin: _Floats,
    around: _Floats,
    weight: _Floats,
    n: int,
) -> NDArray[np.float64]:
    """Sum over the pixels of each label, in one pass.

    Parameters
    ----------
    labels : ndarray of int32, shape (h, w)
        0 is no nucleus.
    haematoxylin : ndarray of float32, shape (h, w)
        Haematoxylin.
    around, weight : ndarray of float32, shape (h, w)
        What `keep_outside` gave, smoothed: their ratio is the haematoxylin beside nuclei.
    n : int
        Highest label.

    Returns
    -------
    ndarray of float64, shape (n, 9)
        Count; sums of x, y, x², y², xy, haematoxylin, its square, and haematoxylin beside nuclei.
    """
    sums = np.zeros((n, 9))
    least = np.float32(1e-3)
    for y in range(labels.shape[0]):
        line = labels[y]
        for x in range(line.size):
            if line[x] == 0:
                continue
            row = sums[line[x] - 1]
            value = np.float64(haematoxylin[y, x])
            row[0] += 1.0
            row[1] += x
            row[2] += y
            row[3] += x * x
            row[4] += y * y
            row[5] += x * y
            row[6] += value
            row[7] += value * value
            row[8] += around[y, x] / max(weight[y, x], least)
    return sums


@njit(cache=True)
def shapes_of_sums(
    sums: NDArray[np.float64], mpp: float, smallest_um2: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Describe the nuclei that are not too small.

    Parameters
    ----------
    sums : ndarray of float64, shape (n, 9)
        From `sums_by_label`.
    mpp : float
        Micrometres per pixel.
    smallest_um2 : float
        Least area.

    Returns
    -------
    centroids : ndarray of float64, shape (k, 2)
        x and y in pixels.
    shapes : ndarray of float64, shape (8, k)
        Radius and area in µm and µm², eccentricity, angle, fill of the ellipse, haematoxylin, its
        standard deviation, and contrast.
    """
    n, k = len(sums), 0
    centroids, shapes = np.empty((n, 2)), np.empty((8, n))
    for at in range(n):
        row = sums[at]
        count = row[0]
        if not count * mpp**2 >= smallest_um2 or count == 0.0:
            continue
        x, y = row[1] / count, row[2] / count
        # a pixel is a square, which adds 1/12 to its second moments
        var_x = row[3] / count - x * x + 1.0 / 12.0
        var_y = row[4] / count - y * y + 1.0 / 12.0
        cov = row[5] / count - x * y
        half, gap = (var_x + var_y) / 2.0, math.hypot((var_x - var_y) / 2.0, cov)
        long, short = half + gap, max(half - gap, 1e-9)
        mean = row[6] / count
        centroids[k, 0], centroids[k, 1] = x, y
        shapes[0, k], shapes[1, k] = math.sqrt(count * mpp**2 / math.pi), count * mpp**2
        shapes[2, k] = math.sqrt(min(max(1.0 - short / long, 0.0), 1.0))
        shapes[3, k] = 0.5 * math.atan2(2.0 * cov, var_x - var_y)
        shapes[4, k] = count / (4.0 * math.pi * math.sqrt(long * short))
        shapes[5, k] = mean
        shapes[6, k] = math.sqrt(max(row[7] / count - mean**2, 0.0))
        shapes[7, k] = mean - row[8] / count
        k += 1
    return centroids[:k].copy(), shapes[:, :k].copy()
