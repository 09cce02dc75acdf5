"""Compiled outlines of nuclei around their centres, and what is measured inside them."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.cells.seed_kernel import keep_strongest

__all__ = ["find_outlines", "shapes_of_sums", "sums_by_label"]

_Floats = NDArray[np.float32]


@njit(cache=True)
def find_outlines(
    maps: tuple[_Floats, _Floats, _Floats],
    scale: NDArray[np.int8],
    candidates: tuple[NDArray[np.int64], NDArray[np.int64]],
    radii_px: tuple[float, float, float, float],
    limits: tuple[float, float],
    labels: NDArray[np.int32],
    around: _Floats,
) -> int:
    """Outline nuclei around their tops, and split off what is no nucleus.

    Parameters
    ----------
    maps : tuple of ndarray of float32
        Haematoxylin, shape (h, w); its smoothings, shape (4, h, w), of which the third is the fine
        and the last the coarse one; and what is climbed, shape (h, w).
    scale : ndarray of int8, shape (h, w)
        Number of the strongest scale.
    candidates : tuple of ndarray of int64, shape (n,)
        Flat indices of the tops, and their order from the strongest to the weakest.
    radii_px : tuple of float
        Radius of each scale.
    limits : tuple of float
        By how much more than nearby a nucleus is stained, and the share of the larger radius within
        which two tops are one nucleus.
    labels : ndarray of int32, shape (h, w)
        Written: nuclei from 1; 0 is none.
    around : ndarray of float32, shape (2, h, w)
        Written: 1 where no nucleus is, else 0; and haematoxylin there, else 0.

    Returns
    -------
    int
        How many nuclei there are.
    """
    haematoxylin, smooth, height_map = maps
    tops, order = candidates
    columns, n = labels.shape[1], tops.size
    x, y, radius = np.empty(n), np.empty(n), np.empty(n)
    of_scale = scale.ravel()
    for k in range(n):
        x[k], y[k] = tops[k] % columns, tops[k] // columns
        radius[k] = radii_px[of_scale[tops[k]]]
    owner = keep_strongest(x, y, radius, order, limits[1])
    number, kept = np.zeros(n, np.int32), 0
    for k in range(n):
        if owner[k] == k:
            kept += 1
            number[k] = kept
    label_of_top = np.empty(n, np.int32)
    for k in range(n):
        label_of_top[k] = number[owner[k]]
    mask = np.empty(labels.shape, np.bool_)
    _darker(smooth[2], smooth[3], limits[0], mask)
    _climb(height_map, mask, tops, label_of_top, labels)
    _keep_outside(labels, haematoxylin, around[0], around[1])
    return kept


@njit(cache=True)
def _darker(fine: _Floats, coarse: _Floats, least: float, out: NDArray[np.bool_]) -> None:
    """Mark where a map exceeds a smoother one by more than a limit."""
    limit = np.float32(least)
    one, two, row = fine.ravel(), coarse.ravel(), out.ravel()
    for x in range(row.size):
        row[x] = one[x] - two[x] > limit


@njit(cache=True)
def _climb(
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
    end = np.empty(rows * columns, np.int32)
    for k in range(end.size):
        end[k] = -1
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
def _keep_outside(
    labels: NDArray[np.int32], haematoxylin: _Floats, outside: _Floats, around: _Floats
) -> None:
    """Write 1 and the haematoxylin where no nucleus is, else 0."""
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
        What `find_outlines` split off, smoothed: their ratio is the haematoxylin beside nuclei.
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
        line, value, near, share = labels[y], haematoxylin[y], around[y], weight[y]
        x = 0
        while x < line.size:
            label, first = line[x], x
            if label == 0:
                x += 1
                continue
            # a run along the row is summed by itself
            of_x, of_xx, dark, square, beside = 0, 0, 0.0, 0.0, 0.0
            while x < line.size and line[x] == label:
                od = np.float64(value[x])
                of_x += x
                of_xx += x * x
                dark += od
                square += od * od
                beside += near[x] / max(share[x], least)
                x += 1
            row, count = sums[label - 1], x - first
            row[0] += count
            row[1] += of_x
            row[2] += count * y
            row[3] += of_xx
            row[4] += count * y * y
            row[5] += of_x * y
            row[6] += dark
            row[7] += square
            row[8] += beside
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
