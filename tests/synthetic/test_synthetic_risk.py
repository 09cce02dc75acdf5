"""The true risk in closed form, against a matrix exponential and textbook formulas."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.linalg import expm

from metastra.study.vocabulary import Site
from metastra.synthetic.case_mix import COHORTS
from metastra.synthetic.covariates import Covariates
from metastra.synthetic.hazard import CUTS_DAYS, SITES, Baseline, HazardModel
from metastra.synthetic.patients import draw_patients
from metastra.synthetic.risk import occupation, true_risk

MODEL = HazardModel()
PATIENTS = draw_patients(COHORTS[0], 12, seed=5).covariates


def by_matrix_exponential(model, patient, days, site):
    """Occupation of free, elsewhere, site, dead by expm of the generator in each interval."""
    own = SITES.index(site)
    ratio = np.exp(model.linear_predictors(patient)[0])
    state = np.array([1.0, 0.0, 0.0, 0.0])
    for k, (start, stop) in enumerate(pairwise(CUTS_DAYS)):
        length = min(stop, days) - start
        if length <= 0:
            break
        rates = [h.per_day[k] * r for h, r in zip(model.site_hazards, ratio, strict=False)]
        death = model.death_hazard.per_day[k] * ratio[-1]
        q = np.zeros((4, 4))
        q[0, 1] = sum(rates) - rates[own]
        q[0, 2], q[0, 3] = rates[own], death
        q[1, 2], q[1, 3] = model.spread_factor * rates[own], death + model.relapse_death_per_day
        q -= np.diag(q.sum(axis=1))
        state = state @ expm(q * length)
    return state


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("days", [20.0, 91.3125, 730.5, 1826.25, 5000.0])
def test_the_closed_form_is_the_matrix_exponential(site, days):
    """All four probabilities agree with scipy's matrix exponential of the generator."""
    where = occupation(MODEL, PATIENTS, np.array([days]), site=site)

    for i in range(PATIENTS.n):
        expected = by_matrix_exponential(MODEL, PATIENTS.take(np.array([i])), days, site)
        got = [part[i, 0] for part in (where.free, where.elsewhere, where.incidence, where.dead)]
        assert got == pytest.approx(expected, abs=1e-12)


def test_one_cause_and_constant_hazards_give_the_textbook_formula():
    """With one site, constant hazards and no effects F is l/(l+m) (1 - exp(-(l+m) t))."""
    flat, never = (1.0,) * 8, Baseline(per_year=0.0, shape=(1.0,) * 8)
    model = HazardModel(
        effects=(),
        liver=Baseline(per_year=0.2, shape=flat),
        peritoneum=never,
        lung=never,
        local=never,
        death=Baseline(per_year=0.1, shape=flat),
    )

    got = true_risk(model, Covariates.reference(), 2 * 365.25)

    assert got[0] == pytest.approx(0.2 / 0.3 * (1 - np.exp(-0.6)), abs=1e-12)
    assert true_risk(model, Covariates.reference(), 2 * 365.25, site=Site.LUNG)[0] == 0.0


def test_equal_rates_of_leaving_do_not_divide_by_zero():
    """Where both states are left at the same rate the formula's limit is taken."""
    flat = (1.0,) * 8
    model = HazardModel(
        effects=(),
        liver=Baseline(per_year=0.1, shape=flat),
        peritoneum=Baseline(per_year=0.3, shape=flat),
        lung=Baseline(per_year=0.0, shape=flat),
        local=Baseline(per_year=0.0, shape=flat),
        death=Baseline(per_year=0.1, shape=flat),
        relapse_death_per_year=0.3,
        spread_factor=1.0,
    )
    reference = Covariates.reference()

    where = occupation(model, reference, np.array([700.0]))

    expected = by_matrix_exponential(model, reference, 700.0, Site.LIVER)
    got = [where.free, where.elsewhere, where.incidence, where.dead]
    assert np.ravel(got) == pytest.approx(expected, abs=1e-12)


def test_a_window_conditions_on_being_alive_and_free_at_its_end():
    """Risk from day w is the incidence after w among those alive without the relapse at w."""
    w, h = 91.3125, 730.5
    where = occupation(MODEL, PATIENTS, np.array([w, w + h]))
    alive = 1.0 - where.incidence[:, 0] - where.dead[:, 0]

    got = true_risk(MODEL, PATIENTS, h, from_days=w)

    assert got == pytest.approx((where.incidence[:, 1] - where.incidence[:, 0]) / alive, rel=1e-12)
    assert (got > 0).all()


def test_risk_grows_with_the_horizon_and_with_each_harmful_covariate():
    """A later horizon, more nodes, more buds and fewer lymphocytes all mean more risk."""
    risks = [true_risk(MODEL, PATIENTS, days) for days in (100.0, 365.25, 730.5, 3650.0)]
    assert all((later > sooner).all() for sooner, later in pairwise(risks))
    base = true_risk(MODEL, Covariates.reference(), 730.5)[0]
    for change in ({"pn": 2}, {"budding": 15}, {"lymphocyte_fraction": 0.02}, {"dmmr": False}):
        patient = Covariates.reference()
        for name, value in change.items():
            getattr(patient, name)[:] = value
        risk = true_risk(MODEL, patient, 730.5)[0]
        assert risk == base if change == {"dmmr": False} else risk > base


@pytest.mark.parametrize(
    ("days", "site"),
    [([730.5], Site.BONE), ([20.0, 10.0], Site.LIVER), ([-1.0], Site.LIVER), ([], Site.LIVER)],
    ids=["site", "order", "negative", "none"],
)
def test_times_and_sites_that_are_not_modelled_are_refused(days, site):
    """A site without a hazard and days that do not ascend from 0 are refused."""
    with pytest.raises(ValueError, match=r"modelled|ascend"):
        occupation(MODEL, Covariates.reference(), np.array(days), site=site)
