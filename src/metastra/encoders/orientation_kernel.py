"""Compiled structure tensor: gradients of a map, their directions, and how far they agree."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["coherence", "structure_tensor"]

_Floats = NDArray[np.float32]

# share of a bin within which a quick angle is not trusted; it is right to 1e-4 of a bin
_NEAR_BORDER = 0.01


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
    # two rows of gradients, three parts each; an odd width gets a column more, which is border too
    parts = np.zeros((2, 3, columns + columns % 2), np.float32)
    found, bins = np.zeros(3), np.zeros(n_bins)
    gradients = np.empty((2, columns), np.float32)
    for v in range(coarse.shape[1]):
        for k in range(2):
            y = min(2 * v + k, rows - 1)
            if 0 < y < rows - 1:
                _gradients(image[y - 1], image[y], image[y + 1], gradients)
                if y % 2:
                    _add_directions(gradients[0], gradients[1], bins)
                _products(gradients[0], gradients[1], parts[k])
            else:
                _clear(parts[k])
            if 2 * v + k < rows:
                for part in range(3):
                    found[part] += _sum(parts[k, part])
        for part in range(3):
            _halve_rows(parts[0, part], parts[1, part], coarse[part, v])
    return found, bins


@njit(cache=True)
def _gradients(above: _Floats, here: _Floats, below: _Floats, out: _Floats) -> None:
    half = np.float32(0.5)
    across, down = out[0], out[1]
    across[0] = across[-1] = down[0] = down[-1] = np.float32(0.0)
    right, out_across = here[2:], across[1:]
    for x in range(here.size - 2):
        out_across[x] = half * (right[x] - here[x])
    for x in range(1, here.size - 1):
        down[x] = half * (below[x] - above[x])


@njit(cache=True)
def _clear(rows: _Floats) -> None:
    for k in range(rows.shape[0]):
        for x in range(rows.shape[1]):
            rows[k, x] = np.float32(0.0)


@njit(cache=True)
def _products(across: _Floats, down: _Floats, out: _Floats) -> None:
    xx, yy, xy = out[0], out[1], out[2]
    for x in range(across.size):
        xx[x] = across[x] * across[x]
        yy[x] = down[x] * down[x]
        xy[x] = across[x] * down[x]


@njit(cache=True, fastmath={"reassoc", "nsz"})
def _sum(line: _Floats) -> float:
    """Add in any order, since one sum would wait for each addition to end."""
    found = 0.0
    for x in range(line.size):
        found += np.float64(line[x])
    return found


@njit(cache=True)
def _halve_rows(one: _Floats, two: _Floats, out: _Floats) -> None:
    quarter = np.float32(0.25)
    for x in range(out.size):
        out[x] = quarter * (one[2 * x] + one[2 * x + 1] + two[2 * x] + two[2 * x + 1])


@njit(cache=True)
def _add_directions(across: _Floats, down: _Floats, bins: NDArray[np.float64]) -> None:
    """Add the squared gradients of every second pixel to the bins of their directions."""
    n = (across.size - 1) // 2
    places = np.empty(n, np.float32)
    _quick_places(across, down, places, bins.size)
    last = np.float32(bins.size)
    for k in range(n):
        gx, gy = across[2 * k + 1], down[2 * k + 1]
        energy = gx * gx + gy * gy
        if energy == np.float32(0.0):
            continue
        place = places[k]
        at = int(place)
        rest = place - at
        if rest < _NEAR_BORDER or rest > 1.0 - _NEAR_BORDER or place >= last:
            turn = np.arctan2(gy, gx) / np.pi
            at = int((turn + 1.0) * bins.size) % bins.size
        bins[at] += energy


@njit(cache=True, error_model="numpy")
def _quick_places(across: _Floats, down: _Floats, places: _Floats, n_bins: int) -> None:
    """Angle over half a turn, in bins, without a call: a polynomial of the smaller over the larger.

    Abramowitz and Stegun 1964, 4.4.49, right to 2e-8 for the arc tangent of 0 to 1.
    """
    quarter = np.float32(n_bins / 2.0)
    for k in range(places.size):
        gx, gy = across[2 * k + 1], down[2 * k + 1]
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
        places[k] = steep if (gx >= 0) == (gy >= 0) else np.float32(n_bins) - steep


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
