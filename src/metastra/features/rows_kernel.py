"""Compiled taking of rows from a bag: one pass that copies, widens and looks at every number.

Half precision is handled as its bits, since no compiler of this house knows it: the exponent and
fraction of a half, moved 13 places up, are those of a float that is 2 to the power of 112 too
small, subnormals included; a multiplication mends that exactly (IEEE 754-2019, 3.4).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["take_halves", "widen_halves"]

_SIGN, _REST, _EXPONENT = np.uint16(0x8000), np.uint16(0x7FFF), np.uint16(0x7C00)
_SCALE = np.float32(2.0**112)


@njit(cache=True, nogil=True)
def take_halves(
    halves: NDArray[np.uint16], rows: NDArray[np.int64], out: NDArray[np.uint16]
) -> bool:
    """Copy rows of half precision as they are.

    Parameters
    ----------
    halves : ndarray of uint16, shape (n, d)
        Bits of the numbers.
    rows : ndarray of int64, shape (k,)
        Each from 0 to n - 1.
    out : ndarray of uint16, shape (k, d)
        Filled.

    Returns
    -------
    bool
        Whether all of them are finite.
    """
    highest = np.uint16(0)
    for place in range(len(rows)):
        source, target = halves[rows[place]], out[place]
        for column in range(len(source)):
            bits = source[column]
            target[column] = bits
            highest = max(highest, bits & _EXPONENT)
    return bool(highest != _EXPONENT)


@njit(cache=True, nogil=True)
def widen_halves(
    halves: NDArray[np.uint16], rows: NDArray[np.int64], out: NDArray[np.uint32]
) -> bool:
    """Copy rows of half precision as single precision.

    Parameters
    ----------
    halves : ndarray of uint16, shape (n, d)
        Bits of the numbers.
    rows : ndarray of int64, shape (k,)
        Each from 0 to n - 1.
    out : ndarray of uint32, shape (k, d)
        Filled with the bits of the same numbers; wrong where one is not finite.

    Returns
    -------
    bool
        Whether all of them are finite.
    """
    highest = np.uint16(0)
    floats = out.view(np.float32)
    for place in range(len(rows)):
        source, target, scaled = halves[rows[place]], out[place], floats[place]
        for column in range(len(source)):
            bits = source[column]
            highest = max(highest, bits & _EXPONENT)
            target[column] = (np.uint32(bits & _SIGN) << np.uint32(16)) | (
                np.uint32(bits & _REST) << np.uint32(13)
            )
        for column in range(len(scaled)):
            scaled[column] *= _SCALE
    return bool(highest != _EXPONENT)
