"""Compiled joining: rectangles put together from the tiles of a level that are held."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["join_tiles"]


@njit(cache=True, nogil=True)
def join_tiles(
    tiles: NDArray[np.uint8],
    slots: NDArray[np.int32],
    across: int,
    corners: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """Put rectangles of one size together.

    Parameters
    ----------
    tiles : ndarray of uint8, shape (n, h, w, 3)
        Decoded tiles, contiguous.
    slots : ndarray of int32, shape (level's tiles,)
        Where in `tiles` each tile of the level is; those that are touched are there.
    across : int
        Tiles of the level from left to right.
    corners : ndarray of int64, shape (k, 3)
        For each rectangle its place in `out`, and left and top in pixels of the level.
    out : ndarray of uint8, shape (b, height, width, 3)
        Contiguous; the places named are filled.
    """
    h, w = tiles.shape[1], tiles.shape[2]
    height, width = out.shape[1], out.shape[2]
    source = tiles.reshape(tiles.shape[0], h, w * 3)
    to = out.reshape(out.shape[0], height, width * 3)
    for k in range(corners.shape[0]):
        at, left, top = corners[k, 0], corners[k, 1], corners[k, 2]
        for row in range(top // h, (top + height - 1) // h + 1):
            y0, y1 = max(top, row * h), min(top + height, (row + 1) * h)
            for column in range(left // w, (left + width - 1) // w + 1):
                x0, x1 = max(left, column * w), min(left + width, (column + 1) * w)
                slot, length = slots[row * across + column], 3 * (x1 - x0)
                skip, begin = 3 * (x0 - column * w), 3 * (x0 - left)
                for y in range(y0, y1):
                    piece = source[slot, y - row * h, skip : skip + length]
                    line = to[at, y - top, begin : begin + length]
                    for i in range(length):
                        line[i] = piece[i]
