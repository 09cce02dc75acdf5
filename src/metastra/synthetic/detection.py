"""The risk that a relapse is *recorded*: the true risk seen through a schedule of visits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metastra.study.vocabulary import Site
from metastra.synthetic.case_mix import VisitPlan
from metastra.synthetic.covariates import Covariates
from metastra.synthetic.hazard import HazardModel
from metastra.synthetic.risk import occupation

__all__ = ["detected_risk"]

_Vector = NDArray[np.float64]
_STEP_DAYS = 7.0


def detected_risk(
    model: HazardModel,
    covariates: Covariates,
    visits: VisitPlan,
    horizons_days: Sequence[float],
    *,
    site: Site = Site.LIVER,
    from_days: float = 0.0,
) -> _Vector:
    """Risk that a relapse at one site is recorded by a horizon, with death competing.

    Parameters
    ----------
    model : HazardModel
        The truth.
    covariates : Covariates
        Of n patients who are followed by the same plan.
    visits : VisitPlan
        When they are examined.
    horizons_days : sequence of float
        Counted from `from_days`; k of them.
    site : Site
        One of `metastra.synthetic.hazard.SITES`.
    from_days : float
        Days after surgery at which the clock starts.

    Returns
    -------
    ndarray of shape (n, k)
        P(recorded in (from, from + horizon] | alive and nothing recorded at from).  This, and not
        the risk of onset, is what the Aalen–Johansen estimate from the study's tables is about.

    Raises
    ------
    ValueError
        As `metastra.synthetic.risk.occupation`.

    Notes
    -----
    With F the risk of onset, U(s) the probability of being alive at s with an onset that no visit
    has shown, and h the hazard of death of another cause, the risk of a record by s is ::

        D(s) = F(s) - U(s) - integral over 0..s of U(v) h(v) dv

    because an unseen relapse of a patient who dies of the disease is recorded at death.  F is
    exact; U is summed over onsets on a grid of weeks, which leaves an error of at most one in a
    thousand of the risk.

    Examples
    --------
    >>> plan = VisitPlan.every((6, 36))
    >>> patient = Covariates.reference()
    >>> round(float(detected_risk(HazardModel(), patient, plan, [730.5])[0, 0]), 3)
    0.08
    """
    ends = from_days + np.asarray(horizons_days, dtype=np.float64)
    grid = np.union1d(np.arange(0.0, ends.max(), _STEP_DAYS), [from_days, *ends])
    where = occupation(model, covariates, grid, site=site)
    onsets = np.diff(where.incidence, axis=1)
    middle = (grid[1:] + grid[:-1]) / 2.0
    ratio = np.exp(model.linear_predictors(covariates)[:, -1:])
    other = model.death_hazard
    disease = model.relapse_death_per_day

    def spent(days: _Vector) -> _Vector:
        return ratio * other.cumulative(days)[None, :] + disease * days[None, :]

    unseen = _unseen(visits, middle, grid)
    hidden = ((onsets * np.exp(spent(middle))) @ unseen) * np.exp(-spent(grid))
    losses = (hidden[:, 1:] + hidden[:, :-1]) / 2.0 * ratio * np.diff(other.cumulative(grid))
    lost = np.concatenate([np.zeros((covariates.n, 1)), np.cumsum(losses, axis=1)], axis=1)
    recorded = where.incidence - hidden - lost
    start = [int(np.searchsorted(grid, from_days))]
    at_risk = (where.free + where.elsewhere + hidden)[:, start]
    later = recorded[:, np.searchsorted(grid, ends)]
    return np.asarray((later - recorded[:, start]) / at_risk, dtype=np.float64)


def _unseen(visits: VisitPlan, onset: _Vector, now: _Vector) -> _Vector:
    """Probability that no attended visit lies between onset and now, shape (onsets, nows).

    Rows of onsets after `now` are zero: there is nothing to see yet.
    """
    none = np.ones((onset.size, now.size))
    for planned in visits.planned_days:
        earliest = np.maximum(np.ceil(onset), planned - visits.jitter_days)[:, None]
        latest = np.minimum(np.floor(now), planned + visits.jitter_days)[None, :]
        days = np.maximum(latest - earliest + 1.0, 0.0)
        none *= 1.0 - visits.attendance * days / (2 * visits.jitter_days + 1)
    return np.where(onset[:, None] <= now[None, :], none, 0.0)
