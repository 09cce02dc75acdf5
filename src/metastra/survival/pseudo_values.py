"""Pseudo-observations: what each patient adds to the risk by a horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.outcome import Outcome
from metastra.survival.scores import require_follow_up, require_no_entry
from metastra.survival.tally_kernel import incidence_at, leave_one_out, tally

__all__ = ["PseudoMethod", "SortedStatus", "incidence_influence", "pseudo_observations"]

PseudoMethod = Literal["exact", "infinitesimal"]
"""Leave each patient out, or take the derivative by the patient's weight."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SortedStatus:
    """Patients in the order of their time, for one event of interest.

    Parameters
    ----------
    order : ndarray of shape (n,), int64
        Positions of the patients in the outcome.
    times : ndarray of shape (m,)
        Distinct times, ascending.
    group : ndarray of shape (n,), int64
        Number of each sorted patient's time.
    status : ndarray of shape (n,), int8
        0 censored, 1 event of interest, 2 competing event, sorted.
    """

    order: NDArray[np.int64]
    times: NDArray[np.float64]
    group: NDArray[np.int64]
    status: NDArray[np.int8]

    @classmethod
    def of(cls, outcome: Outcome, *, cause: int = 1) -> SortedStatus:
        """Sort an outcome once.

        Parameters
        ----------
        outcome : Outcome
            Of n patients; delayed entry is not looked at.
        cause : int
            The event of interest.

        Returns
        -------
        SortedStatus
            Ready for the kernels of `tally_kernel`.
        """
        order = np.argsort(outcome.time, kind="stable")
        times, group = np.unique(outcome.time[order], return_inverse=True)
        event = outcome.event[order]
        status = np.where(event == 0, 0, np.where(event == cause, 1, 2)).astype(np.int8)
        return cls(order=order, times=times, group=group.astype(np.int64), status=status)

    def n_times(self, horizon: float) -> int:
        """Count the distinct times at or before a horizon.

        Parameters
        ----------
        horizon : float
            In the unit of the outcome.

        Returns
        -------
        int
            From 0 to m.
        """
        return int(np.searchsorted(self.times, horizon, side="right"))


def pseudo_observations(
    outcome: Outcome, horizon: float, *, cause: int = 1, method: PseudoMethod = "exact"
) -> NDArray[np.float64]:
    """Replace each patient's unknown status at a horizon by a pseudo-observation of the risk.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, without delayed entry.
    horizon : float
        In the unit of the outcome.
    cause : int
        The event of interest; with competing events the risk is the Aalen–Johansen one.
    method : {"exact", "infinitesimal"}
        ``exact``: n F - (n - 1) F without the patient, the jack-knife of ``prodlim::jackknife``;
        ``infinitesimal``: F + n times the derivative of F by the patient's weight, as
        ``survival::pseudo``.

    Returns
    -------
    ndarray of shape (n,)
        May lie outside [0, 1]; the infinitesimal ones average to the risk exactly.

    Raises
    ------
    ConfigError
        When the method is unknown.
    NotEstimable
        When follow-up ends before the horizon, or there is delayed entry, or only one patient.

    Notes
    -----
    Andersen, Klein and Rosthøj 2003; Parner, Andersen and Overgaard 2020.  Both are O(n) once the
    times are sorted.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 5], event=[1, 0, 1, 0])
    >>> pseudo_observations(y, 4.0).round(6).tolist()
    [1.0, 0.5, 1.5, -0.5]
    """
    require_no_entry(outcome, "a pseudo-observation")
    require_follow_up(outcome, horizon)
    if method == "infinitesimal":
        risk, influence = incidence_influence(outcome, horizon, cause=cause)
        return risk + outcome.n * influence
    if method != "exact":
        raise ConfigError(f"method={method!r} is unknown; expected exact or infinitesimal")
    if outcome.n < 2:
        raise NotEstimable("a pseudo-observation needs at least two patients")
    rows = SortedStatus.of(outcome, cause=cause)
    counts = tally(rows.group, rows.status, np.ones(outcome.n), rows.times.size)
    n_times = rows.n_times(horizon)
    risk, _ = incidence_at(*counts, n_times)
    without = np.empty(outcome.n)
    without[rows.order] = leave_one_out(rows.group, rows.status, *counts, n_times)
    return np.asarray(outcome.n * risk - (outcome.n - 1.0) * without, dtype=np.float64)


def incidence_influence(
    outcome: Outcome, horizon: float, *, cause: int = 1
) -> tuple[float, NDArray[np.float64]]:
    """Risk by a horizon and its derivative by each patient's weight.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, without delayed entry.
    horizon : float
        In the unit of the outcome.
    cause : int
        The event of interest.

    Returns
    -------
    risk : float
        Aalen–Johansen estimate (1 - Kaplan–Meier without competing events).
    influence : ndarray of shape (n,)
        Sums to 0; the root of its sum of squares is the infinitesimal jack-knife standard error
        that R's ``survfit`` gives.

    Raises
    ------
    NotEstimable
        When follow-up ends before the horizon, or there is delayed entry.

    Examples
    --------
    >>> risk, influence = incidence_influence(Outcome(time=[1, 2, 4], event=[1, 1, 0]), 3.0)
    >>> round(risk, 4), influence.round(4).tolist()
    (0.6667, [0.1111, 0.1111, -0.2222])
    """
    require_no_entry(outcome, "the influence of a patient on the risk")
    require_follow_up(outcome, horizon)
    rows = SortedStatus.of(outcome, cause=cause)
    at_risk, any_event, of_interest = tally(
        rows.group, rows.status, np.ones(outcome.n), rows.times.size
    )
    inside = rows.times <= horizon
    free = np.cumprod(1.0 - any_event / at_risk)
    before = np.concatenate([[1.0], free[:-1]])
    gained = before * of_interest / at_risk
    risk = np.cumsum(gained)
    total = float(risk[inside][-1]) if inside.any() else 0.0
    later = np.where(inside, total - risk, 0.0)
    # nothing follows a time at which everybody at risk had the event
    rest = at_risk - any_event
    lost = np.divide(later, rest, out=np.zeros_like(later), where=rest > 0.0)
    direct = np.where(inside, before / at_risk, 0.0)
    compensator = np.cumsum(np.where(inside, (gained - lost * any_event) / at_risk, 0.0))
    at = rows.group
    mine = direct[at] * (rows.status == 1) - lost[at] * (rows.status != 0) - compensator[at]
    influence = np.empty(outcome.n)
    influence[rows.order] = mine
    return total, influence
