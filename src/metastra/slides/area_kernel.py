"""Compiled area resampling: the mean of what an output pixel covers, its fractions included."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["area_bytes", "area_mean"]


@njit(cache=True, nogil=True)
def _average_columns(
    flat: NDArray[np.uint8], top: float, bottom: float, line: NDArray[np.float64]
) -> None:
    """Average rows of pixels along y, from `top` to `bottom`, into one."""
    line[:] = 0.0
    for j in range(int(np.floor(top)), int(np.ceil(bottom))):
        share = (min(bottom, j + 1.0) - max(top, float(j))) / (bottom - top)
        for k in range(line.size):
            line[k] += share * flat[j, k]


@njit(cache=True, nogil=True)
def _average_row(
    row: NDArray[np.float64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    edges: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Average one row of pixels (red, green and blue in turn) along x, into (columns, 3)."""
    for c in range(first.size):
        i, end = first[c], last[c]
        width = edges[c + 1] - edges[c]
        share = min(edges[c + 1], i + 1.0) - edges[c]
        red, green, blue = share * row[3 * i], share * row[3 * i + 1], share * row[3 * i + 2]
        for k in range(i + 1, end):
            red += row[3 * k]
            green += row[3 * k + 1]
            blue += row[3 * k + 2]
        if end > i:
            share = edges[c + 1] - end
            red += share * row[3 * end]
            green += share * row[3 * end + 1]
            blue += share * row[3 * end + 2]
        out[c, 0], out[c, 1], out[c, 2] = red / width, green / width, blue / width


@njit(cache=True, nogil=True)
def area_mean(
    source: NDArray[np.uint8], x_edges: NDArray[np.float64], y_edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average rectangles of a picture.

    Source pixel *j* is constant on [*j*, *j* + 1).  Output pixel (*r*, *c*) is the integral of
    the picture over its rectangle, divided by the rectangle's area.

    Parameters
    ----------
    source : ndarray of uint8, shape (h, w, 3)
        Picture, contiguous.
    x_edges : ndarray of float64, shape (columns + 1,)
        Increasing, within 0 and w.
    y_edges : ndarray of float64, shape (rows + 1,)
        Increasing, within 0 and h.

    Returns
    -------
    ndarray of float64, shape (rows, columns, 3)
        Means, in the unit of the source.
    """
    rows, columns = y_edges.size - 1, x_edges.size - 1
    out = np.empty((rows, columns, 3), dtype=np.float64)
    flat = source.reshape(source.shape[0], source.shape[1] * 3)
    line = np.empty(flat.shape[1], dtype=np.float64)
    first = np.floor(x_edges[:-1]).astype(np.int64)
    last = np.ceil(x_edges[1:]).astype(np.int64) - 1
    for r in range(rows):
        _average_columns(flat, y_edges[r], y_edges[r + 1], line)
        _average_row(line, first, last, x_edges, out[r])
    return out


@njit(cache=True, nogil=True)
def area_bytes(
    source: NDArray[np.uint8],
    x_edges: NDArray[np.float64],
    y_edges: NDArray[np.float64],
    half: float,
    out: NDArray[np.uint8],
) -> None:
    """Average rectangles of a picture and round.

    Parameters
    ----------
    source, x_edges, y_edges : ndarray
        As for `area_mean`.
    half : float
        What is added before the fraction is cut off.
    out : ndarray of uint8, shape (rows, columns, 3)
        Is filled with the rounded means.
    """
    flat = source.reshape(source.shape[0], source.shape[1] * 3)
    line = np.empty(flat.shape[1], dtype=np.float64)
    means = np.empty((x_edges.size - 1, 3), dtype=np.float64)
    first = np.floor(x_edges[:-1]).astype(np.int64)
    last = np.ceil(x_edges[1:]).astype(np.int64) - 1
    for r in range(y_edges.size - 1):
        _average_columns(flat, y_edges[r], y_edges[r + 1], line)
        _average_row(line, first, last, x_edges, means)
        for c in range(means.shape[0]):
            for k in range(3):
                out[r, c, k] = int(means[c, k] + half)
