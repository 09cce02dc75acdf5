"""Simulated courses against the closed form, and the concordance of the truth."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import NotEstimable
from metastra.study.vocabulary import Site
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.outcome import Outcome
from metastra.synthetic.case_mix import COHORTS
from metastra.synthetic.courses import simulate_courses, true_concordance
from metastra.synthetic.covariates import Covariates
from metastra.synthetic.draws import Draws
from metastra.synthetic.hazard import SITES, HazardModel
from metastra.synthetic.patients import draw_patients
from metastra.synthetic.risk import occupation, true_risk

MODEL = HazardModel()
N = 200_000


@pytest.fixture(scope="module")
def many():
    """Covariates and courses of 200,000 patients."""
    covariates = draw_patients(COHORTS[0], N, seed=11).covariates
    return covariates, simulate_courses(MODEL, covariates, Draws(seed=11, label="test"))


@pytest.mark.parametrize("site", SITES)
def test_aalen_johansen_of_many_courses_is_the_mean_true_risk(many, site):
    """At five horizons the estimate is within four standard errors of the closed form."""
    covariates, courses = many
    days = np.array([91.3125, 365.25, 730.5, 1095.75, 1826.25])
    where = occupation(MODEL, covariates, days, site=site)

    estimate = aalen_johansen(courses.outcome(site=site), causes=[1, 2])

    for cause, truth in ((1, where.incidence), (2, where.dead)):
        error = estimate[cause].incidence_at(days) - truth.mean(axis=0)
        assert (np.abs(error) < 4 * estimate[cause].std_error_at(days)).all()


def test_risk_from_the_window_is_right_too(many):
    """The landmark risk agrees with the share of events among those at risk at the window."""
    covariates, courses = many
    window = 91.3125
    at_risk = np.minimum(courses.onset_days[:, 0], courses.death_days) > window
    expected = true_risk(MODEL, covariates.take(at_risk), 730.5, from_days=window)

    estimate = aalen_johansen(courses.outcome(from_days=window), causes=[1])[1]

    error = estimate.incidence_at([730.5])[0] - expected.mean()
    assert abs(error) < 4 * estimate.std_error_at([730.5])[0]


def test_the_true_risk_scores_best(many):
    """Brier's score at two years is worse for risks that are too high, too flat or shifted."""
    covariates, courses = many
    risk = true_risk(MODEL, covariates, 730.5)
    seen = courses.onset_days[:, 0] <= 730.5

    def brier(predicted):
        return np.mean((seen - predicted) ** 2)

    wrong = (risk * 1.2, risk * 0.8, np.full_like(risk, risk.mean()), risk**0.8, risk**1.2)
    assert all(brier(risk) < brier(other) for other in wrong)


def test_the_true_risk_is_calibrated_in_tenths(many):
    """In each tenth of the true risk the observed share is within four standard errors."""
    covariates, courses = many
    risk = true_risk(MODEL, covariates, 730.5)
    tenth = np.digitize(risk, np.quantile(risk, np.arange(0.1, 1.0, 0.1)))
    seen = courses.onset_days[:, 0] <= 730.5

    for k in range(10):
        mine = risk[tenth == k]
        error = np.sqrt(np.sum(mine * (1 - mine))) / mine.size
        assert abs(seen[tenth == k].mean() - mine.mean()) < 4 * error


def test_nobody_relapses_after_death_and_nobody_dies_of_a_disease_that_never_came(many):
    """Onsets precede death, and death of the disease has a relapse before it."""
    _, courses = many
    relapsed = np.isfinite(courses.onset_days)

    assert (courses.onset_days < courses.death_days[:, None])[relapsed].all()
    assert relapsed[courses.of_disease].any(axis=1).all()
    assert (~courses.of_disease & relapsed.any(axis=1)).any()


def test_metastases_at_diagnosis_are_there_on_day_zero():
    """Involved sites have onset 0, and death of the disease is possible from then on."""
    n = 20_000
    there = np.zeros((n, len(SITES)), dtype=bool)
    there[:, 0] = True

    courses = simulate_courses(MODEL, Covariates.reference(n), Draws(seed=2), at_diagnosis=there)

    assert (courses.onset_days[:, 0] == 0).all()
    rate = MODEL.relapse_death_per_year + MODEL.death.per_year
    assert np.median(courses.death_days) / 365.25 == pytest.approx(np.log(2) / rate, rel=0.06)


def test_the_concordance_of_the_truth_is_that_of_all_pairs():
    """The fast estimate is the share of ordered pairs, counted one by one."""
    covariates = draw_patients(COHORTS[0], 150, seed=3).covariates
    draws = Draws(seed=9)
    got = true_concordance(MODEL, covariates, draws, horizon_days=730.5, copies=2)

    risk = np.tile(true_risk(MODEL, covariates, 730.5), 2)
    both = covariates.take(np.tile(np.arange(150), 2))
    onset = simulate_courses(MODEL, both, draws.within("concordance")).onset_days[:, 0]
    good = total = 0.0
    for i in np.flatnonzero(onset <= 730.5):
        for j in range(onset.size):
            if onset[j] > onset[i]:
                total += 1
                good += (risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j])
    assert got == pytest.approx(good / total, abs=1e-12)


def test_the_truth_leaves_room_for_models():
    """The ceiling of the default study lies between stage alone and certainty."""
    covariates = draw_patients(COHORTS[0], 3000, seed=3).covariates

    ceiling = true_concordance(MODEL, covariates, Draws(seed=1), horizon_days=730.5, copies=10)

    assert 0.75 < ceiling < 0.80


def test_no_event_means_no_concordance():
    """Without an event by the horizon there is no number, and the reason says so."""
    with pytest.raises(NotEstimable, match="no event"):
        true_concordance(MODEL, Covariates.reference(3), Draws(seed=1), horizon_days=0.01, copies=1)


def test_sites_without_a_hazard_have_no_outcome():
    """Asking for the outcome of a site that is not modelled is an error."""
    courses = simulate_courses(MODEL, Covariates.reference(5), Draws(seed=1))

    assert isinstance(courses.outcome(site=Site.LOCAL), Outcome)
    with pytest.raises(ValueError, match="not in tuple"):
        courses.outcome(site=Site.BONE)
