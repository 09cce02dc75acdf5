"""Compiled local linear regression, the smoother of the calibration curve."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["local_linear"]

_Floats = NDArray[np.float64]


@njit(cache=True)
def local_linear(x: _Floats, y: _Floats, points: _Floats, n_neighbours: int) -> _Floats:
    """Fit a weighted line around each point and read it there.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        Predictor, ascending, and response.
    points : ndarray of shape (m,)
        Where to read the curve, ascending.
    n_neighbours : int
        How many of the nearest observations take part, at most n.

    Returns
    -------
    ndarray of shape (m,)
        Fitted values.

    Notes
    -----
    Cleveland 1979: tricube weights, bandwidth the distance to the farthest of the neighbours
    (all observations at that distance have weight 0).  R's
    ``loess(degree = 1, control = loess.control(surface = "direct"))``.

    Examples
    --------
    >>> x = np.arange(10.0)
    >>> local_linear(x, 2.0 * x + 1.0, np.array([3.5]), 5).tolist()
    [8.0]
    """
    n = x.size
    fitted = np.empty(points.size)
    low = 0
    for k in range(points.size):
        at = points[k]
        # the window of the nearest neighbours only ever moves to the right
        while low + n_neighbours < n and x[low + n_neighbours] - at < at - x[low]:
            low += 1
        bandwidth = max(at - x[low], x[low + n_neighbours - 1] - at)
        total, mean_x, mean_y = 0.0, 0.0, 0.0
        start, stop = low, low + n_neighbours
        if bandwidth <= 0.0:
            while start > 0 and x[start - 1] == at:
                start -= 1
            while stop < n and x[stop] == at:
                stop += 1
        for i in range(start, stop):
            w = _tricube(abs(x[i] - at), bandwidth)
            total += w
            mean_x += w * (x[i] - at)
            mean_y += w * y[i]
        if total == 0.0:
            # every neighbour is as far away as the farthest one: their plain mean
            fitted[k] = np.mean(y[start:stop])
            continue
        mean_x /= total
        mean_y /= total
        spread, product = 0.0, 0.0
        for i in range(start, stop):
            w = _tricube(abs(x[i] - at), bandwidth)
            centred = x[i] - at - mean_x
            spread += w * centred * centred
            product += w * centred * (y[i] - mean_y)
        slope = product / spread if spread > 1e-14 * total * bandwidth * bandwidth else 0.0
        fitted[k] = mean_y - slope * mean_x
    return fitted


@njit(cache=True)
def _tricube(distance: float, bandwidth: float) -> float:
    if bandwidth <= 0.0:
        return 1.0
    ratio = distance / bandwidth
    if ratio >= 1.0:
        return 0.0
    rest = 1.0 - ratio * ratio * ratio
    return rest * rest * rest
