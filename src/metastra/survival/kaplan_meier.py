"""The Kaplan–Meier estimate with Greenwood's standard error, and the follow-up it reverses to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.survival.intervals import IntervalScale, probability_interval
from metastra.survival.outcome import Outcome
from metastra.survival.risk_set import n_at_risk, risk_table
from metastra.survival.step_function import StepFunction

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KaplanMeier", "Quantile", "kaplan_meier", "reverse_kaplan_meier"]

_FLAT = float(np.sqrt(np.finfo(np.float64).eps))
"""How near to a level a curve counts as lying on it (R's ``survival`` uses the same)."""


@dataclass(frozen=True, kw_only=True)
class Quantile:
    """A quantile of a time to event, with its interval.

    Parameters
    ----------
    value : float or None
        None when the curve does not fall so far.
    lower, upper : float or None
        Where the confidence limits of the curve cross the level; None when they do not.
    """

    value: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class KaplanMeier:
    """A product-limit estimate; one entry for each distinct time, censorings included.

    Parameters
    ----------
    outcome : Outcome
        What it was computed from.
    times : ndarray of shape (m,)
        Distinct times, ascending, in the unit of the outcome.
    n_risk, n_event, n_censored : ndarray of shape (m,), int64
        At risk just before, with an event at, and censored at each time.
    survival : ndarray of shape (m,)
        S(t).
    std_error : ndarray of shape (m,)
        Greenwood's standard error of S(t); NaN once S(t) is 0, where it is not defined.
    lower, upper : ndarray of shape (m,)
        Pointwise limits; NaN where the scale has none (`probability_interval`).
    interval : str
        Scale of the limits.
    level : float
        Their confidence level.
    """

    outcome: Outcome
    times: NDArray[np.float64]
    n_risk: NDArray[np.int64]
    n_event: NDArray[np.int64]
    n_censored: NDArray[np.int64]
    survival: NDArray[np.float64]
    std_error: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    interval: IntervalScale
    level: float

    def curve(self) -> StepFunction:
        """Give S as a function of time.

        Returns
        -------
        StepFunction
            Known up to the last follow-up; for ever where S has reached 0.
        """
        return self._step(self.survival, before=1.0)

    def survival_at(self, time: ArrayLike, *, extend: bool = False) -> NDArray[np.float64]:
        """S(t) at any times.

        Parameters
        ----------
        time : array_like
            Any shape.
        extend : bool
            Carry the last value past the last follow-up instead of refusing.

        Returns
        -------
        ndarray
            Of the shape of `time`.

        Raises
        ------
        NotEstimable
            Past the last follow-up, unless S has reached 0 or `extend` is set.
        """
        return self.curve()(time, extend=extend)

    def std_error_at(self, time: ArrayLike, *, extend: bool = False) -> NDArray[np.float64]:
        """Greenwood's standard error of S(t) at any times.

        Parameters
        ----------
        time : array_like
            Any shape.
        extend : bool
            Carry the last value past the last follow-up instead of refusing.

        Returns
        -------
        ndarray
            Of the shape of `time`; 0 before the first event.

        Raises
        ------
        NotEstimable
            As `survival_at`.
        """
        return self._step(self.std_error, before=0.0)(time, extend=extend)

    def interval_at(
        self, time: ArrayLike, *, extend: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Confidence limits of S(t) at any times.

        Parameters
        ----------
        time : array_like
            Any shape.
        extend : bool
            Carry the last value past the last follow-up instead of refusing.

        Returns
        -------
        lower, upper : ndarray
            Of the shape of `time`; before the first time both are 1.

        Raises
        ------
        NotEstimable
            As `survival_at`.
        """
        lower, upper = self._step(self.lower, before=1.0), self._step(self.upper, before=1.0)
        return lower(time, extend=extend), upper(time, extend=extend)

    def n_risk_at(self, time: ArrayLike) -> NDArray[np.int64]:
        """Count the patients at risk just before a time.

        Parameters
        ----------
        time : array_like
            Any shape.

        Returns
        -------
        ndarray of int64
            Patients with ``entry < t <= time``.
        """
        return n_at_risk(self.outcome, time)

    def quantile(self, probability: float) -> Quantile:
        """Time by which a share of the patients has had the event.

        Parameters
        ----------
        probability : float
            Share with the event, inside (0, 1); 0.5 gives the median.

        Returns
        -------
        Quantile
            First time with S <= 1 - probability.  Where S lies exactly on the level for a while,
            the middle of that stretch, as in R.
        """
        level = 1.0 - probability
        return Quantile(
            value=_crossing(self.times, self.survival, level),
            lower=_crossing(self.times, self.lower, level),
            upper=_crossing(self.times, self.upper, level),
        )

    def median(self) -> Quantile:
        """Median time to event.

        Returns
        -------
        Quantile
            ``quantile(0.5)``.
        """
        return self.quantile(0.5)

    def frame(self) -> pd.DataFrame:
        """Lay the estimate out as a table.

        Returns
        -------
        pandas.DataFrame
            One row for each distinct time.
        """
        import pandas as pd

        names = ("n_risk", "n_event", "n_censored", "survival", "std_error", "lower", "upper")
        return pd.DataFrame({"time": self.times} | {name: getattr(self, name) for name in names})

    def _step(self, values: NDArray[np.float64], *, before: float) -> StepFunction:
        end = np.inf if self.survival[-1] == 0.0 else float(self.times[-1])
        return StepFunction(times=self.times, values=values, before=before, support_end=end)


def kaplan_meier(
    outcome: Outcome, *, interval: IntervalScale = "log", level: float = 0.95
) -> KaplanMeier:
    """Estimate survival free of *any* event.

    Parameters
    ----------
    outcome : Outcome
        Every code other than 0 counts as the event; use ``outcome.only(cause)`` for the
        cause-specific view, and `aalen_johansen` for the risk of one cause among others.
    interval : {"log", "log-log", "plain", "arcsine"}
        Scale of the confidence limits.
    level : float
        Their confidence level.

    Returns
    -------
    KaplanMeier
        With Greenwood's standard errors.

    Notes
    -----
    Kaplan and Meier 1958; Greenwood 1926.  Patients censored at t are at risk at t.  Delayed entry
    counts a patient from just after ``entry``.

    Examples
    --------
    >>> km = kaplan_meier(Outcome(time=[1, 2, 2, 3, 4], event=[1, 0, 1, 1, 0]))
    >>> km.survival.round(3).tolist()
    [0.8, 0.6, 0.3, 0.3]
    >>> km.median().value
    3.0
    """
    table = risk_table(outcome)
    # Under delayed entry the risk set may run empty before the end; nothing happens there.
    at_risk = np.maximum(table.n_risk, 1).astype(np.float64)
    survival = np.cumprod(1.0 - table.n_event / at_risk, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.cumsum(table.n_event / (at_risk * (at_risk - table.n_event)))
        std_error = np.where(survival > 0.0, survival * np.sqrt(variance), np.nan)
    lower, upper = probability_interval(survival, std_error, interval=interval, level=level)
    return KaplanMeier(
        outcome=outcome,
        times=table.times,
        n_risk=table.n_risk,
        n_event=table.n_event,
        n_censored=table.n_censored,
        survival=survival,
        std_error=std_error,
        lower=lower,
        upper=upper,
        interval=interval,
        level=level,
    )


def reverse_kaplan_meier(
    outcome: Outcome, *, interval: IntervalScale = "log", level: float = 0.95
) -> KaplanMeier:
    """Estimate how long patients are followed: the Kaplan–Meier of the censoring.

    Parameters
    ----------
    outcome : Outcome
        Roles are reversed: a censoring is the event, any event ends the watch.
    interval : {"log", "log-log", "plain", "arcsine"}
        Scale of the confidence limits.
    level : float
        Their confidence level.

    Returns
    -------
    KaplanMeier
        Its median is the median follow-up (Schemper and Smith 1996).

    Notes
    -----
    A patient with an event at t counts as at risk of censoring at t, as in R's
    ``survfit(Surv(time, 1 - event) ~ 1)``.  `censoring_survival` has the other order, which
    inverse-probability weights need.

    Examples
    --------
    >>> follow_up = reverse_kaplan_meier(Outcome(time=[1, 2, 3, 4], event=[1, 0, 0, 0]))
    >>> follow_up.median().value
    3.0
    """
    return kaplan_meier(outcome.censored_as_event(), interval=interval, level=level)


def _crossing(
    times: NDArray[np.float64], values: NDArray[np.float64], level: float
) -> float | None:
    """First time at which a falling curve is at or under a level."""
    with np.errstate(invalid="ignore"):
        under = values < level + _FLAT
    if not under.any():
        return None
    first = int(np.argmax(under))
    if abs(values[first] - level) < _FLAT:
        with np.errstate(invalid="ignore"):
            below = np.flatnonzero(values < values[first])
        if below.size:
            return 0.5 * float(times[first] + times[below[0]])
    return float(times[first])
