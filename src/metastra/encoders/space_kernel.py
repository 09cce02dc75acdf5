"""Compiled measures of what lies near the parts of a mask, and of colours."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["colour_counts", "near_share", "rim_of_parts"]

_Runs = NDArray[np.int32]


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
def rim_of_parts(
    runs: _Runs,
    counted: NDArray[np.bool_],
    tissue: NDArray[np.bool_],
    reach_um: float,
    mpp: float,
) -> NDArray[np.bool_]:
    """Find the tissue near the parts that count.

    Parameters
    ----------
    runs : ndarray of int32, shape (r, 4)
        From `part_kernel.parts_where`.
    counted : ndarray of bool, shape (n,)
        Which parts count.
    tissue : ndarray of bool, shape (h, w)
        Where the tissue is.
    reach_um : float
        How far from the middle of a white pixel.
    mpp : float
        Micrometres per pixel.

    Returns
    -------
    ndarray of bool, shape (h, w)
        Tissue within the reach.

    Notes
    -----
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
def near_share(
    runs: _Runs,
    counted: NDArray[np.bool_],
    points: NDArray[np.float64],
    shape: tuple[int, int],
    reach_um: float,
    mpp: float,
) -> float:
    """Count the points near the parts that count.

    Parameters
    ----------
    runs : ndarray of int32, shape (r, 4)
        From `part_kernel.parts_where`.
    counted : ndarray of bool, shape (n,)
        Which parts count.
    points : ndarray of float64, shape (k, 2)
        x and y in pixels; the nearest pixel stands for a point.
    shape : tuple of int
        Height and width of the tile.
    reach_um : float
        How far from the middle of a white pixel.
    mpp : float
        Micrometres per pixel.

    Returns
    -------
    float
        Share of the points; 0 without points.
    """
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
def colour_counts(tile: NDArray[np.uint8], limits: NDArray[np.uint32]) -> tuple[int, int, int]:
    """Count pixels that look like blood, like pigment, and black ones.

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
    blood, pigment, black : int
        Pixels.
    """
    width = tile.shape[1]
    of_green = np.empty(width, np.uint32)
    blood, pigment, black = 0, 0, 0
    for y in range(tile.shape[0]):
        line = tile[y]
        for x in range(width):
            of_green[x] = limits[line[x, 1]]
        counts = _count_colours(line.ravel(), of_green)
        blood += counts[0]
        pigment += counts[1]
        black += counts[2]
    return int(blood), int(pigment), int(black)


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
