"""Compiled least squares of pseudo-observations on the complementary log-log of a risk."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["fit_cloglog", "normal_equations"]

_Floats = NDArray[np.float64]

_MAX_STEPS = 200
_MAX_HALVINGS = 30
_ROUNDING = 1e-12


@njit(cache=True)
def normal_equations(
    x: _Floats, y: _Floats, weight: _Floats, intercept: float, slope: float
) -> tuple[float, _Floats, _Floats, _Floats]:
    """Evaluate the least squares of ``E[y] = 1 - exp(-exp(intercept + slope x))``.

    Parameters
    ----------
    x, y, weight : ndarray of shape (n,)
        Predictor, pseudo-observation and case weight.
    intercept, slope : float
        The parameters.

    Returns
    -------
    loss : float
        Weighted sum of squared residuals.
    score : ndarray of shape (2,)
        Derivative of the mean times residual, summed.
    bread : ndarray of shape (3,)
        Entries 11, 12 and 22 of the sum of derivative products.
    meat : ndarray of shape (3,)
        The same with squared residuals.

    Examples
    --------
    >>> loss, score, bread, meat = normal_equations(
    ...     np.array([0.0]), np.array([1.0]), np.ones(1), 0.0, 1.0
    ... )
    >>> round(loss, 6)
    0.135335
    """
    loss = 0.0
    score, bread, meat = np.zeros(2), np.zeros(3), np.zeros(3)
    for i in range(x.size):
        w = weight[i]
        if w == 0.0:
            continue
        eta = intercept + slope * x[i]
        rate = np.exp(min(eta, 700.0))
        survival = np.exp(-rate)
        slope_of_mean = rate * survival
        residual = y[i] - 1.0 + survival
        first = w * slope_of_mean
        loss += w * residual * residual
        score[0] += first * residual
        score[1] += first * residual * x[i]
        squared = first * slope_of_mean
        bread[0] += squared
        bread[1] += squared * x[i]
        bread[2] += squared * x[i] * x[i]
        squared *= residual * residual
        meat[0] += squared
        meat[1] += squared * x[i]
        meat[2] += squared * x[i] * x[i]
    return loss, score, bread, meat


@njit(cache=True)
def fit_cloglog(
    x: _Floats, y: _Floats, weight: _Floats, n_parameters: int, tolerance: float
) -> tuple[float, float, bool]:
    """Least squares by Gauss–Newton steps, halved until the loss falls.

    Parameters
    ----------
    x, y, weight : ndarray of shape (n,)
        Predictor, pseudo-observation and case weight.
    n_parameters : int
        2 for intercept and slope, 1 for the intercept alone with the slope held at 1.
    tolerance : float
        Largest step at which the parameters count as found.

    Returns
    -------
    intercept, slope : float
        The parameters.
    converged : bool
        Whether they were found.

    Notes
    -----
    The estimating equations are those of a generalised estimating equation with Gaussian variance,
    complementary log-log link and working independence (R's ``geepack::geese``).

    Examples
    --------
    >>> x = np.array([-2.0, -1.0, 0.0])
    >>> intercept, slope, converged = fit_cloglog(
    ...     x, 1.0 - np.exp(-np.exp(0.3 + 0.8 * x)), np.ones(3), 2, 1e-10
    ... )
    >>> round(intercept, 6), round(slope, 6), converged
    (0.3, 0.8, True)
    """
    intercept, slope = 0.0, 1.0
    loss, score, bread, _ = normal_equations(x, y, weight, intercept, slope)
    for _step in range(_MAX_STEPS):
        if n_parameters == 2:
            determinant = bread[0] * bread[2] - bread[1] * bread[1]
            if not determinant > 1e-12 * bread[0] * bread[2]:
                return intercept, slope, False
            step_a = (bread[2] * score[0] - bread[1] * score[1]) / determinant
            step_b = (bread[0] * score[1] - bread[1] * score[0]) / determinant
        else:
            if not bread[0] > 0.0:
                return intercept, slope, False
            step_a, step_b = score[0] / bread[0], 0.0
        if max(abs(step_a), abs(step_b)) <= tolerance:
            return intercept + step_a, slope + step_b, True
        for _half in range(_MAX_HALVINGS):
            trial = normal_equations(x, y, weight, intercept + step_a, slope + step_b)
            if trial[0] <= loss * (1.0 + _ROUNDING):
                break
            step_a *= 0.5
            step_b *= 0.5
        intercept += step_a
        slope += step_b
        loss, score, bread = trial[0], trial[1], trial[2]
    return intercept, slope, False
