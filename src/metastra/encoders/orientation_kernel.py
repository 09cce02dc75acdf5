"""Compiled structure tensor: gradients of a map, their directions, and how far they agree."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.encoders.map_kernel import total

__all__ = ["measure_orientation", "structure_tensors"]

_Floats = NDArray[np.float32]

# share of a bin within which a quick angle is not trusted; it is right to 1e-4 of a bin
_NEAR_BORDER = 0.01
# an even number
_BAND_ROWS = 16


@njit(cache=True)
def structure_tensors(
    smooth: _Floats, number: int, coarse: _Floats, n_bins: int
) -> NDArray[np.float64]:
    """Squares and product of the central differences, and their directions; 0 at the border.

    Parameters
    ----------
    smooth : ndarray of float32, shape (n, k, h, w)
        Smoothings of n maps.
    number : int
        Which smoothing.
    coarse : ndarray of float32, shape (3 n, ⌈h / 2⌉, ⌈w / 2⌉)
        Written: of each map squares across and down, and product, averaged over 2 × 2 pixels; an
        odd last row or column counts twice.
    n_bins : int
        Bins of half a turn.

    Returns
    -------
    ndarray of float64, shape (n, 3 + n_bins)
        Sums of the squares and the product over all pixels; then squared gradients by direction,
        at every second pixel of every second row, which is enough.
    """
    n_maps, _, rows, columns = smooth.shape
    found = np.zeros((n_maps, 3 + n_bins))
    size = _BAND_ROWS * columns
    gradients, parts = np.empty((2, size), np.float32), np.empty((3, size), np.float32)
    for at in range(n_maps):
        # four tables in turn, with a place for what is looked at again
        tables = np.zeros((4, n_bins + 1))
        for first in range(0, rows, _BAND_ROWS):
            n_rows = min(_BAND_ROWS, rows - first)
            across, down = gradients[0, : n_rows * columns], gradients[1, : n_rows * columns]
            _gradients(smooth[at, number], first, across, down)
            _add_directions(across, down, columns, tables)
            sums = _products(across, down, parts)
            for part in range(3):
                found[at, part] += sums[part]
                _halve_rows(parts[part], n_rows, columns, coarse[3 * at + part, first // 2 :])
        for k in range(n_bins):
            found[at, 3 + k] = tables[0, k] + tables[1, k] + tables[2, k] + tables[3, k]
    return found


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
def measure_orientation(
    table: NDArray[np.float64], windows: _Floats, n_pixels: int, mpp: float
) -> NDArray[np.float64]:
    """Measure how far directions agree.

    Parameters
    ----------
    table : ndarray of float64, shape (n, 3 + n_bins)
        From `structure_tensors`.
    windows : ndarray of float32, shape (3 n, k, h, w)
        The tensors, smoothed in each window.
    n_pixels : int
        Of the tile.
    mpp : float
        Micrometres per pixel of the tile.

    Returns
    -------
    ndarray of float64, shape (n, 2 k + 3)
        Energy-weighted mean and standard deviation of the local coherence in each window;
        coherence of the tile, entropy of the directions and strength of the edges, 0 in a flat
        tile.
    """
    n_windows, n_bins = windows.shape[1], table.shape[1] - 3
    found = np.zeros((len(table), 2 * n_windows + 3))
    for stain in range(len(table)):
        row, bins, at = found[stain], table[stain, 3:], 3 * stain
        for k in range(n_windows):
            weight, first, second = _coherence_sums(
                windows[at, k].ravel(), windows[at + 1, k].ravel(), windows[at + 2, k].ravel()
            )
            if weight > 0.0:
                mean = first / weight
                row[2 * k] = mean
                row[2 * k + 1] = math.sqrt(max(second / weight - mean * mean, 0.0))
        xx, yy, xy = table[stain, 0], table[stain, 1], table[stain, 2]
        xx, yy, xy = xx / n_pixels, yy / n_pixels, xy / n_pixels
        energy = xx + yy
        if energy < 1e-9:
            continue
        whole, entropy = total(bins), 0.0
        for k in range(n_bins):
            share = bins[k] / whole
            entropy -= share * math.log(share) if share > 0.0 else 0.0
        row[2 * n_windows] = math.hypot(xx - yy, 2.0 * xy) / energy
        row[2 * n_windows + 1] = entropy / math.log(n_bins)
        row[2 * n_windows + 2] = math.sqrt(energy) / mpp
    return found


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
