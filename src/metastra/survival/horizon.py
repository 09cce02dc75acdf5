"""What is known of each patient at a horizon, with the weights that stand in for the censored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.survival.censoring import ipcw_weights
from metastra.survival.outcome import Outcome
from metastra.survival.risk_set import RiskTable, risk_table
from metastra.survival.scores import require_follow_up, require_no_entry

__all__ = ["HorizonView", "events_by", "std_error", "view_at"]


@dataclass(frozen=True, kw_only=True, eq=False)
class HorizonView:
    """Status of n patients at a horizon.

    Parameters
    ----------
    outcome : Outcome
        The follow-up.
    horizon : float
        In the unit of the outcome.
    case : ndarray of shape (n,), bool
        Had the event of interest by the horizon.
    competing : ndarray of shape (n,), bool
        Had another event by the horizon.
    beyond : ndarray of shape (n,), bool
        Watched past the horizon.
    weight : ndarray of shape (n,)
        Inverse probability of being observed: 1/G(T-) for an event, 1/G(horizon) beyond it, 0 for
        those censored by the horizon, of whom nothing is known.
    table : RiskTable
        Counts at each distinct time.
    """

    outcome: Outcome
    horizon: float
    case: NDArray[np.bool_]
    competing: NDArray[np.bool_]
    beyond: NDArray[np.bool_]
    weight: NDArray[np.float64]
    table: RiskTable

    @property
    def n(self) -> int:
        """Number of patients."""
        return self.outcome.n

    @property
    def n_cases(self) -> int:
        """Number of patients with the event of interest by the horizon."""
        return int(np.count_nonzero(self.case))

    def risk(self) -> float:
        """Risk of the event of interest by the horizon.

        Returns
        -------
        float
            Mean of the weighted cases; equal to the Aalen–Johansen estimate (Kaplan–Meier without
            competing events).
        """
        return float(np.mean(self.weight * self.case))

    def weight_influence(self, terms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Trace what each patient does to a weighted sum by shaping the censoring.

        Parameters
        ----------
        terms : ndarray of shape (n,)
            The weighted terms whose sum over the patients is meant, weights included.

        Returns
        -------
        ndarray of shape (n,)
            For patient k, ``(1/n) Σ_i terms_i ∫ dM_k / y``, integrated up to just before T_i for
            an event and up to the horizon for those beyond, where M is the martingale of the
            censoring and y the share at risk.

        Notes
        -----
        The Kaplan–Meier part of the influence functions of Blanche et al. 2013 (appendix) and
        Blanche et al. 2015, in O(n) once the times are sorted; ties as in
        ``riskRegression::Score``.
        """
        table, row = self.table, self.table.row
        m = table.times.size
        leaving = np.bincount(row, weights=terms, minlength=m)
        # terms of those whose integral still runs over each time: T_i > u
        running = np.cumsum(leaving[::-1])[::-1] - leaving
        running = np.where(table.times <= self.horizon, running, 0.0)
        at_risk = table.n_risk.astype(np.float64)
        jump = running / at_risk
        compensator = np.cumsum(jump * table.n_censored / at_risk)
        censored = self.outcome.event == 0
        return np.where(censored, jump[row], 0.0) - compensator[row]


def view_at(outcome: Outcome, horizon: float, *, cause: int = 1) -> HorizonView:
    """Look at an outcome from a horizon.

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
    HorizonView
        With inverse-probability-of-censoring weights.

    Raises
    ------
    NotEstimable
        When follow-up does not reach past the horizon, or there is delayed entry.

    Examples
    --------
    >>> view = view_at(Outcome(time=[1, 2, 3, 5], event=[1, 0, 2, 0]), 4.0)
    >>> view.weight.round(3).tolist(), view.risk()
    ([1.0, 0.0, 1.5, 1.5], 0.25)
    """
    require_no_entry(outcome, "inverse-probability-of-censoring weighting at a horizon")
    require_follow_up(outcome, horizon)
    if outcome.n < 2:
        raise NotEstimable("a measure at a horizon needs at least two patients")
    weight = ipcw_weights(outcome, horizon)
    by_horizon = outcome.time <= horizon
    event = outcome.event != 0
    if by_horizon.all() and not event[outcome.time == outcome.time.max()].all():
        raise NotEstimable(
            f"nobody is watched past the horizon {horizon:g}: patients censored exactly there say "
            "nothing about it; choose a horizon just before the end of follow-up"
        )
    case = by_horizon & (outcome.event == cause)
    return HorizonView(
        outcome=outcome,
        horizon=float(horizon),
        case=case,
        competing=by_horizon & event & ~case,
        beyond=~by_horizon,
        weight=weight,
        table=risk_table(outcome),
    )


def events_by(outcome: Outcome, horizon: float, *, cause: int = 1) -> int:
    """Count the events of interest by a horizon.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    horizon : float
        In the unit of the outcome; an event exactly there counts.
    cause : int
        The event of interest.

    Returns
    -------
    int
        Number of patients.

    Examples
    --------
    >>> events_by(Outcome(time=[1, 2, 3], event=[1, 2, 1]), 2.5)
    1
    """
    return int(np.count_nonzero((outcome.event == cause) & (outcome.time <= horizon)))


def std_error(influence: NDArray[np.float64]) -> float:
    """Compute the standard error of an estimate from its influence function.

    Parameters
    ----------
    influence : ndarray of shape (n,)
        One value for each patient, for an estimate that is a mean of them.

    Returns
    -------
    float
        Standard deviation over √n.

    Examples
    --------
    >>> round(std_error(np.array([1.0, -1.0, 1.0, -1.0])), 4)
    0.5774
    """
    return float(np.std(influence, ddof=1) / np.sqrt(influence.size))
