"""Cumulative incidence under competing risks, with the infinitesimal jack-knife."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import ConfigError
from metastra.survival.intervals import IntervalScale, probability_interval
from metastra.survival.outcome import Outcome
from metastra.survival.risk_set import RiskTable, n_at_risk, risk_table
from metastra.survival.step_function import StepFunction

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CumulativeIncidence", "aalen_johansen"]

_Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class CumulativeIncidence:
    """Risk of one cause over time; one entry for each distinct time, censorings included.

    Parameters
    ----------
    outcome : Outcome
        What it was computed from.
    cause : int
        Code of the event.
    times : ndarray of shape (m,)
        Distinct times, ascending, in the unit of the outcome.
    n_risk, n_event : ndarray of shape (m,), int64
        At risk just before, and with an event of this cause at, each time.
    incidence : ndarray of shape (m,)
        F(t), the probability of an event of this cause by t.
    std_error : ndarray of shape (m,)
        Infinitesimal jack-knife standard error of F(t).
    lower, upper : ndarray of shape (m,)
        Pointwise limits; NaN where the scale has none (`probability_interval`).
    interval : str
        Scale of the limits.
    level : float
        Their confidence level.
    support_end : float
        Last time the data speak about; infinite when nobody is left without an event.
    """

    outcome: Outcome
    cause: int
    times: _Vector
    n_risk: NDArray[np.int64]
    n_event: NDArray[np.int64]
    incidence: _Vector
    std_error: _Vector
    lower: _Vector
    upper: _Vector
    interval: IntervalScale
    level: float
    support_end: float

    def curve(self) -> StepFunction:
        """Give F as a function of time.

        Returns
        -------
        StepFunction
            Known up to `support_end`.
        """
        return self._step(self.incidence)

    def incidence_at(self, time: ArrayLike, *, extend: bool = False) -> _Vector:
        """F(t) at any times.

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
            Past `support_end`, unless `extend` is set.
        """
        return self.curve()(time, extend=extend)

    def std_error_at(self, time: ArrayLike, *, extend: bool = False) -> _Vector:
        """Infinitesimal jack-knife standard error of F(t) at any times.

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
            As `incidence_at`.
        """
        return self._step(self.std_error)(time, extend=extend)

    def interval_at(self, time: ArrayLike, *, extend: bool = False) -> tuple[_Vector, _Vector]:
        """Confidence limits of F(t) at any times.

        Parameters
        ----------
        time : array_like
            Any shape.
        extend : bool
            Carry the last value past the last follow-up instead of refusing.

        Returns
        -------
        lower, upper : ndarray
            Of the shape of `time`; before the first time both are 0, later NaN where the scale
            has none.

        Raises
        ------
        NotEstimable
            As `incidence_at`.
        """
        lower, upper = self._step(self.lower), self._step(self.upper)
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

    def frame(self) -> pd.DataFrame:
        """Lay the estimate out as a table.

        Returns
        -------
        pandas.DataFrame
            One row for each distinct time.
        """
        import pandas as pd

        names = ("n_risk", "n_event", "incidence", "std_error", "lower", "upper")
        return pd.DataFrame({"time": self.times} | {name: getattr(self, name) for name in names})

    def _step(self, values: _Vector) -> StepFunction:
        return StepFunction(
            times=self.times, values=values, before=0.0, support_end=self.support_end
        )


def aalen_johansen(
    outcome: Outcome,
    *,
    causes: Sequence[int] | None = None,
    interval: IntervalScale = "log",
    level: float = 0.95,
) -> dict[int, CumulativeIncidence]:
    """Estimate the risk of each cause in the presence of the others.

    Parameters
    ----------
    outcome : Outcome
        Of n patients; delayed entry is honoured.
    causes : sequence of int, optional
        Codes to give back, also where a code does not occur (its risk is 0); all that occur when
        left out.
    interval : {"log", "log-log", "plain", "arcsine"}
        Scale of the confidence limits.
    level : float
        Their confidence level.

    Returns
    -------
    dict of int to CumulativeIncidence
        By cause.

    Raises
    ------
    ConfigError
        When a cause is not a positive code.

    Notes
    -----
    Aalen and Johansen 1978.  The standard error is the infinitesimal jack-knife: the root of the
    sum of squared derivatives of F(t) by the weight of each patient, which R's ``survfit`` gives
    for multi-state data.  With Y at risk and S the survival free of any event, the derivative by
    patient i is ::

        sum over u <= t of  S(u-)/Y(u) dM_ik(u) - (F(t) - F(u)) / (Y(u) - d(u)) dM_i.(u)

    The squares are expanded in F(t), so that running sums give all times in O(n log n).

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4], event=[1, 2, 0, 1])
    >>> risk = aalen_johansen(y)
    >>> risk[1].incidence.tolist(), risk[2].incidence.tolist()
    ([0.25, 0.25, 0.25, 0.75], [0.0, 0.25, 0.25, 0.25])
    """
    chosen = outcome.causes if causes is None else tuple(causes)
    if any(cause < 1 for cause in chosen):
        raise ConfigError(f"causes {chosen} hold a code that is no event; expected 1, 2, …")
    table = risk_table(outcome)
    at_risk = np.maximum(table.n_risk, 1).astype(np.float64)
    survival = np.cumprod(1.0 - table.n_event / at_risk)
    before = np.concatenate([[1.0], survival[:-1]])
    end = np.inf if survival[-1] == 0.0 else float(table.times[-1])
    result = {}
    for cause in chosen:
        n_event = table.count(outcome.event == cause)
        incidence = np.minimum(np.cumsum(before * n_event / at_risk), 1.0)
        std_error = _jack_knife(outcome, table, cause, before, incidence)
        lower, upper = probability_interval(incidence, std_error, interval=interval, level=level)
        result[cause] = CumulativeIncidence(
            outcome=outcome,
            cause=cause,
            times=table.times,
            n_risk=table.n_risk,
            n_event=n_event,
            incidence=incidence,
            std_error=std_error,
            lower=lower,
            upper=upper,
            interval=interval,
            level=level,
            support_end=end,
        )
    return result


def _jack_knife(
    outcome: Outcome, table: RiskTable, cause: int, before: _Vector, incidence: _Vector
) -> _Vector:
    """Infinitesimal jack-knife standard error of F at every distinct time.

    The influence of patient i at t is ``p_i(t) - F(t) b_i(t)``; both are fixed once the patient
    has left and equal minus a running sum, common to all, while the patient is watched.
    """
    at_risk = np.maximum(table.n_risk, 1).astype(np.float64)
    # Where everybody at risk has an event F cannot move any more, and the term vanishes.
    left = np.maximum(table.n_risk - table.n_event, 0).astype(np.float64)
    jump_b = np.divide(1.0, left, out=np.zeros_like(left), where=left > 0.0)
    jump_p = incidence * jump_b
    own = before / at_risk
    share = table.n_event / at_risk
    drift_b = np.cumsum(jump_b * share)
    drift_p = np.cumsum(jump_p * share + own * table.count(outcome.event == cause) / at_risk)
    row = table.row
    event = outcome.event != 0
    b = np.where(event, jump_b[row], 0.0) - drift_b[row]
    p = np.where(event, jump_p[row], 0.0) - drift_p[row]
    p += np.where(outcome.event == cause, own[row], 0.0)
    start_b, start_p = np.zeros(outcome.n), np.zeros(outcome.n)
    if outcome.entry is not None:
        entered = np.searchsorted(table.times, outcome.entry, side="right")
        start_b = np.concatenate([[0.0], drift_b])[entered]
        start_p = np.concatenate([[0.0], drift_p])[entered]
    square, cross, flat = _running_squares(
        outcome, table, (p + start_p, b + start_b), (start_p, start_b), (drift_p, drift_b)
    )
    variance = square - 2.0 * incidence * cross + incidence**2 * flat
    return np.sqrt(np.maximum(variance, 0.0))


def _running_squares(
    outcome: Outcome,
    table: RiskTable,
    final: tuple[_Vector, _Vector],
    start: tuple[_Vector, _Vector],
    drift: tuple[_Vector, _Vector],
) -> tuple[_Vector, _Vector, _Vector]:
    """Sum p², p b and b² over patients at every distinct time.

    `final` holds the values once a patient has left, `start` the common running sums at entry;
    while watched, a patient's value is ``start - drift``.
    """
    size, row = table.times.size, table.row
    p, b = final
    start_p, start_b = start
    drift_p, drift_b = drift

    def gone(values: _Vector) -> _Vector:
        return np.cumsum(np.bincount(row, weights=values, minlength=size))

    if outcome.entry is None:
        n_watched = outcome.n - np.cumsum(np.bincount(row, minlength=size)).astype(np.float64)
        return (
            gone(p * p) + n_watched * drift_p**2,
            gone(p * b) + n_watched * drift_p * drift_b,
            gone(b * b) + n_watched * drift_b**2,
        )
    entered = np.searchsorted(table.times, outcome.entry, side="left")

    def watched(values: _Vector) -> _Vector:
        come = np.cumsum(np.bincount(entered, weights=values, minlength=size + 1)[:size])
        return come - gone(values)

    one = watched(np.ones(outcome.n))
    sum_p, sum_b = watched(start_p), watched(start_b)
    return (
        gone(p * p) + watched(start_p**2) - 2.0 * drift_p * sum_p + one * drift_p**2,
        gone(p * b)
        + watched(start_p * start_b)
        - drift_p * sum_b
        - drift_b * sum_p
        + one * drift_p * drift_b,
        gone(b * b) + watched(start_b**2) - 2.0 * drift_b * sum_b + one * drift_b**2,
    )
