"""The stated truth is near the published rates, and the studies are drawn from it."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.study.vocabulary import Site
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.outcome import Outcome
from metastra.synthetic.case_mix import COHORTS, Detection
from metastra.synthetic.courses import simulate_courses
from metastra.synthetic.draws import Draws
from metastra.synthetic.generate import generate
from metastra.synthetic.hazard import HazardModel
from metastra.synthetic.patients import draw_patients
from metastra.synthetic.risk import occupation, true_risk
from metastra.synthetic.truth import read_truth

MODEL = HazardModel()
WINDOW = 91.3125
TWO_YEARS, FIVE_YEARS = 730.5, 1826.25
SEEDS = range(24)
MONTHS = (12, 24)


@pytest.fixture(scope="module")
def stages():
    """Covariates of stages I, II and III, 30,000 patients of the first cohort in all."""
    patients = draw_patients(COHORTS[0], 30_000, seed=12)
    return {s: patients.covariates.take(patients.coarse_stage == s) for s in ("I", "II", "III")}


@pytest.mark.parametrize(
    ("stage", "by_two", "by_five"), [("I", 0.025, 0.037), ("II", 0.09, 0.133), ("III", 0.20, 0.304)]
)
def test_liver_metastasis_by_stage_is_near_the_published_rates(stages, stage, by_two, by_five):
    """Stated 2-year risks are near 2.5, 9 and 20 %, 5-year risks near those of Manfredi 2006."""
    risk = [true_risk(MODEL, stages[stage], days).mean() for days in (TWO_YEARS, FIVE_YEARS)]

    assert risk[0] == pytest.approx(by_two, rel=0.06)
    assert risk[1] == pytest.approx(by_five, rel=0.16)


@pytest.mark.parametrize("stage", ["I", "II", "III"])
def test_simulated_rates_by_stage_are_the_stated_ones(stages, stage):
    """The share of onsets by two years is within four binomial standard errors of the truth."""
    x = stages[stage]
    courses = simulate_courses(MODEL, x, Draws(seed=12, label=stage))

    risk = true_risk(MODEL, x, TWO_YEARS)
    seen = courses.onset_days[:, 0] <= TWO_YEARS
    assert abs(seen.mean() - risk.mean()) < 4 * np.sqrt(np.mean(risk * (1 - risk)) / x.n)


def test_other_relapses_and_deaths_are_in_a_realistic_range(stages):
    """Peritoneum, lung and local recurrence, deaths after surgery and survival are plausible."""
    x = stages["III"]
    five = {
        site: true_risk(MODEL, x, FIVE_YEARS, site=site).mean()
        for site in (Site.PERITONEUM, Site.LUNG, Site.LOCAL)
    }
    deaths = simulate_courses(MODEL, stages["II"], Draws(seed=1)).death_days
    competing = occupation(MODEL, stages["II"], np.array([TWO_YEARS])).dead.mean()

    assert all(0.06 < risk < 0.16 for risk in five.values())
    assert 0.01 < (deaths < 90).mean() < 0.05
    assert 0.65 < (deaths > FIVE_YEARS).mean() < 0.80
    assert 0.07 < competing < 0.13


def test_survival_after_relapse_is_as_stated():
    """Half of the patients of stage IV die within about a year and a half."""
    study = generate(n_patients=4000, seed=5)
    time = np.concatenate([c.follow_up.last_contact[c.patients.metastatic] for c in study.cohorts])
    dead = np.concatenate([c.follow_up.dead[c.patients.metastatic] for c in study.cohorts])

    median = kaplan_meier(Outcome(time=time, event=dead)).median().value

    assert median is not None
    assert 14 < median / 30.4375 < 20


def observed_and_expected(seed, detection):
    """Over cohorts, n × observed and expected risk and the variance; one row per horizon."""
    study = generate(seed=seed, detection=detection)
    truth = read_truth(study.truth().render())
    sums = np.zeros((len(MONTHS), 3))
    for cohort in study.cohorts:
        patients, seen = cohort.patients, cohort.follow_up
        found = seen.recorded[:, 0]
        time = np.where(found, seen.detected[:, 0], seen.last_contact).astype(float)
        event = np.where(found, 1, np.where(seen.dead, 2, 0))
        keep = patients.eligible & (time > WINDOW)
        curve = aalen_johansen(Outcome(time=time[keep] - WINDOW, event=event[keep]), causes=[1])[1]
        mine = truth[truth["cohort"] == patients.plan.name][keep]
        for k, months in enumerate(MONTHS):
            at = [months * 30.4375]
            observed, error = curve.incidence_at(at)[0], curve.std_error_at(at)[0]
            expected = mine[f"recorded_risk_{months}"].sum()
            sums[k] += keep.sum() * observed, expected, (keep.sum() * error) ** 2
    return sums


@pytest.mark.slow
@pytest.mark.parametrize("detection", Detection)
def test_observed_over_expected_is_one_over_many_seeds(detection):
    """Over 24 studies there are as many recorded events as truth.csv says, up to chance."""
    total = np.sum([observed_and_expected(seed, detection) for seed in SEEDS], axis=0)

    for observed, expected, variance in total:
        assert abs(observed - expected) < 4 * np.sqrt(variance)
        assert observed / expected == pytest.approx(1.0, abs=0.10)


def test_cohorts_have_the_same_hazards_for_the_same_patients():
    """In each cohort observed onsets agree with the truth of its own case mix."""
    for plan in COHORTS:
        patients = draw_patients(plan, 30_000, seed=21)
        x = patients.covariates.take(patients.eligible)
        courses = simulate_courses(MODEL, x, Draws(seed=21, label=plan.name))
        risk = true_risk(MODEL, x, TWO_YEARS)
        seen = (courses.onset_days[:, 0] <= TWO_YEARS).mean()
        assert abs(seen - risk.mean()) < 4 * np.sqrt(np.mean(risk * (1 - risk)) / x.n)
