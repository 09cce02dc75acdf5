"""Compiled area resampling: the mean of what an output pixel covers, its fractions included."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["area_mean"]


@njit(cache=True)
def area_mean(
    source: NDArray[np.uint8], x_edges: NDArray[np.float64], y_edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average rectangles of a picture.

    Source pixel *j* is constant on [*j*, *j* + 1).  Output pixel (*r*, *c*) is the integral of
    the picture over its rectangle, divided by the rectangle's area.

    Parameters
    ----------
    source : ndarray of uint8, shape (h, w, 3)
        Picture.
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
    out = np.zeros((rows, columns, 3), dtype=np.float64)
    line = np.empty((columns, 3), dtype=np.float64)
    at = 0  # first output row that this source row can reach
    for j in range(int(np.floor(y_edges[0])), int(np.ceil(y_edges[rows]))):
        for c in range(columns):
            left, right = x_edges[c], x_edges[c + 1]
            first, last = int(np.floor(left)), int(np.ceil(right)) - 1
            red, green, blue = 0.0, 0.0, 0.0
            for i in range(first, last + 1):
                share = min(right, i + 1.0) - max(left, float(i))
                red += share * source[j, i, 0]
                green += share * source[j, i, 1]
                blue += share * source[j, i, 2]
            width = right - left
            line[c, 0], line[c, 1], line[c, 2] = red / width, green / width, blue / width
        while at < rows and y_edges[at + 1] <= j:
            at += 1
        r = at
        while r < rows and y_edges[r] < j + 1:
            share = min(y_edges[r + 1], j + 1.0) - max(y_edges[r], float(j))
            share /= y_edges[r + 1] - y_edges[r]
            for c in range(columns):
                out[r, c, 0] += share * line[c, 0]
                out[r, c, 1] += share * line[c, 1]
                out[r, c, 2] += share * line[c, 2]
            r += 1
    return out
