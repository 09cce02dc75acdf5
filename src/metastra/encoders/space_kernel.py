"""Compiled measures of white spaces and what lies near them, of pale discs and of colours."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.cells.seed_kernel import count_true, local_maxima
from metastra.encoders.map_kernel import mean_positive
from metastra.encoders.mask_kernel import moments
from metastra.encoders.part_kernel import part_shapes, parts_where

__all__ = ["measure_blobs", "measure_colours", "measure_lumina"]

_Floats = NDArray[np.float32]
_Values = NDArray[np.float64]
_Runs = NDArray[np.int32]


@njit(cache=True)
def measure_lumina(
    stains: _Floats,
    tissue: NDArray[np.bool_],
    n_tissue: int,
    spread: tuple[float, float, float],
    centroids: _Values,
    limits: tuple[float, float, float, float, float],
    scale: tuple[float, float],
) -> _Values:
    """Measure the white spaces and what lines them.

    Parameters
    ----------
    stains : ndarray of float32, shape (k, h, w)
        Haematoxylin and eosin.
    tissue : ndarray of bool, shape (h, w)
        Where the tissue is.
    n_tissue : int
        Pixels of it.
    spread : tuple of float
        Mean haematoxylin, mean eosin and strength of haematoxylin in the tissue.
    centroids : ndarray of float64, shape (n, 2)
        x and y of the nuclei in pixels.
    limits : tuple of float
        Least area of a space; area of fat from and to (µm²); share of the tissue that is near white
        where walls are thin; width of a rim in µm.
    scale : tuple of float
        Micrometres per pixel, and its square.

    Returns
    -------
    ndarray of float64, shape (9,)
        All 0 where no space counts.
    """
    found, (mpp, pixel_um2), n_pixels = np.zeros(9), scale, tissue.size
    white, line = np.empty(tissue.shape, np.bool_), tissue.ravel()
    row = white.ravel()
    for x in range(row.size):
        row[x] = not line[x]
    runs, n = parts_where(white)
    area, eccentricity, fill = part_shapes(runs, n)
    counted, n_counted, largest, fat = np.empty(n, np.bool_), 0, 0.0, 0.0
    for k in range(n):
        area_um2 = area[k] * pixel_um2
        counted[k] = area_um2 >= limits[0]
        largest = max(largest, area[k])
        if counted[k]:
            n_counted += 1
            found[2] += area_um2
            found[3] += eccentricity[k]
            found[4] += fill[k]
        if area_um2 >= limits[1] and area_um2 <= limits[2] and fill[k] >= 0.85:
            fat += area[k]
    if n_counted == 0:
        return found
    found[0] = n_counted / (n_pixels * (mpp / 1000.0) ** 2)
    found[1] = largest / n_pixels
    for k in range(2, 5):
        found[k] /= n_counted
    rim = _rim_of_parts(runs, counted, tissue, limits[4], mpp)
    n_rim = count_true(rim.ravel())
    if n_rim > 0:
        dark, pink = moments(stains[0], rim)[0], moments(stains[1], rim)[0]
        found[5] = math.log((dark + 0.05) / (spread[0] + 0.05))
        found[6] = math.log((pink + 0.05) / (spread[1] + 0.05))
        if n_rim >= limits[3] * n_tissue and dark <= 0.5 * spread[2]:
            found[8] = fat / n_pixels
    found[7] = _near_share(runs, counted, centroids, tissue.shape, 2.0 * limits[4], mpp)
    return found


@njit(cache=True)
def measure_blobs(responses: _Floats, floor: float, area_mm2: float) -> _Values:
    """Count and measure pale and dark discs.

    Parameters
    ----------
    responses : ndarray of float32, shape (2, k, h, w)
        To pale and to dark discs of each size.
    floor : float
        A pale disc answers by more than this.
    area_mm2 : float
        Of the tile.

    Returns
    -------
    ndarray of float64, shape (3 k,)
        Of each size: pale discs per mm², mean positive response to them, and to dark ones.
    """
    found = np.empty(3 * responses.shape[1])
    for k in range(responses.shape[1]):
        pale, dark = responses[0, k], responses[1, k]
        found[3 * k] = local_maxima(pale, floor).size / area_mm2
        found[3 * k + 1], found[3 * k + 2] = mean_positive(pale), mean_positive(dark)
    return found


@njit(cache=True)
def _half_widths(reach_um: float, mpp: float) -> NDArray[np.int64]:
    """Half widths of a disc's rows: pixels no farther than the reach from its middle."""
    most = int((reach_um / mpp) ** 2) + 2
    while np.sqrt(np.float64(most)) * mpp > reach_um:
        most -= 1
    radius = int(np.sqrt(np.float64(most)))
    widths = np.empty(radius + 1, np.int64)
    for dy in range(radius + 1):
        dx = radius
        while dx * dx + dy * dy > most:
            dx -= 1
        widths[dy] = dx
    return widths


@njit(cache=True)
def _rim_of_parts(
    runs: _Runs,
    counted: NDArray[np.bool_],
    tissue: NDArray[np.bool_],
    reach_um: float,
    mpp: float,
) -> NDArray[np.bool_]:
    """Find the tissue near the parts that count.

    Each run, grown by a disc, is 2 radius + 1 longer runs.  Their starts and ends are counted, and
    added up along the rows.
    """
    rows, columns = tissue.shape
    widths = _half_widths(reach_um, mpp)
    steps, touched = np.zeros((rows, columns + 1), np.int16), np.zeros(rows, np.bool_)
    for at in range(len(runs)):
        y, first, end, part = runs[at]
        if not counted[part]:
            continue
        for v in range(max(y - len(widths) + 1, 0), min(y + len(widths), rows)):
            wide = widths[abs(v - y)]
            touched[v] = True
            steps[v, max(first - wide, 0)] += np.int16(1)
            steps[v, min(end + wide, columns)] -= np.int16(1)
    near = np.empty((rows, columns), np.bool_)
    for y in range(rows):
        line, inside, out = steps[y], tissue[y], near[y]
        if not touched[y]:
            out[:] = False
            continue
        level = np.int16(0)
        for x in range(columns):
            level += line[x]
            out[x] = inside[x] & (level > 0)
    return near


@njit(cache=True)
def _near_share(
    runs: _Runs,
    counted: NDArray[np.bool_],
    points: NDArray[np.float64],
    shape: tuple[int, int],
    reach_um: float,
    mpp: float,
) -> float:
    """Share of points, rounded to pixels, near the parts that count; 0 without points."""
    rows, columns = shape
    widths = _half_widths(reach_um, mpp)
    # first run of each row, so that a point looks only at the rows around it
    first_run = np.zeros(rows + 1, np.int64)
    for at in range(len(runs)):
        first_run[runs[at, 0] + 1] += 1
    for y in range(rows):
        first_run[y + 1] += first_run[y]
    n = 0
    for k in range(len(points)):
        x = min(max(int(np.rint(points[k, 0])), 0), columns - 1)
        y = min(max(int(np.rint(points[k, 1])), 0), rows - 1)
        n += _is_near(runs, counted, first_run, widths, x, y)
    return n / len(points) if len(points) else 0.0


@njit(cache=True)
def _is_near(
    runs: _Runs,
    counted: NDArray[np.bool_],
    first_run: NDArray[np.int64],
    widths: NDArray[np.int64],
    x: int,
    y: int,
) -> bool:
    rows = first_run.size - 1
    for v in range(max(y - len(widths) + 1, 0), min(y + len(widths), rows)):
        wide = widths[abs(v - y)]
        for at in range(first_run[v], first_run[v + 1]):
            if counted[runs[at, 3]] and runs[at, 1] <= x + wide and runs[at, 2] > x - wide:
                return True
    return False


@njit(cache=True)
def measure_colours(tile: NDArray[np.uint8], limits: NDArray[np.uint32]) -> _Values:
    """Share of pixels that look like blood, like pigment, and black ones.

    Parameters
    ----------
    tile : ndarray of uint8, shape (h, w, 3)
        RGB.
    limits : ndarray of uint32, shape (256,)
        By the grey level of green: 512 × 512 times the red from which, plus 512 times one more
        than the blue up to which a pixel is orange-red, plus the blue under which it is yellow or
        brown.

    Returns
    -------
    ndarray of float64, shape (3,)
        Blood, pigment, black.
    """
    width = tile.shape[1]
    of_green, found = np.empty(width, np.uint32), np.zeros(3)
    for y in range(tile.shape[0]):
        line = tile[y]
        for x in range(width):
            of_green[x] = limits[line[x, 1]]
        counts = _count_colours(line.ravel(), of_green)
        for k in range(3):
            found[k] += counts[k]
    for k in range(3):
        found[k] /= tile.shape[0] * width
    return found


@njit(cache=True)
def _count_colours(line: NDArray[np.uint8], limits: NDArray[np.uint32]) -> tuple[int, int, int]:
    one, zero = np.int32(1), np.int32(0)
    blood, pigment, black = np.int32(0), np.int32(0), np.int32(0)
    for x in range(limits.size):
        red, green, blue = (
            np.int32(line[3 * x]),
            np.int32(line[3 * x + 1]),
            np.int32(line[3 * x + 2]),
        )
        limit = np.int32(limits[x])
        orange = (red >= limit >> 18) & (blue < (limit >> 9) & 511)
        blood += one if orange else zero
        pigment += one if blue < limit & 511 else zero
        black += one if max(red, green, blue) < 40 else zero
    return int(blood), int(pigment), int(black)
