"""Compiled tables, moments and quantiles of a map inside a mask."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "count_in_turn",
    "gather",
    "masked_correlation",
    "masked_quantiles",
    "moments",
    "moments_between",
]


@njit(cache=True)
def moments(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Mean, standard deviation and skewness inside a mask.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.
    mask : ndarray of bool, shape (h, w)
        Which pixels count.

    Returns
    -------
    mean, sd, skewness : float
        All 0 for an empty mask; skewness 0 where the map is flat.
    """
    # sums around the middle value of the map, so that nothing is lost when they are subtracted
    origin = np.float64(image[image.shape[0] // 2, image.shape[1] // 2])
    n, first, second, third = _powers(image.ravel(), mask.ravel(), origin)
    return _moments_of_sums(n, first, second, third, origin)


@njit(cache=True)
def moments_between(
    maps: NDArray[np.float32], n_maps: int, mask: NDArray[np.bool_], n: int
) -> NDArray[np.float64]:
    """Moments of the difference of each map and the next inside a mask.

    Parameters
    ----------
    maps : ndarray of float32, shape (m, k, h, w)
        Any maps.
    n_maps : int
        How many of the k.
    mask : ndarray of bool, shape (h, w)
        Which pixels count.
    n : int
        How many that are.

    Returns
    -------
    ndarray of float64, shape (m, n_maps − 1, 3)
        As `moments` of the differences in float32.
    """
    _, _, rows, columns = maps.shape
    found, inside = np.empty((len(maps), n_maps - 1, 3)), mask.ravel()
    for at in range(len(maps)):
        for k in range(n_maps - 1):
            finer, coarser, row = maps[at, k], maps[at, k + 1], found[at, k]
            origin = np.float64(finer[rows // 2, columns // 2] - coarser[rows // 2, columns // 2])
            first, second, third = _powers_between(finer.ravel(), coarser.ravel(), inside, origin)
            row[0], row[1], row[2] = _moments_of_sums(n, first, second, third, origin)
    return found


@njit(cache=True)
def gather(counts: NDArray[np.int32]) -> None:
    """Add the other tables to the first.

    Parameters
    ----------
    counts : ndarray of int32, shape (4, k)
        From `count_in_turn`; the first row is changed.
    """
    first, second, third, fourth = counts[0], counts[1], counts[2], counts[3]
    for k in range(first.size):
        first[k] += second[k] + third[k] + fourth[k]


@njit(cache=True, fastmath={"reassoc", "nsz"})
def _powers(
    line: NDArray[np.float32], inside: NDArray[np.bool_], origin: float
) -> tuple[int, float, float, float]:
    """Count, and add powers; in any order, since one sum would wait for each addition to end."""
    n, first, second, third = 0, 0.0, 0.0, 0.0
    for x in range(line.size):
        gap = line[x] - origin if inside[x] else 0.0
        square = gap * gap
        n += inside[x]
        first += gap
        second += square
        third += square * gap
    return n, first, second, third


@njit(cache=True, fastmath={"reassoc", "nsz"})
def _powers_between(
    finer: NDArray[np.float32],
    coarser: NDArray[np.float32],
    inside: NDArray[np.bool_],
    origin: float,
) -> tuple[float, float, float]:
    """Add powers of differences, which are rounded to float32."""
    first, second, third = 0.0, 0.0, 0.0
    for x in range(finer.size):
        gap = np.float64(finer[x] - coarser[x]) - origin if inside[x] else 0.0
        square = gap * gap
        first += gap
        second += square
        third += square * gap
    return first, second, third


@njit(cache=True)
def _moments_of_sums(
    n: int, first: float, second: float, third: float, origin: float
) -> tuple[float, float, float]:
    if n == 0:
        return 0.0, 0.0, 0.0
    mean = first / n
    variance = second / n - mean * mean
    if variance < 1e-8:
        return origin + mean, 0.0, 0.0
    moment = third / n - 3.0 * mean * second / n + 2.0 * mean * mean * mean
    return origin + mean, variance**0.5, moment / variance**1.5


@njit(cache=True)
def masked_correlation(
    one: NDArray[np.float32], two: NDArray[np.float32], mask: NDArray[np.bool_], n: int
) -> float:
    """Pearson correlation of two maps inside a mask.

    Parameters
    ----------
    one, two : ndarray of float32, shape (h, w)
        Two maps.
    mask : ndarray of bool, shape (h, w)
        Which pixels count.
    n : int
        How many that are, above 0.

    Returns
    -------
    float
        0 where a map is flat.
    """
    a, b, inside = one.ravel(), two.ravel(), mask.ravel()
    mean_one, mean_two = _sum(a, inside) / n, _sum(b, inside) / n
    first, second, product = _products(a, b, inside, mean_one, mean_two)
    scale = np.sqrt(first * second)
    return product / scale if scale > 1e-6 * n else 0.0


@njit(cache=True, fastmath={"reassoc", "nsz"})
def _sum(line: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    found = 0.0
    for x in range(line.size):
        found += np.float64(line[x]) if inside[x] else 0.0
    return found


@njit(cache=True, fastmath={"reassoc", "nsz"})
def _products(
    one: NDArray[np.float32],
    two: NDArray[np.float32],
    inside: NDArray[np.bool_],
    mean_one: float,
    mean_two: float,
) -> tuple[float, float, float]:
    first, second, product = 0.0, 0.0, 0.0
    for x in range(one.size):
        a = one[x] - mean_one if inside[x] else 0.0
        b = two[x] - mean_two if inside[x] else 0.0
        first += a * a
        second += b * b
        product += a * b
    return first, second, product


@njit(cache=True)
def count_in_turn(codes: NDArray[np.uint16], counts: NDArray[np.int32]) -> None:
    """Count small numbers into four tables in turn.

    Parameters
    ----------
    codes : ndarray of uint16, shape (n,)
        Each below k.
    counts : ndarray of int32, shape (4, k)
        Added to.
    """
    first, second, third, fourth = counts[0], counts[1], counts[2], counts[3]
    whole = codes.size - codes.size % 4
    for x in range(0, whole, 4):
        first[codes[x]] += 1
        second[codes[x + 1]] += 1
        third[codes[x + 2]] += 1
        fourth[codes[x + 3]] += 1
    for x in range(whole, codes.size):
        first[codes[x]] += 1


@njit(cache=True)
def masked_quantiles(
    image: NDArray[np.float32], mask: NDArray[np.bool_], shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Quantiles of optical densities inside a mask, to 0.00125.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Not below 0; above 2.56 counts as 2.56.
    mask : ndarray of bool, shape (h, w)
        Which pixels count.
    shares : ndarray of float64, shape (k,)
        From 0 to 1, ascending.

    Returns
    -------
    ndarray of float64, shape (k,)
        Middles of bins; 0 for an empty mask.
    """
    n_bins = 2048
    # what does not count falls into a bin of its own
    counts = np.zeros((4, n_bins + 1), np.int32)
    scale = np.float32(n_bins / 2.56)
    codes = np.empty(image.shape[1], np.uint16)
    for y in range(image.shape[0]):
        line, inside = image[y], mask[y]
        for x in range(codes.size):
            place = np.uint16(min(np.int32(line[x] * scale), np.int32(n_bins - 1)))
            codes[x] = place if inside[x] else np.uint16(n_bins)
        count_in_turn(codes, counts)
    gather(counts)
    whole = counts[0]
    found = np.zeros(shares.size)
    n = image.size - whole[n_bins]
    if n == 0:
        return found
    seen, at = 0, 0
    for k in range(shares.size):
        place = shares[k] * (n - 1)
        while seen + whole[at] <= place:
            seen += whole[at]
            at += 1
        found[k] = (at + 0.5) / scale
    return found
