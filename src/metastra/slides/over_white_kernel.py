"""Compiled laying of a picture with transparency over white."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["over_white"]


@njit(cache=True)
def over_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay a picture over white.

    Parameters
    ----------
    rgba : ndarray of uint8, shape (h, w, 4)
        Colours that are not multiplied by alpha, and alpha.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        Where alpha is 255 the colours, where it is 0 white, else the mean rounded half up.
    """
    height, width = rgba.shape[:2]
    out = np.empty((height, width, 3), dtype=np.uint8)
    for row in range(height):
        for column in range(width):
            alpha = np.int32(rgba[row, column, 3])
            for colour in range(3):
                value = np.int32(rgba[row, column, colour])
                if alpha != 255:
                    value = (value * alpha + 255 * (255 - alpha) + 127) // 255
                out[row, column, colour] = value
    return out
