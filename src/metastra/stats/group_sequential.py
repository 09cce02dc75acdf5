"""Interim looks: error spent by the O'Brien–Fleming-type function, bounds by integration.

A study that is looked at several times rejects too often unless each look has its own bound.  Lan
and DeMets (1983) spend the one-sided error along the share of the information that has come in;
the bounds follow from the joint normal distribution of the statistics, whose increments are
independent (Armitage, McPherson and Rowe 1969; Jennison and Turnbull 2000, chapter 19).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from metastra.errors import ConfigError

__all__ = ["crossing_probabilities", "obrien_fleming_spent", "sequential_bounds"]

_Array = NDArray[np.float64]

_LOWEST, _HIGHEST = -8.0, 20.0
_NODES = 400
_LEAST_STEP = 0.01
_LEAST_SPENT = 1e-30
"""Below this the bound lies beyond 11 standard errors: nothing is spent."""


def obrien_fleming_spent(fraction: ArrayLike, alpha: float) -> _Array:
    """Error that may be spent by a share of the information.

    Parameters
    ----------
    fraction : array_like of shape (k,)
        Shares of the planned information, above 0; 1 and more is all of it.
    alpha : float
        One-sided error in all.

    Returns
    -------
    ndarray of shape (k,)
        ``2 - 2 Φ(z(1 - alpha/2) / sqrt(t))``; `alpha` at 1.

    Raises
    ------
    ConfigError
        If a share is not positive or the error is not between 0 and 1.

    Notes
    -----
    Lan and DeMets 1983, Biometrika 70:659–663, their first function.

    Examples
    --------
    >>> obrien_fleming_spent([0.5, 1.0], 0.025).round(5).tolist()
    [0.00153, 0.025]
    """
    shares = np.atleast_1d(np.asarray(fraction, dtype=np.float64))
    if not 0.0 < alpha < 1.0 or not np.all(shares > 0.0):
        raise ConfigError(
            f"shares of information are {shares.tolist()} and alpha is {alpha:g}; expected shares "
            "above 0 and an error between 0 and 1"
        )
    capped = np.minimum(shares, 1.0)
    return np.asarray(2.0 * norm.sf(norm.isf(alpha / 2.0) / np.sqrt(capped)), dtype=np.float64)


def sequential_bounds(information: ArrayLike, spent: ArrayLike) -> _Array:
    """Find the bound of the standard normal statistic at each look.

    Parameters
    ----------
    information : array_like of shape (k,)
        At each look, ascending, in any unit (events, or shares of the planned information).
    spent : array_like of shape (k,)
        One-sided error spent up to each look, not descending.

    Returns
    -------
    ndarray of shape (k,)
        The null hypothesis is rejected at the first look whose statistic reaches the bound;
        infinite where a look spends nothing.

    Raises
    ------
    ConfigError
        If the looks do not ascend by a hundredth of the last information at least, or the error
        descends.

    Examples
    --------
    >>> looks = [1, 2, 3, 4, 5]
    >>> spent = obrien_fleming_spent([0.2, 0.4, 0.6, 0.8, 1.0], 0.025)
    >>> sequential_bounds(looks, spent).round(2).tolist()
    [4.88, 3.36, 2.68, 2.29, 2.03]
    """
    times, errors = _checked(information, spent)
    bounds = np.full(times.size, np.inf)
    walk = _Walk(times)
    for k in range(times.size):
        step = errors[k] - (errors[k - 1] if k else 0.0)
        if step > _LEAST_SPENT:
            bounds[k] = walk.solve(k, step)
        walk.go_on(k, bounds[k])
    return bounds


def crossing_probabilities(
    information: ArrayLike, bounds: ArrayLike, *, drift: float = 0.0
) -> _Array:
    """Probability of reaching each bound first.

    Parameters
    ----------
    information : array_like of shape (k,)
        At each look, ascending.
    bounds : array_like of shape (k,)
        Of the standard normal statistic.
    drift : float
        Mean of the last statistic; 0 under the null hypothesis.

    Returns
    -------
    ndarray of shape (k,)
        Their sum is the error, or the power where there is a drift.

    Examples
    --------
    >>> round(float(crossing_probabilities([1.0], [1.959964])[0]), 6)
    0.025
    """
    times, _ = _checked(information, np.zeros(np.size(information)))
    walk = _Walk(times, drift=drift)
    found = np.zeros(times.size)
    for k, bound in enumerate(np.asarray(bounds, dtype=np.float64)):
        found[k] = walk.beyond(k, float(bound))
        walk.go_on(k, float(bound))
    return found


class _Walk:
    """The density of the statistic on the paths that have crossed no bound so far."""

    def __init__(self, times: _Array, *, drift: float = 0.0) -> None:
        self._times = times / times[-1]
        self._drift = drift
        self._nodes: _Array | None = None
        self._mass: _Array = np.empty(0)

    def beyond(self, k: int, bound: float) -> float:
        """Probability of reaching `bound` at look k and no bound before."""
        mean, spread = self._step(k)
        return float(np.sum(self._mass * norm.sf((bound - mean) / spread)))

    def solve(self, k: int, error: float) -> float:
        """Find the bound that is reached first at look k with probability `error`."""
        return float(
            brentq(
                lambda b: np.log(max(self.beyond(k, b), 1e-300)) - np.log(error),
                _LOWEST,
                _HIGHEST,
                xtol=1e-12,
            )
        )

    def go_on(self, k: int, bound: float) -> None:
        """Keep the paths below the bound at look k."""
        mean, spread = self._step(k)
        centre = self._drift * np.sqrt(self._times[k])
        low, high = centre + _LOWEST, min(bound, centre - _LOWEST)
        x, w = np.polynomial.legendre.leggauss(_NODES)
        nodes = 0.5 * (high - low) * x + 0.5 * (high + low)
        weights = 0.5 * (high - low) * w
        density = norm.pdf((nodes[:, None] - mean[None, :]) / spread) / spread
        self._mass = weights * (density @ self._mass)
        self._nodes = nodes

    def _step(self, k: int) -> tuple[_Array, float]:
        """Mean and spread of the statistic at look k from each node of the look before."""
        t = self._times
        if self._nodes is None:
            self._mass = np.ones(1)
            return np.array([self._drift * np.sqrt(t[k])]), 1.0
        gained = t[k] - t[k - 1]
        mean = self._nodes * np.sqrt(t[k - 1] / t[k]) + self._drift * gained / np.sqrt(t[k])
        return mean, float(np.sqrt(gained / t[k]))


def _checked(information: ArrayLike, spent: ArrayLike) -> tuple[_Array, _Array]:
    times = np.atleast_1d(np.asarray(information, dtype=np.float64))
    errors = np.atleast_1d(np.asarray(spent, dtype=np.float64))
    if times.ndim != 1 or times.shape != errors.shape or not times.size:
        raise ConfigError(f"{times.size} looks and {errors.size} errors; expected one for each")
    shares = times / times[-1]
    if not np.all(np.isfinite(times)) or any(
        b - a < _LEAST_STEP for a, b in pairwise([0.0, *shares.tolist()])
    ):
        raise ConfigError(
            f"the information at the looks is {times.tolist()}; expected each to add a hundredth "
            "of the last at least"
        )
    if np.any(np.diff([0.0, *errors.tolist()]) < 0.0) or errors[-1] >= 1.0:
        raise ConfigError(f"the error spent is {errors.tolist()}; expected it not to descend")
    return times, errors
