"""Compiled steps from map to map, pixel by pixel, and counts over all pixels.

Maps are walked as one long row: a vector loop leaves a rest at its end, and rows are short.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.cells.seed_kernel import count_true

__all__ = [
    "above",
    "as_floats",
    "cut_and_average",
    "mean_positive",
    "raise_and_negate",
    "scale_and_cut",
    "total",
]


@njit(cache=True)
def total(values: NDArray[np.float64]) -> float:
    """Add numbers one after the other.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Numbers.

    Returns
    -------
    float
        Their sum.  The sum of numpy, compiled, takes ten times as long to compile.
    """
    result = 0.0
    for k in range(values.size):
        result += values[k]
    return result


@njit(cache=True)
def above(image: NDArray[np.float32], limit: float, out: NDArray[np.bool_]) -> int:
    """Mark the pixels above a limit.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.
    limit : float
        Rounded to float32.
    out : ndarray of bool, shape (h, w)
        Written.

    Returns
    -------
    int
        How many there are.
    """
    least = np.float32(limit)
    line, row = image.ravel(), out.ravel()
    for x in range(line.size):
        row[x] = line[x] > least
    return count_true(row)


@njit(cache=True)
def as_floats(mask: NDArray[np.bool_], out: NDArray[np.float32]) -> None:
    """Make a map of a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        Any mask.
    out : ndarray of float32, shape (h, w)
        Written: 1 where it is true, else 0.
    """
    line, row = mask.ravel(), out.ravel()
    one, zero = np.float32(1.0), np.float32(0.0)
    for x in range(row.size):
        row[x] = one if line[x] else zero


@njit(cache=True, fastmath={"reassoc", "nsz"})
def mean_positive(image: NDArray[np.float32]) -> float:
    """Mean of a map in which all below 0 counts as 0.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.

    Returns
    -------
    float
        Not below 0.
    """
    found, line = 0.0, image.ravel()
    for x in range(line.size):
        found += np.float64(max(line[x], np.float32(0.0)))
    return found / image.size


@njit(cache=True)
def cut_and_average(
    one: NDArray[np.float32], two: NDArray[np.float32], mean: NDArray[np.float32]
) -> None:
    """Raise what is below 0 in two maps to 0, and average them.

    Parameters
    ----------
    one, two : ndarray of float32, shape (h, w)
        Changed in place.
    mean : ndarray of float32, shape (h, w)
        Written.
    """
    zero, half = np.float32(0.0), np.float32(0.5)
    a, b, row = one.ravel(), two.ravel(), mean.ravel()
    for x in range(row.size):
        a[x] = max(a[x], zero)
        b[x] = max(b[x], zero)
        row[x] = (a[x] + b[x]) * half


@njit(cache=True)
def scale_and_cut(
    image: NDArray[np.float32], factor: float, most: float, out: NDArray[np.float32]
) -> None:
    """Multiply a map, and lower what is above a limit to it.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.
    factor, most : float
        Rounded to float32.
    out : ndarray of float32, shape (h, w)
        Written.
    """
    times, limit = np.float32(factor), np.float32(most)
    line, row = image.ravel(), out.ravel()
    for x in range(row.size):
        row[x] = min(line[x] * times, limit)


@njit(cache=True)
def raise_and_negate(image: NDArray[np.float32], least: float, out: NDArray[np.float32]) -> None:
    """Raise what is below a limit to it, and turn the sign.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.
    least : float
        Rounded to float32.
    out : ndarray of float32, shape (h, w)
        Written.
    """
    limit = np.float32(least)
    line, row = image.ravel(), out.ravel()
    for x in range(row.size):
        row[x] = -max(line[x], limit)
