"""Exact limits of a risk from few events: the beta product confidence procedure."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.outcome import Outcome
from metastra.survival.risk_set import n_at_risk, risk_table

__all__ = ["beta_product_limits", "n_needed_without_events"]

_Array = NDArray[np.float64]
_NODES = 64
"""Nodes of the contour: 1e-10 or better with up to fifty rates."""
_MANY = 30
"""From so many rates on the series is used."""


def beta_product_limits(
    outcome: Outcome, horizon: float, *, lower_tail: float = 0.025, upper_tail: float = 0.025
) -> tuple[float, float]:
    """Limits of the risk of any event by a horizon that hold with few events or none.

    Parameters
    ----------
    outcome : Outcome
        Of n patients without delayed entry; every code other than 0 counts as the event.
    horizon : float
        In the unit of its time, above 0.
    lower_tail, upper_tail : float
        Probability that the truth lies under the lower and over the upper limit, at most; 0 for
        no limit on that side.

    Returns
    -------
    lower, upper : float
        Limits of ``1 - S(horizon)``.

    Raises
    ------
    ConfigError
        When the horizon or a tail is out of range.
    NotEstimable
        When nobody is watched up to the horizon although some were free of the event, or entry is
        delayed.

    Notes
    -----
    Fay, Brittain and Proschan 2013 (Biostatistics 14, 723–736); Fay and Brittain 2016 (Statistics
    in Medicine 35, 2726–2740).  When Y patients are at risk, the survival up to their first event
    is distributed as Beta(Y, 1) whatever the distribution of times.  The upper limit of S(t) is a
    quantile of the product of these over the events by t; the lower limit multiplies by one more,
    Beta(Y, 1) with those still at risk at t, for the event that is yet to come.  The quantile is
    computed exactly, where the authors' programme by default takes the beta distribution with the
    product's mean and variance (under heavy censoring that is off by up to 0.005, to the wrong
    side).  Without censoring the limits are those of Clopper and Pearson.  With
    random censoring no method is exact; in the authors' simulations and in the tests here coverage
    does not fall below the level.  A patient censored exactly at the horizon counts as having
    passed it.

    Examples
    --------
    >>> none = Outcome(time=[24.0] * 59, event=[0] * 59)
    >>> lower, upper = beta_product_limits(none, 24.0, lower_tail=0.0, upper_tail=0.05)
    >>> lower, round(upper, 4)
    (0.0, 0.0495)
    """
    if not (np.isfinite(horizon) and horizon > 0.0):
        raise ConfigError(f"the horizon is {horizon}; expected a finite time above 0")
    if not (0.0 <= lower_tail < 1.0 and 0.0 <= upper_tail < 1.0):
        raise ConfigError(f"tails are {lower_tail} and {upper_tail}; expected 0 to 1")
    if outcome.entry is not None:
        raise NotEstimable("the beta product limits need follow-up from 0; entry is delayed")
    table = risk_table(outcome)
    counted = (table.times <= horizon) & (table.n_event > 0)
    at_risk = table.n_risk[counted].astype(np.float64)
    events = table.n_event[counted].astype(np.float64)
    passed = int(n_at_risk(outcome, [horizon])[0])
    passed -= int(np.count_nonzero((outcome.event != 0) & (outcome.time == horizon)))
    emptied = events.size > 0 and at_risk[-1] == events[-1]
    if passed == 0 and not emptied:
        raise NotEstimable(
            f"nobody is watched up to {horizon:g}: follow-up ends at {outcome.time.max():g}"
        )
    # Events tied at one time come one after the other: Y, Y - 1, … at risk.
    ends = np.repeat(np.cumsum(events), events.astype(np.int64))
    rates = np.repeat(at_risk - events, events.astype(np.int64)) + ends - np.arange(ends.size)
    lower = 0.0
    if rates.size and lower_tail > 0.0:
        lower = 1.0 - _product_quantile(rates, 1.0 - lower_tail)
    upper = 1.0
    if passed and upper_tail > 0.0:
        upper = 1.0 - _product_quantile(np.append(rates, float(passed)), upper_tail)
    return lower, upper


def n_needed_without_events(limit: float, *, level: float = 0.95) -> int:
    """Patients watched to the horizon, none with the event, that bring the bound under a limit.

    Parameters
    ----------
    limit : float
        Risk, inside (0, 1).
    level : float
        One-sided confidence level.

    Returns
    -------
    int
        Least n with ``1 - (1 - level) ** (1 / n) < limit``.

    Raises
    ------
    ConfigError
        When a number is not inside (0, 1).

    Examples
    --------
    >>> n_needed_without_events(0.05), n_needed_without_events(0.02)
    (59, 149)
    """
    if not (0.0 < limit < 1.0 and 0.0 < level < 1.0):
        raise ConfigError(f"limit is {limit} and level {level}; expected numbers inside (0, 1)")
    return int(np.floor(np.log1p(-level) / np.log1p(-limit))) + 1


def _product_quantile(rates: _Array, probability: float) -> float:
    """Quantile of a product of Beta(rate, 1): exp of minus a sum of exponential times."""
    mean, spread = float(np.sum(1.0 / rates)), float(np.sqrt(np.sum(rates**-2.0)))
    # The largest single time is part of the spread, so this covers its tail, too.
    top = mean + 40.0 * spread
    if rates.size >= _MANY:
        above = partial(_tail_by_series, rates, top)
    else:
        above = partial(_tail_by_contour, rates)
    sum_quantile = brentq(lambda x: above(x) - probability, 1e-9 * top, top, xtol=1e-13, rtol=1e-12)
    return float(np.exp(-sum_quantile))


def _tail_by_contour(rates: _Array, x: float) -> float:
    """P(sum > x) by Talbot's inversion of the Laplace transform, for few rates.

    The parabola and its constants are those of Weideman and Trefethen 2007 (Mathematics of
    Computation 76, 1341–1356).
    """
    angle = np.pi * (2.0 * np.arange(_NODES) - _NODES + 1.0) / _NODES
    s = _NODES / x * (0.1309 - 0.1194 * angle**2 + 0.25j * angle)
    step = _NODES / x * (-0.2388 * angle + 0.25j)
    transform = np.exp(-np.log1p(s[:, None] / rates).sum(axis=1))
    below = (np.exp(s * x) * transform / s * step).sum() / (1j * _NODES)
    return 1.0 - float(below.real)


def _tail_by_series(rates: _Array, top: float, x: float) -> float:
    """P(sum > x) by the series of Davies 1973 (Biometrika 60, 415–417), for many rates.

    The characteristic function of many rates dies out fast, where the contour loses digits.
    """
    pitch = 2.0 * np.pi / (3.0 * top)
    reach = float(rates.min())
    while np.log1p((reach / rates) ** 2).sum() < 60.0:
        reach *= 1.5
    place = np.arange(int(np.ceil(reach / pitch))) + 0.5
    u = pitch * place
    log_phi = -np.log1p(-1j * u[:, None] / rates).sum(axis=1)
    wave = np.exp(log_phi - 1j * u * x)
    return 0.5 + float((wave.imag / (np.pi * place)).sum())
