"""Compiled area resampling: the mean of what an output pixel covers, its fractions included."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["area_bytes", "area_mean"]


# edges increase, so no width is 0: without a check for it the divisions become vector ones
@njit(cache=True, nogil=True, error_model="numpy")
def _average_columns(
    flat: NDArray[np.uint8], top: float, bottom: float, line: NDArray[np.float64]
) -> None:
    """Average rows of pixels along y, from `top` to `bottom`, into one."""
    begin, end = int(np.floor(top)), int(np.ceil(bottom))
    share = (min(bottom, begin + 1.0) - max(top, float(begin))) / (bottom - top)
    for k in range(line.size):
        line[k] = share * flat[begin, k]
    for j in range(begin + 1, end):
        share = (min(bottom, j + 1.0) - max(top, float(j))) / (bottom - top)
        for k in range(line.size):
            line[k] += share * flat[j, k]


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_row(
    row: NDArray[np.float64],
    pixels: NDArray[np.int64],
    shares: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Add one row of pixels (red, green and blue in turn) up along x, into the same order."""
    for c in range(pixels.shape[0]):
        i, end = pixels[c, 0], pixels[c, 1]
        share = shares[c, 0]
        red, green, blue = share * row[3 * i], share * row[3 * i + 1], share * row[3 * i + 2]
        for k in range(i + 1, end):
            red += row[3 * k]
            green += row[3 * k + 1]
            blue += row[3 * k + 2]
        if end > i:
            share = shares[c, 1]
            red += share * row[3 * end]
            green += share * row[3 * end + 1]
            blue += share * row[3 * end + 2]
        out[3 * c], out[3 * c + 1], out[3 * c + 2] = red, green, blue


@njit(cache=True, nogil=True)
def _along_x(
    edges: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Give each column's first and last pixel and their shares, and its width for each colour."""
    columns = edges.size - 1
    pixels = np.empty((columns, 2), dtype=np.int64)
    shares = np.empty((columns, 2), dtype=np.float64)
    widths = np.empty(3 * columns, dtype=np.float64)
    for c in range(columns):
        left, right = edges[c], edges[c + 1]
        first, last = int(np.floor(left)), int(np.ceil(right)) - 1
        pixels[c, 0], pixels[c, 1] = first, last
        shares[c, 0], shares[c, 1] = min(right, first + 1.0) - left, right - last
        widths[3 * c : 3 * c + 3] = right - left
    return pixels, shares, widths


@njit(cache=True, nogil=True, error_model="numpy")
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
    out = np.empty((rows, 3 * columns), dtype=np.float64)
    flat = source.reshape(source.shape[0], source.shape[1] * 3)
    line = np.empty(flat.shape[1], dtype=np.float64)
    pixels, shares, widths = _along_x(x_edges)
    for r in range(rows):
        _average_columns(flat, y_edges[r], y_edges[r + 1], line)
        _sum_row(line, pixels, shares, out[r])
        for i in range(widths.size):
            out[r, i] /= widths[i]
    return out.reshape(rows, columns, 3)


@njit(cache=True, nogil=True, error_model="numpy")
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
        Contiguous; is filled with the rounded means.
    """
    flat = source.reshape(source.shape[0], source.shape[1] * 3)
    to = out.reshape(out.shape[0], out.shape[1] * 3)
    line = np.empty(flat.shape[1], dtype=np.float64)
    pixels, shares, widths = _along_x(x_edges)
    sums = np.empty(widths.size, dtype=np.float64)
    for r in range(y_edges.size - 1):
        _average_columns(flat, y_edges[r], y_edges[r + 1], line)
        _sum_row(line, pixels, shares, sums)
        for i in range(sums.size):
            to[r, i] = np.int32(sums[i] / widths[i] + half)
