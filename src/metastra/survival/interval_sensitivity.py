"""How much a risk depends on the date that is written down for an event found at a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.interval_censored import Imputation, IntervalCensored
from metastra.survival.intervals import probability_interval
from metastra.survival.turnbull import bootstrap_interval_risk, turnbull

__all__ = ["DatingRow", "DatingSensitivity", "dating_sensitivity"]


@dataclass(frozen=True, kw_only=True)
class DatingRow:
    """Risk by the horizon under one way to date events.

    Parameters
    ----------
    dating : str
        ``interval-censored`` or an `Imputation`.
    risk : float or None
        None when not estimable.
    lower, upper : float or None
        Confidence limits; None when there are none.
    n_events : int or None
        Events of interest dated at or before the horizon; None for ``interval-censored``, where
        an event can lie on either side.
    reason : str
        Why something is None; empty otherwise.
    """

    dating: str
    risk: float | None
    lower: float | None
    upper: float | None
    n_events: int | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class DatingSensitivity:
    """The same risk under every way to date events, side by side.

    Parameters
    ----------
    horizon, grace : float
        In the unit of the data.
    level : float
        Confidence level of the limits.
    n, n_found, n_straddling : int
        Patients; found with the event; found, with an interval that holds the horizon.
    rows : tuple of DatingRow
        Interval-censored estimate first, then midpoint, right end and grace window.
    """

    horizon: float
    grace: float
    level: float
    n: int
    n_found: int
    n_straddling: int
    rows: tuple[DatingRow, ...]

    @property
    def spread(self) -> float | None:
        """Greatest less least risk over the rows that have one; None under two rows."""
        risks = [row.risk for row in self.rows if row.risk is not None]
        return max(risks) - min(risks) if len(risks) > 1 else None


def dating_sensitivity(
    data: IntervalCensored,
    horizon: float,
    *,
    grace: float,
    competing: ArrayLike | None = None,
    n_draws: int = 500,
    seed: int,
    level: float = 0.95,
) -> DatingSensitivity:
    """Estimate the risk by a horizon under four ways to date an event.

    Parameters
    ----------
    data : IntervalCensored
        Of n patients.
    horizon : float
        In the unit of the data, above 0.
    grace : float
        How late a scan may be and still count at the horizon, 0 or more.
    competing : array_like of shape (n,), optional
        Codes (2, 3, …) of competing events that ended a patient's watch; 0 elsewhere.
    n_draws, seed : int
        Bootstrap of the interval-censored estimate.
    level : float
        Confidence level.

    Returns
    -------
    DatingSensitivity
        Imputed dates give the Aalen–Johansen risk (one less Kaplan–Meier without competing
        events) with limits on the log-log scale of ``1 - risk``.

    Raises
    ------
    ConfigError
        When the horizon or the grace window is out of range.
    DataError
        When `competing` does not fit the patients.

    Notes
    -----
    Imputed dates are wrong in known directions: the right end dates events late and puts some
    past the horizon; limits after imputation take the dates for known and are too narrow (Law and
    Brookmeyer 1992, Statistics in Medicine 11, 1569–1578).  With competing events there is no
    interval-censored row: the estimate here knows one kind of event.

    Examples
    --------
    >>> found = IntervalCensored(left=[0, 18, 18, 24, 24], right=[12, 25, 30, np.inf, np.inf])
    >>> table = dating_sensitivity(found, 24.0, grace=3.0, seed=1, n_draws=50)
    >>> [(row.dating, row.n_events) for row in table.rows[1:]]
    [('midpoint', 3), ('right', 1), ('grace', 2)]
    """
    if not (np.isfinite(horizon) and horizon > 0.0 and np.isfinite(grace) and grace >= 0.0):
        raise ConfigError(
            f"horizon is {horizon} and grace is {grace}; expected a horizon above 0 and a grace "
            "window of 0 or more"
        )
    first = _interval_row(data, horizon, competing, n_draws, seed, level)
    others = [_imputed_row(data, rule, horizon, grace, competing, level) for rule in Imputation]
    return DatingSensitivity(
        horizon=float(horizon),
        grace=float(grace),
        level=level,
        n=data.n,
        n_found=data.n_found,
        n_straddling=data.n_straddling(horizon),
        rows=(first, *others),
    )


def _interval_row(
    data: IntervalCensored,
    horizon: float,
    competing: ArrayLike | None,
    n_draws: int,
    seed: int,
    level: float,
) -> DatingRow:
    risk = lower = upper = None
    reason = ""
    if competing is not None and np.any(np.asarray(competing) != 0):
        reason = "competing events: the interval-censored estimate knows one kind of event"
    else:
        try:
            risk = turnbull(data).risk_at(horizon).risk
            limits = bootstrap_interval_risk(data, horizon, n_draws=n_draws, seed=seed, level=level)
            lower, upper = limits.lower, limits.upper
        except NotEstimable as error:
            reason = error.reason
    return DatingRow(
        dating="interval-censored",
        risk=risk,
        lower=lower,
        upper=upper,
        n_events=None,
        reason=reason,
    )


def _imputed_row(
    data: IntervalCensored,
    rule: Imputation,
    horizon: float,
    grace: float,
    competing: ArrayLike | None,
    level: float,
) -> DatingRow:
    outcome = data.imputed(rule, horizon=horizon, grace=grace, competing=competing)
    n_events = int(np.count_nonzero((outcome.event == 1) & (outcome.time <= horizon)))
    curve = aalen_johansen(outcome, causes=[1])[1]
    try:
        risk, error = curve.incidence_at([horizon]), curve.std_error_at([horizon])
    except NotEstimable as refusal:
        return DatingRow(
            dating=rule.value,
            risk=None,
            lower=None,
            upper=None,
            n_events=n_events,
            reason=refusal.reason,
        )
    free_low, free_high = probability_interval(1.0 - risk, error, interval="log-log", level=level)
    lower, upper = 1.0 - free_high, 1.0 - free_low
    known = bool(np.isfinite(lower[0]))
    return DatingRow(
        dating=rule.value,
        risk=float(risk[0]),
        lower=float(lower[0]) if known else None,
        upper=float(upper[0]) if known else None,
        n_events=n_events,
        reason="" if known else "a risk of 0 or 1 has no log-log limits",
    )
