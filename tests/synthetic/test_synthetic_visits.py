"""Recorded follow-up: intervals that hold the onset, and risks seen through visits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.outcome import Outcome
from metastra.synthetic.case_mix import COHORTS, Detection, VisitPlan
from metastra.synthetic.courses import simulate_courses
from metastra.synthetic.covariates import Covariates
from metastra.synthetic.detection import detected_risk
from metastra.synthetic.draws import Draws
from metastra.synthetic.hazard import Baseline, HazardModel
from metastra.synthetic.patients import draw_patients
from metastra.synthetic.risk import true_risk
from metastra.synthetic.visits import NO_DAY, follow_up

MODEL = HazardModel()
WINDOW = 91.3125


def watch(plan, n, *, seed=1, detection=Detection.VISITS):
    """Patients of a cohort with their courses and what is recorded of them."""
    patients = draw_patients(plan, n, seed=seed)
    draws = Draws(seed=seed, label=plan.name)
    courses = simulate_courses(
        MODEL, patients.covariates, draws, at_diagnosis=patients.at_diagnosis
    )
    return patients, courses, follow_up(patients, courses, draws, detection=detection)


@pytest.fixture(scope="module")
def south():
    """20,000 patients of the external cohort."""
    return watch(COHORTS[2], 20_000)


def test_the_onset_lies_between_the_last_negative_and_the_record(south):
    """Every recorded relapse began after the last negative examination and by its record."""
    patients, courses, seen = south
    new = seen.recorded & ~patients.at_diagnosis

    assert (seen.last_negative[new] < courses.onset_days[new]).all()
    assert (courses.onset_days[new] <= seen.detected[new]).all()
    assert (seen.last_negative[new] >= 0).all()
    lag = (seen.detected - courses.onset_days)[new]
    assert 60 < np.median(lag) < 120


def test_relapses_are_recorded_at_planned_visits(south):
    """Days of detection while alive lie within two weeks of a planned visit of the centre."""
    patients, _, seen = south
    for number, centre in enumerate(patients.plan.centres):
        mine = patients.centre == number
        new = (seen.recorded & ~patients.at_diagnosis & ~seen.at_death)[mine]
        days = seen.detected[mine][new]
        distance = np.abs(days[:, None] - np.array(centre.visits.planned_days)).min(axis=1)
        assert distance.max() == centre.visits.jitter_days


def test_nothing_is_recorded_after_the_last_contact(south):
    """Records, procedures and deaths lie at or before the last contact, which is before the cut."""
    patients, _, seen = south
    last = seen.last_contact

    assert (seen.detected <= last[:, None]).all()
    assert (seen.procedure <= last).all()
    assert (last >= 1).all()
    assert (patients.surgery + last <= patients.plan.data_cut.toordinal()).all()


def test_staging_findings_come_before_surgery(south):
    """Sites involved at diagnosis are recorded before surgery, without a last negative finding."""
    patients, _, seen = south

    assert (seen.detected[patients.at_diagnosis] < 0).all()
    assert (seen.detected[patients.at_diagnosis] > -30).all()
    assert (seen.last_negative[patients.at_diagnosis] == NO_DAY).all()


def test_a_relapse_that_nobody_saw_dies_with_the_patient(south):
    """Unseen relapses are recorded at death of the disease, and never at another death."""
    patients, courses, seen = south
    new = np.isfinite(courses.onset_days) & ~patients.at_diagnosis
    dead_of_disease = (seen.of_disease)[:, None] & new

    assert seen.recorded[dead_of_disease].all()
    assert (seen.last_contact[:, None] - seen.detected)[seen.at_death].max() <= 1
    assert (new & ~seen.recorded & (seen.dead & ~seen.of_disease)[:, None]).any()
    assert not (seen.at_death & ~seen.of_disease[:, None]).any()


def test_procedures_follow_a_lone_liver_metastasis(south):
    """A resection is 3 to 11 weeks after the record of a liver metastasis without other sites."""
    _, _, seen = south
    done = seen.procedure != NO_DAY

    wait = (seen.procedure - seen.detected[:, 0])[done]
    assert (wait.min(), wait.max()) == (21, 77)
    assert (seen.recorded[done].sum(axis=1) == 1).all()


def recorded_outcome(patients, seen, keep):
    """Outcome of liver metastasis from the records, as the endpoint defines it."""
    time = np.where(seen.recorded[:, 0], seen.detected[:, 0], seen.last_contact)
    event = np.where(seen.recorded[:, 0], 1, np.where(seen.dead, 2, 0))
    keep = keep & patients.eligible & (time > WINDOW)
    return Outcome(time=time[keep] - WINDOW, event=event[keep]), keep


@pytest.mark.slow
@pytest.mark.parametrize("plan", COHORTS, ids=lambda plan: plan.name)
def test_the_tables_estimate_the_risk_of_a_record(plan):
    """Aalen–Johansen of the records is within four standard errors of the stated risk."""
    patients, _, seen = watch(plan, 60_000, seed=7)
    horizons = [365.25, 730.5, 1095.75]
    for number, centre in enumerate(plan.centres):
        outcome, keep = recorded_outcome(patients, seen, patients.centre == number)
        stated = detected_risk(
            MODEL, patients.covariates.take(keep), centre.visits, horizons, from_days=WINDOW
        )

        estimate = aalen_johansen(outcome, causes=[1])[1]

        error = estimate.incidence_at(horizons) - stated.mean(axis=0)
        assert (np.abs(error) < 4 * estimate.std_error_at(horizons)).all()


def test_records_lag_behind_onsets(south):
    """Seen through sparse visits the risk at one year is clearly lower than that of onset."""
    patients, _, _ = south
    x = patients.covariates.take(patients.eligible)
    sparse = patients.plan.centres[1].visits

    onset = true_risk(MODEL, x, 365.25, from_days=WINDOW).mean()
    recorded = detected_risk(MODEL, x, sparse, [365.25], from_days=WINDOW).mean()

    assert recorded < 0.9 * onset


def test_one_visit_shows_what_had_begun_by_then_to_those_who_come():
    """Without deaths, the risk of a record after one visit is attendance times risk of onset."""
    flat, never = (1.0,) * 8, Baseline(per_year=0.0, shape=(1.0,) * 8)
    model = HazardModel(
        effects=(),
        liver=Baseline(per_year=0.4, shape=flat),
        peritoneum=never,
        lung=never,
        local=never,
        death=never,
        relapse_death_per_year=1e-9,
    )
    for jitter in (0, 30):
        plan = VisitPlan(planned_days=(400,), jitter_days=jitter, attendance=0.6)
        days = np.arange(400 - jitter, 401 + jitter)
        onset = np.mean(1 - np.exp(-0.4 * days / 365.25))

        got = detected_risk(model, Covariates.reference(), plan, [300.0, 500.0])[0]

        assert got == pytest.approx([0.0, 0.6 * onset], abs=2e-3)


def test_ever_denser_visits_show_the_onset_itself():
    """With a visit nearly every day the risk of a record becomes the risk of onset."""
    x = draw_patients(COHORTS[0], 50, seed=2).covariates
    daily = VisitPlan(planned_days=tuple(range(1, 900)), jitter_days=0, attendance=1.0)

    got = detected_risk(MODEL, x, daily, [730.5], from_days=WINDOW)[:, 0]

    assert got == pytest.approx(true_risk(MODEL, x, 730.5, from_days=WINDOW), rel=0.01)


def test_detection_at_onset_has_no_lag():
    """For testing judges, relapses can be recorded on the day they begin."""
    patients, courses, seen = watch(COHORTS[0], 5000, detection=Detection.AT_ONSET)
    new = seen.recorded & ~patients.at_diagnosis

    assert (seen.detected[new] == np.ceil(courses.onset_days[new])).all()
    assert (seen.last_negative[new] == seen.detected[new] - 1).all()
    assert not seen.at_death.any()


def test_loss_to_follow_up_follows_the_stated_rate():
    """Without death, discharge or cut the time to loss is exponential with the stated rate."""
    centre = replace(COHORTS[0].centres[0], share=1.0, lost_per_year=0.5)
    plan = replace(COHORTS[0], centres=(centre,))
    _, _, seen = watch(plan, 20_000)

    lost = ~seen.dead & (seen.last_contact <= 365)

    alive_risk = np.minimum(seen.last_contact, 365).sum() / 365.25
    assert lost.sum() / alive_risk == pytest.approx(0.5, rel=0.05)
