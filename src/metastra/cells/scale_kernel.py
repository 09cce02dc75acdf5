"""Compiled scales of a map: all smoothings and blob responses that are asked for, in one call."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.cells.smoothing_kernel import (
    double_into,
    filter_rows_together,
    halve_into,
    laplacian_into,
    pad_into,
)
from metastra.cells.tap_kernel import AT_ONCE, LINE_PX, take_taps, take_taps_down

__all__ = ["make_scales", "multiply"]

_Floats = NDArray[np.float32]
_Steps = NDArray[np.int64]

_PART_PX = 128
_MOST = AT_ONCE[-1]


@njit(cache=True)
def make_scales(
    images: _Floats,
    steps: _Steps,
    weights: _Floats,
    shared: _Floats,
    factors: _Floats,
    halved: _Floats,
    memory: tuple[_Floats, _Floats, _Floats],
    out: _Floats,
) -> None:
    """Smooth maps with several Gaussians, the wide ones on halved maps.

    Parameters
    ----------
    images : ndarray of float32, shape (n, h, w)
        Any maps.
    steps : ndarray of int64, shape (k, 8)
        What is made, the finest level first: how often the map is halved before it is smoothed,
        place of the first weight, taps, how many come at once, whether the Laplacian is taken,
        where it goes, its number in its level, and which of the four filters taken together it is,
        −1 for none.
    weights : ndarray of float32, shape (j,)
        Weights of all filters, as `smooth_into` takes them.
    shared : ndarray of float32, shape (l, 4 × 15)
        Of each level the weights of filters that are taken together.
    factors : ndarray of float32, shape (k, l)
        Of each place by what a response is multiplied: its Laplacian, then before it is doubled
        from each level.
    halved : ndarray of float32, shape (i,)
        Written: all maps halved once, then all halved twice, and so on.
    memory : tuple of ndarray of float32
        To work in: a padded map, in which two maps have room; lines as for `filter_rows_together`;
        and a map for each smoothing of a level.
    out : ndarray of float32, shape (n, k, h, w)
        Written: of each map what was asked for, at its own size.
    """
    padded, _, maps = memory
    for number in range(len(images)):
        image, start = images[number], 0
        for level in range(len(shared)):
            if level > 0:
                rows, columns = (image.shape[0] + 1) // 2, (image.shape[1] + 1) // 2
                at = start + number * rows * columns
                half = halved[at : at + rows * columns].reshape(rows, columns)
                halve_into(image, half)
                image, start = half, start + len(images) * half.size
            of_level, made = (weights, shared[level]), out[number]
            _smooth(image, steps, level, of_level, memory, made)
            for step in range(len(steps)):
                if steps[step, 0] == level:
                    place = steps[step, 5]
                    first = steps[step, 6] * image.size
                    smooth = maps[first : first + image.size].reshape(image.shape)
                    _finish(smooth, steps[step], factors[place], padded, made[place])


@njit(cache=True)
def _reach(steps: _Steps, level: int) -> tuple[int, bool]:
    """Find how far the filters reach that are taken one by one, and whether any are not."""
    found, together = 0, False
    for step in range(len(steps)):
        if steps[step, 0] == level and steps[step, 7] < 0:
            found = max(found, steps[step, 2])
        together = together or (steps[step, 0] == level and steps[step, 7] >= 0)
    return found, together


@njit(cache=True)
def _smooth(
    image: _Floats,
    steps: _Steps,
    level: int,
    filters: tuple[_Floats, _Floats],
    memory: tuple[_Floats, _Floats, _Floats],
    out: _Floats,
) -> None:
    """Smooth a map with all filters of its level, rows and then columns; the edge mirrors.

    What is ready then is written to its place in `out`, the others into the maps of the memory.
    """
    (rows, columns), (weights, shared), (padded, lines, maps) = image.shape, filters, memory
    reach, together = _reach(steps, level)
    if reach > 0:
        pad_into(image, reach, padded)
    wide, apart = columns + 2 * reach, rows + 2 * _MOST
    # as many columns at a time as leave the lines of four filters in the second cache
    for first in range(0, columns, _PART_PX):
        n = min(_PART_PX, columns - first)
        if together:
            filter_rows_together(image, first, n, shared, lines)
        for step in range(len(steps)):
            at, start, taps, n_first, is_blob, place, number, slot = steps[step]
            if at != level:
                continue
            filtered = weights[start : start + taps + 1]
            if slot >= 0:
                ready = lines[(10 + slot * apart + _MOST - taps) * LINE_PX :]
            else:
                ready = lines[(10 + 4 * apart) * LINE_PX if together else 0 :]
                source, where = padded[reach + first - taps :], (rows, n, wide, LINE_PX)
                take_taps(source, filtered, n_first, ready[taps * LINE_PX :], where)
            target = maps[number * image.size :]
            if level == 0 and not is_blob:
                target = out[place].ravel()
            take_taps_down(ready, filtered, n_first, target[first:], (rows, n, columns))


@njit(cache=True)
def _finish(
    smooth: _Floats, step: NDArray[np.int64], factors: _Floats, memory: _Floats, out: _Floats
) -> None:
    """Take the Laplacian, if it is wanted, and go back to the size of the map."""
    level, is_blob = step[0], step[4]
    rows, columns = smooth.shape
    if is_blob:
        response = out if level == 0 else memory[: smooth.size].reshape(rows, columns)
        laplacian_into(smooth, factors[0], response)
        smooth = response
    # two maps in turn, from the coarsest to the one that is asked for
    here, there = memory[: out.size], memory[out.size : 2 * out.size]
    for finer in range(level - 1, -1, -1):
        if is_blob:
            multiply(smooth, factors[finer + 1])
        rows, columns = out.shape
        for _ in range(finer):
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        doubled = out if finer == 0 else there[: rows * columns].reshape(rows, columns)
        double_into(smooth, doubled)
        smooth = doubled
        here, there = there, here


@njit(cache=True)
def multiply(image: _Floats, factor: np.float32) -> None:
    """Multiply a map in place.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Changed.
    factor : float32
        By what.
    """
    for y in range(image.shape[0]):
        line = image[y]
        for x in range(line.size):
            line[x] *= factor
