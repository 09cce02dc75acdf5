"""The true risk of a patient, in closed form.

For one site c the process has four states: free of any relapse, relapsed elsewhere only, relapse at
c, dead without relapse at c.  In an interval of constant hazards, with ``a`` the rate of leaving
the first state, ``r`` the rate from it into the second and ``b`` the rate of leaving the second ::

    p(t)    = p e^(-a t)
    q(t)    = q e^(-b t) + p r (e^(-a t) - e^(-b t)) / (b - a)

and the expected times in both states, times the hazards of c, add up to the cumulative incidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.study.vocabulary import Site
from metastra.synthetic.covariates import Covariates
from metastra.synthetic.hazard import CUTS_DAYS, SITES, HazardModel

__all__ = ["Occupation", "occupation", "true_risk"]

_Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Occupation:
    """Where n patients are at m times, as probabilities; the four add up to 1.

    Parameters
    ----------
    free : ndarray of shape (n, m)
        Alive without any relapse.
    elsewhere : ndarray of shape (n, m)
        Alive with a relapse, none at the site.
    incidence : ndarray of shape (n, m)
        Relapse at the site by this time, dead since then or not.
    dead : ndarray of shape (n, m)
        Dead without a relapse at the site.
    """

    free: _Vector
    elsewhere: _Vector
    incidence: _Vector
    dead: _Vector


def occupation(
    model: HazardModel, covariates: Covariates, days: _Vector, *, site: Site = Site.LIVER
) -> Occupation:
    """Compute the probabilities of the four states.

    Parameters
    ----------
    model : HazardModel
        The truth.
    covariates : Covariates
        Of n patients.
    days : ndarray of shape (m,)
        Days since surgery, ascending, from 0 to 36,525.
    site : Site
        One of `SITES`.

    Returns
    -------
    Occupation
        Exact up to rounding.

    Raises
    ------
    ValueError
        If the site is not modelled, or the days do not ascend.

    Examples
    --------
    >>> where = occupation(HazardModel(), Covariates.reference(), np.array([0.0, 730.5]))
    >>> total = where.free + where.elsewhere + where.incidence + where.dead
    >>> bool(np.allclose(total, 1.0))
    True
    """
    if site not in SITES:
        raise ValueError(f"{site.value!r} is not modelled; the sites are {', '.join(SITES)}")
    days = np.asarray(days, dtype=np.float64)
    if (np.diff(days) < 0).any() or days.size == 0 or days[0] < 0 or days[-1] > CUTS_DAYS[-1]:
        raise ValueError("the days must ascend from 0 or more to at most a century")
    own = SITES.index(site)
    ratios = np.exp(model.linear_predictors(covariates))
    n = covariates.n
    state: tuple[_Vector, ...] = (np.ones(n), np.zeros(n), np.zeros(n), np.zeros(n))
    kept: list[tuple[_Vector, ...]] = []
    knots = np.union1d(days, CUTS_DAYS[(days[-1] > CUTS_DAYS)])
    wanted = set(days.tolist())
    previous = 0.0
    for knot in knots:
        if knot > previous:
            interval = int(np.searchsorted(CUTS_DAYS, previous, side="right")) - 1
            state = _advance(model, ratios, state, own, interval, float(knot - previous))
            previous = float(knot)
        if knot in wanted:
            kept.append(state)
    back = np.searchsorted(np.unique(days), days)
    free, elsewhere, incidence, dead = (
        np.stack(part, axis=1)[:, back] for part in zip(*kept, strict=True)
    )
    return Occupation(free=free, elsewhere=elsewhere, incidence=incidence, dead=dead)


def _advance(
    model: HazardModel,
    ratios: _Vector,
    state: tuple[_Vector, ...],
    own: int,
    interval: int,
    length_days: float,
) -> tuple[_Vector, ...]:
    """Move the probabilities through a stretch of constant hazards."""
    free, elsewhere, incidence, dead = state
    relapse = np.stack(
        [h.per_day[interval] * ratios[:, k] for k, h in enumerate(model.site_hazards)], axis=1
    )
    other_death = model.death_hazard.per_day[interval] * ratios[:, -1]
    to_elsewhere = relapse.sum(axis=1) - relapse[:, own]
    own_later = model.spread_factor * relapse[:, own]
    death_later = other_death + model.relapse_death_per_day
    leave_free = relapse.sum(axis=1) + other_death
    leave_elsewhere = own_later + death_later
    stay_free = np.exp(-leave_free * length_days)
    stay_elsewhere = np.exp(-leave_elsewhere * length_days)
    # (e^(-a t) - e^(-b t)) / (b - a) without cancellation where a and b are close
    mixed = stay_free * length_days * _mean_decay((leave_elsewhere - leave_free) * length_days)
    next_free = free * stay_free
    next_elsewhere = elsewhere * stay_elsewhere + free * to_elsewhere * mixed
    time_free = free * length_days * _mean_decay(leave_free * length_days)
    inflow = to_elsewhere * time_free
    time_elsewhere = (elsewhere + inflow - next_elsewhere) / leave_elsewhere
    return (
        next_free,
        next_elsewhere,
        incidence + relapse[:, own] * time_free + own_later * time_elsewhere,
        dead + other_death * time_free + death_later * time_elsewhere,
    )


def _mean_decay(x: _Vector) -> _Vector:
    """Give (1 - e^(-x)) / x, which is 1 at 0."""
    safe = np.where(np.abs(x) < 1e-12, 1.0, x)
    return np.where(np.abs(x) < 1e-12, 1.0, -np.expm1(-safe) / safe)


def true_risk(
    model: HazardModel,
    covariates: Covariates,
    horizon_days: float,
    *,
    site: Site = Site.LIVER,
    from_days: float = 0.0,
) -> _Vector:
    """Risk of a relapse at one site by a horizon, with death competing.

    Parameters
    ----------
    model : HazardModel
        The truth.
    covariates : Covariates
        Of n patients.
    horizon_days : float
        Counted from `from_days`.
    site : Site
        One of `SITES`.
    from_days : float
        Days after surgery at which the clock starts: the synchronous window.  The risk is then
        that of patients who are alive without a relapse at the site on that day.

    Returns
    -------
    ndarray of shape (n,)
        P(relapse at the site in (from, from + horizon] | alive and free of it at from).

    Raises
    ------
    ValueError
        As `occupation`.

    Notes
    -----
    A relapse elsewhere does not end follow-up, as in the dictionary's
    ``metachronous-liver-metastasis``.

    Examples
    --------
    >>> round(float(true_risk(HazardModel(), Covariates.reference(), 730.5)[0]), 3)
    0.093
    """
    where = occupation(
        model, covariates, np.array([from_days, from_days + horizon_days]), site=site
    )
    at_risk = where.free[:, 0] + where.elsewhere[:, 0]
    return np.asarray((where.incidence[:, 1] - where.incidence[:, 0]) / at_risk, dtype=np.float64)
