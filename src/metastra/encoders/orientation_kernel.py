"""Compiled structure tensor: gradients of a map, their directions, and how far they agree."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["coherence", "structure_tensor"]

_Floats = NDArray[np.float32]

# share of a bin within which a quick angle is not trusted; it is right to 1e-4 of a bin
_NEAR_BORDER = 0.01
# an even number
_BAND_ROWS = 16


@njit(cache=True)
def structure_tensor(
    image: _Floats, coarse: _Floats, n_bins: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squares and product of the central differences, and their directions; 0 at the border.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        A smoothed map.
    coarse : ndarray of float32, shape (3, ⌈h / 2⌉, ⌈w / 2⌉)
        Written: squares across and down, and product, averaged over 2 × 2 pixels; an odd last row
        or column counts twice.
    n_bins : int
        Bins of half a turn.

    Returns
    -------
    sums : ndarray of float64, shape (3,)
        Of the squares and the product over all pixels.
    bins : ndarray of float64, shape (n_bins,)
        Squared gradients by direction, at every second pixel of every second row, which is enough.
    """
    rows, columns = image.shape
    found = np.zeros(3)
    # four tables in turn, with a place for what is looked at again
    tables = np.zeros((4, n_bins + 1))
    size = _BAND_ROWS * columns
    gradients, parts = np.empty((2, size), np.float32), np.empty((3, size), np.float32)
    for first in range(0, rows, _BAND_ROWS):
        n_rows = min(_BAND_ROWS, rows - first)
        across, down = gradients[0, : n_rows * columns], gradients[1, : n_rows * columns]
        _gradients(image, first, across, down)
        _add_directions(across, down, columns, tables)
        sums = _products(across, down, parts)
        for part in range(3):
            found[part] += sums[part]
            _halve_rows(parts[part], n_rows, columns, coarse[part, first // 2 :])
    bins = np.zeros(n_bins)
    for k in range(n_bins):
        bins[k] = tables[0, k] + tables[1, k] + tables[2, k] + tables[3, k]
    return found, bins


@njit(cache=True)
def _gradients(image: _Floats, first: int, across: _Floats, down: _Floats) -> None:
    """Of a band of rows, as one long row; what lies on the border is cleared afterwards."""
    rows, columns = image.shape
    half, zero = np.float32(0.5), np.float32(0.0)
    n_rows = across.size // columns
    begin, end = max(first, 1), min(first + n_rows, rows - 1)
    line = image.ravel()
    here, above, below = (
        line[begin * columns :],
        line[(begin - 1) * columns :],
        line[(begin + 1) * columns :],
    )
    before = line[begin * columns - 1 :]
    one, two = across[(begin - first) * columns :], down[(begin - first) * columns :]
    for x in range((end - begin) * columns):
        one[x] = half * (here[x + 1] - before[x])
        two[x] = half * (below[x] - above[x])
    for y in range(n_rows):
        on_border = first + y == 0 or first + y == rows - 1
        for x in range(0, columns, 1 if on_border else max(columns - 1, 1)):
            across[y * columns + x] = down[y * columns + x] = zero


@njit(cache=True, fastmath={"reassoc", "nsz"})
def _products(across: _Floats, down: _Floats, out: _Floats) -> tuple[float, float, float]:
    """Add them too, in any order, since one sum would wait for each addition to end."""
    xx, yy, xy = out[0], out[1], out[2]
    of_xx, of_yy, of_xy = 0.0, 0.0, 0.0
    for x in range(across.size):
        xx[x] = across[x] * across[x]
        yy[x] = down[x] * down[x]
        xy[x] = across[x] * down[x]
        of_xx += np.float64(across[x] * across[x])
        of_yy += np.float64(down[x] * down[x])
        of_xy += np.float64(across[x] * down[x])
    return of_xx, of_yy, of_xy


@njit(cache=True)
def _halve_rows(line: _Floats, n_rows: int, columns: int, out: _Floats) -> None:
    """Average 2 × 2 pixels; an odd last row or column is border, and empty."""
    quarter, zero = np.float32(0.25), np.float32(0.0)
    for v in range((n_rows + 1) // 2):
        row, one = out[v], line[2 * v * columns :]
        two = line[(2 * v + 1) * columns :]
        for x in range(columns // 2 if 2 * v + 1 < n_rows else 0):
            row[x] = quarter * (one[2 * x] + one[2 * x + 1] + two[2 * x] + two[2 * x + 1])
        for x in range(columns // 2 if 2 * v + 1 < n_rows else 0, row.size):
            row[x] = zero


@njit(cache=True)
def _add_directions(
    across: _Floats, down: _Floats, columns: int, tables: NDArray[np.float64]
) -> None:
    """Add the squared gradients of every second pixel of every second row to their bins."""
    n_bins = tables.shape[1] - 1
    # the border, which an even width ends with, has no gradient
    n, n_rows = columns // 2, across.size // columns // 2
    places, energies = np.empty(n * n_rows, np.int32), np.empty(n * n_rows, np.float32)
    for v in range(n_rows):
        start = (2 * v + 1) * columns + 1
        part = slice(v * n, (v + 1) * n)
        _quick_places(across[start:], down[start:], places[part], energies[part], n_bins)
    for k in range(places.size):
        at = places[k]
        tables[k % 4, at] += energies[k]
        if at == n_bins and energies[k] > np.float32(0.0):
            x = (k // n * 2 + 1) * columns + 1 + k % n * 2
            turn = np.arctan2(down[x], across[x]) / np.pi
            tables[0, int((turn + 1.0) * n_bins) % n_bins] += energies[k]


@njit(cache=True)
def _quick_places(
    across: _Floats, down: _Floats, places: NDArray[np.int32], energies: _Floats, n_bins: int
) -> None:
    """Angle over half a turn, in bins, without a call: a polynomial of the smaller over the larger.

    Abramowitz and Stegun 1964, 4.4.49, right to 2e-8 for the arc tangent of 0 to 1.  What is near
    the border of a bin, or has no direction, gets the number after the last.
    """
    quarter, whole = np.float32(n_bins / 2.0), np.float32(n_bins)
    near, far = np.float32(_NEAR_BORDER), np.float32(1.0 - _NEAR_BORDER)
    for k in range(places.size):
        gx, gy = across[2 * k], down[2 * k]
        ax, ay = abs(gx), abs(gy)
        small, large = min(ax, ay), max(ax, ay, np.float32(1e-30))
        t = small / large
        u = t * t
        p = np.float32(0.0028662257)
        p = p * u - np.float32(0.0161657367)
        p = p * u + np.float32(0.0429096138)
        p = p * u - np.float32(0.0752896400)
        p = p * u + np.float32(0.1065626393)
        p = p * u - np.float32(0.1420889944)
        p = p * u + np.float32(0.1999355085)
        p = p * u - np.float32(0.3333314528)
        p = (p * u + np.float32(1.0)) * t * np.float32(n_bins / np.pi)
        steep = quarter - p if ay > ax else p
        place = steep if (gx >= 0) == (gy >= 0) else whole - steep
        at = np.int32(place)
        rest = place - np.float32(at)
        energy = gx * gx + gy * gy
        clear = (rest > near) & (rest < far) & (place < whole) & (energy > np.float32(0.0))
        places[k] = at if clear else np.int32(n_bins)
        energies[k] = energy


@njit(cache=True)
def coherence(xx: _Floats, yy: _Floats, xy: _Floats) -> tuple[float, float]:
    """Energy-weighted mean and standard deviation of the local coherence.

    Parameters
    ----------
    xx, yy, xy : ndarray of float32, shape (h, w)
        Smoothed structure tensor.

    Returns
    -------
    mean, sd : float
        0 where there is no gradient.
    """
    weight, first, second = _coherence_sums(xx.ravel(), yy.ravel(), xy.ravel())
    if weight == 0.0:
        return 0.0, 0.0
    mean = first / weight
    return mean, max(second / weight - mean * mean, 0.0) ** 0.5


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def _coherence_sums(xx: _Floats, yy: _Floats, xy: _Floats) -> tuple[float, float, float]:
    least = np.float32(1e-7)
    weight, first, second = 0.0, 0.0, 0.0
    for x in range(xx.size):
        energy = np.float64(xx[x] + yy[x])
        gap = xx[x] - yy[x]
        twice = 2.0 * np.float64(xy[x])
        value = np.sqrt(gap * gap + twice * twice) / max(energy, 1e-7)
        counts = energy if energy >= least else 0.0
        weight += counts
        first += counts * value
        second += counts * value * value
    return weight, first, second
