"""One curve of a figure: its steps, its limits and its counts at the ticks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.survival.aalen_johansen import CumulativeIncidence
from metastra.survival.kaplan_meier import KaplanMeier

__all__ = ["CurveLine", "line_of"]

_Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class CurveLine:
    """One group's curve.

    Parameters
    ----------
    label : str
        Name of the group.
    n, events : int
        Patients, and those with the event that the curve counts.
    times : ndarray of shape (m,)
        Distinct ends of follow-up, ascending, in the unit of the axis.
    value, lower, upper : ndarray of shape (m,)
        From each time on; limits are NaN where the scale has none.
    n_risk : ndarray of shape (m,), int64
        At risk just before each time.
    before : float
        Value before the first time.
    end : float
        End of follow-up; infinite where the value cannot change any more.
    at_risk, events_so_far : tuple of int
        At each tick: patients with ``entry < t <= time``, and events up to and including t.
    """

    label: str
    n: int
    events: int
    times: _Vector
    value: _Vector
    lower: _Vector
    upper: _Vector
    n_risk: NDArray[np.int64]
    before: float
    end: float
    at_risk: tuple[int, ...]
    events_so_far: tuple[int, ...]

    def at(self, time: float) -> tuple[float | None, float | None, float | None]:
        """Read the curve.

        Parameters
        ----------
        time : float
            In the unit of the axis.

        Returns
        -------
        estimate, lower, upper : float or None
            None past the end of follow-up, and where a limit is not defined.
        """
        if time > self.end * (1.0 + 1e-9):
            return None, None, None
        # Times were divided by the length of the unit; a tick must not miss its own event.
        position = int(np.searchsorted(self.times, time * (1.0 + 1e-9), side="right")) - 1
        if position < 0:
            return self.before, None, None
        limits = (float(self.lower[position]), float(self.upper[position]))
        lower, upper = (limit if np.isfinite(limit) else None for limit in limits)
        return float(self.value[position]), lower, upper


def line_of(
    label: str,
    estimate: CumulativeIncidence | KaplanMeier,
    counted: NDArray[np.bool_],
    *,
    days_per_unit: float,
    ticks: Sequence[float],
    rises: bool,
) -> CurveLine:
    """Turn an estimate into a curve of a figure.

    Parameters
    ----------
    label : str
        Name of the group.
    estimate : CumulativeIncidence or KaplanMeier
        In days.
    counted : ndarray of shape (n,), bool
        Patients whose follow-up ends with what the curve counts.
    days_per_unit : float
        Length of the axis unit in days.
    ticks : sequence of float
        In the unit of the axis.
    rises : bool
        Whether the curve is an incidence; a Kaplan–Meier estimate is then turned over.

    Returns
    -------
    CurveLine
        With times in the unit of the axis.
    """
    outcome = estimate.outcome
    if isinstance(estimate, CumulativeIncidence):
        value, lower, upper = estimate.incidence, estimate.lower, estimate.upper
        end = estimate.support_end
    else:
        value, lower, upper = estimate.survival, estimate.lower, estimate.upper
        end = estimate.curve().support_end
        if rises:
            value, lower, upper = 1.0 - value, 1.0 - upper, 1.0 - lower
    tick_days = np.asarray(ticks, dtype=np.float64) * days_per_unit
    ended = np.sort(outcome.time[counted])
    return CurveLine(
        label=label,
        n=outcome.n,
        events=int(np.count_nonzero(counted)),
        times=estimate.times / days_per_unit,
        value=value,
        lower=lower,
        upper=upper,
        n_risk=estimate.n_risk,
        before=0.0 if rises else 1.0,
        end=end / days_per_unit,
        at_risk=tuple(int(n) for n in _count_at_risk(outcome.time, outcome.entry, tick_days)),
        events_so_far=tuple(int(n) for n in np.searchsorted(ended, tick_days, side="right")),
    )


def _count_at_risk(time: _Vector, entry: _Vector | None, at: _Vector) -> NDArray[np.int64]:
    """Patients with ``entry < t <= time``: those who leave at t are still counted at t."""
    still_there = time[None, :] >= at[:, None]
    if entry is not None:
        still_there &= entry[None, :] < at[:, None]
    return np.asarray(still_there.sum(axis=1), dtype=np.int64)
