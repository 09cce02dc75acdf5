"""Compiled scales of a map: all smoothings and blob responses that are asked for, in one call."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.cells.smoothing_kernel import (
    double_into,
    halve_into,
    laplacian_into,
    pad_into,
    smooth_into,
)

__all__ = ["make_scales", "multiply"]

_Floats = NDArray[np.float32]


@njit(cache=True)
def make_scales(
    images: _Floats,
    steps: NDArray[np.int64],
    weights: _Floats,
    factors: _Floats,
    halved: _Floats,
    memory: _Floats,
    out: _Floats,
) -> None:
    """Smooth maps with several Gaussians, the wide ones on halved maps.

    Parameters
    ----------
    images : ndarray of float32, shape (n, h, w)
        Any maps.
    steps : ndarray of int64, shape (k, 6)
        What is made, the finest level first: how often the map is halved before it is smoothed,
        place of the first weight, taps, how many come at once, whether the Laplacian is taken, and
        where it goes.
    weights : ndarray of float32, shape (j,)
        Weights of all filters, as `smooth_into` takes them.
    factors : ndarray of float32, shape (k, l)
        Of each place by what a response is multiplied: its Laplacian, then before it is doubled
        from each level.
    halved : ndarray of float32, shape (i,)
        Written: the halved maps of the last image, the finest first.
    memory : ndarray of float32, shape (m,)
        To work in: ``2 h w`` values, a padded map, and the lines of `smooth_into`.
    out : ndarray of float32, shape (n, k, h, w)
        Written: of each map what was asked for, at its own size.
    """
    for number in range(len(images)):
        level, reach, start = 0, 0, 0
        image = images[number]
        for step in range(len(steps)):
            while level < steps[step, 0] or reach == 0:
                if level < steps[step, 0]:
                    rows, columns = (image.shape[0] + 1) // 2, (image.shape[1] + 1) // 2
                    half = halved[start : start + rows * columns].reshape(rows, columns)
                    halve_into(image, half)
                    image, level, start = half, level + 1, start + half.size
                reach = _reach(steps, level)
                if level == steps[step, 0]:
                    pad_into(image, reach, memory[2 * images[0].size :])
            place = steps[step, 5]
            _make(image, steps[step], reach, weights, factors[place], memory, out[number, place])


@njit(cache=True)
def _reach(steps: NDArray[np.int64], level: int) -> int:
    found = 1
    for step in range(len(steps)):
        if steps[step, 0] == level:
            found = max(found, steps[step, 2])
    return found


@njit(cache=True)
def _make(
    image: _Floats,
    step: NDArray[np.int64],
    reach: int,
    weights: _Floats,
    factors: _Floats,
    memory: _Floats,
    out: _Floats,
) -> None:
    level, first, taps, n_first, is_blob, _ = step
    rows, columns = image.shape
    spare, size = out.size, image.size
    padded = memory[2 * spare : 2 * spare + rows * (columns + 2 * reach)]
    lines = memory[2 * spare + padded.size :]
    # two maps in turn, from the coarsest to the one that is asked for
    here, there = memory[:spare], memory[spare : 2 * spare]
    filtered = weights[first : first + taps + 1]
    smooth = here[:size].reshape(rows, columns)
    if is_blob:
        smooth_into(padded, reach, filtered, n_first, lines, smooth)
        response = out if level == 0 else there[:size].reshape(rows, columns)
        laplacian_into(smooth, factors[0], response)
        smooth = response
        here, there = there, here
    elif level == 0:
        smooth_into(padded, reach, filtered, n_first, lines, out)
    else:
        smooth_into(padded, reach, filtered, n_first, lines, smooth)
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
