"""Compiled means of whole squares of pixels: the exact area rule at a scale of a whole number."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["box_means"]


@njit(cache=True, nogil=True)
def _halve(source: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Average 2 × 2 pixels; the form that compilers turn into vector instructions."""
    rows, columns = out.shape[0], out.shape[1]
    flat = source.reshape(source.shape[0], source.shape[1] * 3)
    to = out.reshape(rows, columns * 3)
    line = np.empty(columns * 6, dtype=np.uint16)
    for r in range(rows):
        for i in range(line.size):
            line[i] = np.uint16(flat[2 * r, i]) + np.uint16(flat[2 * r + 1, i]) + np.uint16(1)
        for c in range(columns):
            to[r, 3 * c] = (line[6 * c] + line[6 * c + 3]) >> 2
            to[r, 3 * c + 1] = (line[6 * c + 1] + line[6 * c + 4]) >> 2
            to[r, 3 * c + 2] = (line[6 * c + 2] + line[6 * c + 5]) >> 2


@njit(cache=True, nogil=True)
def box_means(source: NDArray[np.uint8], side: int, out: NDArray[np.uint8]) -> None:
    """Average squares of `side` × `side` pixels and round half up.

    The sums are whole numbers, so the result is exact: what
    `metastra.slides.area_kernel.area_bytes` gives for the same squares.

    Parameters
    ----------
    source : ndarray of uint8, shape (h, w, 3)
        Picture, contiguous.
    side : int
        Side of a square, 1 to 512.
    out : ndarray of uint8, shape (h // side, w // side, 3)
        Contiguous; is filled.
    """
    if side == 2:
        _halve(source, out)
        return
    rows, columns, area = out.shape[0], out.shape[1], side * side
    flat = source.reshape(source.shape[0], source.shape[1] * 3)
    to = out.reshape(rows, columns * 3)
    line = np.empty(columns * 3 * side, dtype=np.uint32)
    for r in range(rows):
        line[:] = 0
        for j in range(r * side, (r + 1) * side):
            for i in range(line.size):
                line[i] += flat[j, i]
        for c in range(columns):
            for k in range(3):
                total = 0
                for i in range(side):
                    total += line[3 * (c * side + i) + k]
                to[r, 3 * c + k] = (2 * total + area) // (2 * area)
