"""What happens to synthetic patients, drawn from the hazards: onsets and death, nobody looking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.study.vocabulary import Site
from metastra.survival.concordance import concordance
from metastra.survival.outcome import Outcome
from metastra.synthetic.covariates import Covariates
from metastra.synthetic.draws import Draws
from metastra.synthetic.hazard import CUTS_DAYS, SITES, HazardModel
from metastra.synthetic.risk import true_risk

__all__ = ["Courses", "simulate_courses", "true_concordance"]

_Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Courses:
    """The complete courses of n patients.

    Parameters
    ----------
    onset_days : ndarray of shape (n, sites)
        When each relapse can first be seen, days since surgery; infinite where death comes first.
        0 for sites that were involved at diagnosis.
    death_days : ndarray of shape (n,)
        Finite: at the latest a century after surgery.
    of_disease : ndarray of shape (n,), bool
        Whether the patient dies of the disease.
    """

    onset_days: _Vector
    death_days: _Vector
    of_disease: NDArray[np.bool_]

    def outcome(self, *, site: Site = Site.LIVER, from_days: float = 0.0) -> Outcome:
        """Take the survival outcome that perfect surveillance would see.

        Parameters
        ----------
        site : Site
            Whose relapse is the event; death without it competes.
        from_days : float
            Where the clock starts.

        Returns
        -------
        Outcome
            In days, of the patients who are alive and free of the event when the clock starts.
        """
        onset = self.onset_days[:, SITES.index(site)]
        time = np.minimum(onset, self.death_days)
        keep = time > from_days
        event = np.where(np.isfinite(onset), 1, 2)
        return Outcome(time=time[keep] - from_days, event=event[keep])


def simulate_courses(
    model: HazardModel,
    covariates: Covariates,
    draws: Draws,
    *,
    at_diagnosis: NDArray[np.bool_] | None = None,
) -> Courses:
    """Draw courses from the hazards.

    Parameters
    ----------
    model : HazardModel
        The truth.
    covariates : Covariates
        Of n patients.
    draws : Draws
        Random numbers.
    at_diagnosis : ndarray of shape (n, sites), bool, optional
        Sites that were involved at diagnosis.

    Returns
    -------
    Courses
        By inversion: each transition happens when its cumulative hazard reaches an exponential
        draw.  After the first relapse the rest of each draw is used up `spread_factor` times as
        fast, which is the stated process because exponential draws have no memory.

    Examples
    --------
    >>> courses = simulate_courses(HazardModel(), Covariates.reference(500), Draws(seed=4))
    >>> bool((courses.onset_days[:, 0] < 730.5).mean() < 0.2)
    True
    """
    n = covariates.n
    ratios = np.exp(model.linear_predictors(covariates))
    targets = np.stack(
        [draws.exponential(f"relapse-{site}", n) / ratios[:, k] for k, site in enumerate(SITES)],
        axis=1,
    )
    alone = np.stack([h.time_at(targets[:, k]) for k, h in enumerate(model.site_hazards)], axis=1)
    if at_diagnosis is not None:
        alone = np.where(at_diagnosis, 0.0, alone)
    first = np.min(alone, axis=1)
    began = np.minimum(first, CUTS_DAYS[-1])
    onset = np.empty_like(alone)
    for k, hazard in enumerate(model.site_hazards):
        used = hazard.cumulative(began)
        later = hazard.time_at(used + (targets[:, k] - used) / model.spread_factor)
        onset[:, k] = np.where(alone[:, k] <= first, alone[:, k], later)
    other = model.death_hazard.time_at(draws.exponential("death", n) / ratios[:, -1])
    disease = first + draws.exponential("death-of-disease", n) / model.relapse_death_per_day
    death = np.minimum(np.minimum(other, disease), CUTS_DAYS[-1])
    onset = np.where(onset < death[:, None], onset, np.inf)
    return Courses(onset_days=onset, death_days=death, of_disease=disease < other)


def true_concordance(
    model: HazardModel,
    covariates: Covariates,
    draws: Draws,
    *,
    horizon_days: float,
    from_days: float = 0.0,
    site: Site = Site.LIVER,
    copies: int = 50,
) -> float:
    """Estimate the concordance that the true risk itself has: the ceiling for every model.

    Parameters
    ----------
    model : HazardModel
        The truth.
    covariates : Covariates
        Of n patients.
    draws : Draws
        Random numbers.
    horizon_days : float
        Up to which events open a pair, and of the risk that orders the patients.
    from_days : float
        Where the clock starts.
    site : Site
        Whose relapse is the event.
    copies : int
        How often each patient's course is drawn.

    Returns
    -------
    float
        Wolbers' concordance under perfect surveillance: patients who die first count as free of
        the event for ever.

    Raises
    ------
    NotEstimable
        If no event was drawn.

    Notes
    -----
    Wolbers and colleagues 2009, Epidemiology 20:555.  Nobody is censored before the horizon, so no
    weights are needed.

    Examples
    --------
    >>> same = Covariates.reference(50)
    >>> true_concordance(HazardModel(), same, Draws(seed=1), horizon_days=730.5)
    0.5
    """
    risk = true_risk(model, covariates, horizon_days, site=site, from_days=from_days)
    repeated = covariates.take(np.tile(np.arange(covariates.n), copies))
    courses = simulate_courses(model, repeated, draws.within("concordance"))
    onset = courses.onset_days[:, SITES.index(site)]
    watched = np.minimum(onset, courses.death_days) > from_days
    outcome = courses.outcome(site=site, from_days=from_days)
    # a patient who died without the event stays in every later pair
    time = np.where(outcome.event == 1, outcome.time, CUTS_DAYS[-1])
    forever = Outcome(time=time, event=outcome.event == 1).until(horizon_days)
    if forever.n_events() == 0:
        raise NotEstimable(f"no event in {forever.n} drawn courses by {horizon_days:g} days")
    score = np.tile(risk, copies)[watched]
    return float(concordance(forever, score, std_error=False).estimate)
