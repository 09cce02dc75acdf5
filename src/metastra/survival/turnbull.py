"""The distribution of an interval-censored event without any assumption of shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.survival.interval_censored import IntervalCensored
from metastra.survival.intervals import normal_quantile
from metastra.survival.turnbull_fit import InnermostIntervals, innermost_intervals, maximise_masses

__all__ = ["BootstrapRisk", "IntervalRisk", "Turnbull", "bootstrap_interval_risk", "turnbull"]

_Array = NDArray[np.float64]
_DUST = 1e-9
"""Mass below which an interval counts as empty."""


@dataclass(frozen=True, kw_only=True)
class IntervalRisk:
    """Risk by a horizon, as far as examinations determine it.

    Parameters
    ----------
    horizon : float
        In the unit of the data.
    risk : float
        With the mass of an interval that holds the horizon spread evenly over it: an assumption,
        not an estimate; it matters only where `smallest` and `largest` differ.
    smallest, largest : float
        Least and greatest risk among *all* distributions with the same, greatest likelihood.
    """

    horizon: float
    risk: float
    smallest: float
    largest: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Turnbull:
    """Non-parametric maximum-likelihood estimate of an interval-censored distribution.

    Parameters
    ----------
    cells : InnermostIntervals
        Where mass can lie, and which patients reach it.
    mass : ndarray of shape (m,)
        Probability of each interval ``(left, right]``; sum 1.  Where inside an interval it lies
        does not change the likelihood.
    loglik : float
        Log-likelihood.
    gap : float
        No distribution has a log-likelihood higher by more than this: the proof of convergence.
    n, n_found : int
        Patients with a weight, and those of them found with the event.
    """

    cells: InnermostIntervals
    mass: _Array
    loglik: float
    gap: float
    n: int
    n_found: int

    @property
    def left(self) -> _Array:
        """Left ends of the intervals, of shape (m,)."""
        return self.cells.left

    @property
    def right(self) -> _Array:
        """Right ends of the intervals, of shape (m,); the last may be infinite."""
        return self.cells.right

    def risk_at(self, horizon: float) -> IntervalRisk:
        """Risk of the event by a horizon.

        Parameters
        ----------
        horizon : float
            In the unit of the data.

        Returns
        -------
        IntervalRisk
            With the bounds that the data leave.

        Raises
        ------
        ConfigError
            When the horizon is negative or not finite.
        NotEstimable
            When nobody was examined free of the event at or after the horizon, though some never
            had it: the risk may then be anything up to 1.
        """
        if not (np.isfinite(horizon) and horizon >= 0.0):
            raise ConfigError(f"the horizon is {horizon}; expected a finite number of 0 or more")
        point = self.left == self.right
        surely = self.right <= horizon
        perhaps = (self.left < horizon) | (point & surely)
        endless = perhaps & np.isinf(self.right) & (self.mass > _DUST)
        if endless.any():
            last = float(self.left[endless][0])
            raise NotEstimable(
                f"nothing is known at time {horizon:g}: nobody was examined free of the event "
                f"after {last:g}"
            )
        share = surely.astype(np.float64)
        inside = perhaps & ~surely & np.isfinite(self.right)
        share[inside] = (horizon - self.left[inside]) / (self.right - self.left)[inside]
        smallest, largest = float(self.mass @ surely), float(self.mass @ perhaps)
        return IntervalRisk(
            horizon=float(horizon),
            risk=min(float(self.mass @ share), 1.0),
            smallest=max(smallest, 0.0),
            largest=min(largest, 1.0),
        )


def turnbull(data: IntervalCensored, *, weights: ArrayLike | None = None) -> Turnbull:
    """Estimate the distribution of an interval-censored event.

    Parameters
    ----------
    data : IntervalCensored
        Of n patients; exact and right-censored times may be among them.
    weights : array_like of shape (n,), optional
        Not negative; counts of a bootstrap draw, for instance.

    Returns
    -------
    Turnbull
        With a certificate of convergence.

    Raises
    ------
    DataError
        When the weights do not fit the patients.
    NotEstimable
        When every weight is 0, or the maximum is not reached.

    Notes
    -----
    Peto 1973 (Applied Statistics 22, 86–91); Turnbull 1976 (Journal of the Royal Statistical
    Society B 38, 290–295); computed as in `maximise_masses`.  The masses are unique: every interval
    with mass ends where some patient's interval ends, so the matrix of who reaches what has full
    column rank (the condition of Gentleman and Geyer 1994, Biometrika 81, 618–623).  What stays
    open is where inside an interval its mass lies.  Assumes that examinations do not depend on the
    event given its history: scans brought forward by symptoms break this.  Without
    intervals the estimate is that of Kaplan and Meier.  No left truncation and no competing risks:
    taking a competing death for a censoring would estimate a risk in a world without death.
    Memory is k x m for k distinct sets of patients and m intervals.

    Examples
    --------
    >>> found = IntervalCensored(left=[0, 0, 1, 1], right=[1, 2, 2, np.inf])
    >>> estimate = turnbull(found)
    >>> estimate.left.tolist(), estimate.right.tolist(), estimate.mass.round(4).tolist()
    ([0.0, 1.0], [1.0, 2.0], [0.3333, 0.6667])
    """
    weight = np.ones(data.n) if weights is None else np.asarray(weights, dtype=np.float64)
    if weight.shape != (data.n,) or not (np.isfinite(weight) & (weight >= 0.0)).all():
        raise DataError(f"weights have shape {weight.shape}; expected ({data.n},), 0 or more")
    cells = innermost_intervals(data.left, data.right, weight)
    fit = maximise_masses(cells)
    return Turnbull(
        cells=cells,
        mass=fit.mass,
        loglik=fit.loglik,
        gap=fit.gap,
        n=int(np.count_nonzero(weight)),
        n_found=int(np.count_nonzero(data.found & (weight > 0.0))),
    )


@dataclass(frozen=True, kw_only=True)
class BootstrapRisk:
    """Risk by a horizon with its bootstrap interval.

    Parameters
    ----------
    estimate : IntervalRisk
        From all patients.
    lower, upper : float
        Percentile limits: of the draws' smallest and of their largest risks, so that what the data
        leave open is inside.
    level : float
        Confidence level.
    n_draws, n_failed : int
        Draws made, and those in which the risk was not estimable.
    """

    estimate: IntervalRisk
    lower: float
    upper: float
    level: float
    n_draws: int
    n_failed: int


def bootstrap_interval_risk(
    data: IntervalCensored,
    horizon: float,
    *,
    n_draws: int = 500,
    seed: int,
    level: float = 0.95,
) -> BootstrapRisk:
    """Risk by a horizon, with an interval from redrawn patients.

    Parameters
    ----------
    data : IntervalCensored
        Of n patients.
    horizon : float
        In the unit of the data.
    n_draws : int
        Bootstrap draws, 50 or more.
    seed : int
        Of the draws.
    level : float
        Confidence level.

    Returns
    -------
    BootstrapRisk
        Percentile interval.

    Raises
    ------
    ConfigError
        When the level or the number of draws is out of range.
    NotEstimable
        When the risk is not estimable, or not in more than a tenth of the draws; when nobody was
        found with the event, so that every draw repeats a risk of 0.

    Notes
    -----
    Right where examinations fall on few days common to all, as planned scans do: the estimate is
    then as regular as a proportion.  Where every patient has examination days of their own it
    converges at the cube root of n only (Groeneboom and Wellner 1992), and the plain bootstrap is
    not consistent (Sen and Xu 2015, Computational Statistics & Data Analysis 81, 121–129); take
    the interval for a guide there.

    Examples
    --------
    >>> found = IntervalCensored(left=[0] * 5 + [12] * 15, right=[12] * 5 + [np.inf] * 15)
    >>> risk = bootstrap_interval_risk(found, 12.0, seed=1)
    >>> risk.estimate.risk, 0.0 < risk.lower < 0.25 < risk.upper < 0.6
    (0.25, True)
    """
    normal_quantile(level)
    if n_draws < 50:
        raise ConfigError(f"n_draws is {n_draws}; expected 50 or more")
    estimate = turnbull(data).risk_at(horizon)
    if not data.n_found:
        raise NotEstimable(
            f"nobody of {data.n} was found with the event: the bootstrap has no interval; "
            "use risk_bound for an upper limit"
        )
    rng = np.random.default_rng(seed)
    draws, failed = [], 0
    for _ in range(n_draws):
        counts = rng.multinomial(data.n, np.full(data.n, 1.0 / data.n))
        try:
            draw = turnbull(data, weights=counts).risk_at(horizon)
        except NotEstimable:
            failed += 1
        else:
            draws.append((draw.smallest, draw.largest))
    if failed > 0.1 * n_draws:
        raise NotEstimable(f"the risk was not estimable in {failed} of {n_draws} bootstrap draws")
    smallest, largest = np.array(draws).T
    tail = 0.5 * (1.0 - level)
    return BootstrapRisk(
        estimate=estimate,
        lower=float(np.quantile(smallest, tail)),
        upper=float(np.quantile(largest, 1.0 - tail)),
        level=level,
        n_draws=n_draws,
        n_failed=failed,
    )
