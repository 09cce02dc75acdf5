"""What a hospital comes to know of the courses: visits, losses and the day of the data cut.

Between two examinations a metastasis grows unseen, so a recorded date is the first examination that
showed it and ``LAST_NEGATIVE`` the last one that did not: the onset lies between.  The end of
follow-up is independent of the course within a cohort, so estimators that assume independent
censoring are right about the *recorded* events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.study.vocabulary import Site
from metastra.synthetic.case_mix import Detection
from metastra.synthetic.courses import Courses
from metastra.synthetic.draws import Draws
from metastra.synthetic.hazard import SITES
from metastra.synthetic.patients import Patients
from metastra.units import TimeUnit, to_days

__all__ = ["NO_DAY", "FollowUp", "follow_up"]

_Days = NDArray[np.int64]
_Flags = NDArray[np.bool_]

NO_DAY: int = -(10**6)
"""Stands where there is no day."""

_LAST_VISIT_DAYS = 1826
"""After five years patients are discharged."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FollowUp:
    """What is recorded of n patients, in whole days since surgery.

    Parameters
    ----------
    detected : ndarray of shape (n, sites), int
        Day on which the relapse is recorded, or `NO_DAY`; negative where staging before surgery
        found it.
    last_negative : ndarray of shape (n, sites), int
        Last examination that did not show it (0 for the surgery itself), or `NO_DAY`.
    at_death : ndarray of shape (n, sites), bool
        Whether it was found only because the patient was dying of it.
    last_contact : ndarray of shape (n,), int
        Last contact, alive or dead; at least 1.
    dead : ndarray of shape (n,), bool
        Whether the last contact is the day of death.
    of_disease : ndarray of shape (n,), bool
        Whether that death is one of the disease.
    procedure : ndarray of shape (n,), int
        Resection of a liver metastasis, or `NO_DAY`.
    """

    detected: _Days
    last_negative: _Days
    at_death: _Flags
    last_contact: _Days
    dead: _Flags
    of_disease: _Flags
    procedure: _Days

    @property
    def recorded(self) -> _Flags:
        """Whether each relapse is recorded, shape (n, sites)."""
        return np.asarray(self.detected != NO_DAY, dtype=np.bool_)


def follow_up(
    patients: Patients, courses: Courses, draws: Draws, *, detection: Detection = Detection.VISITS
) -> FollowUp:
    """Watch patients until death, loss, discharge or the data cut.

    Parameters
    ----------
    patients : Patients
        Of one cohort.
    courses : Courses
        Of the same patients.
    draws : Draws
        Random numbers.
    detection : Detection
        When a relapse is found.

    Returns
    -------
    FollowUp
        A relapse is recorded at the first attended visit after its onset.  A patient who dies of
        the disease before it has the sites involved recorded the day before; one who dies of
        another cause takes an unseen relapse along.
    """
    end = _end_of_watch(patients, draws)
    death = np.ceil(courses.death_days).astype(np.int64)
    dead = death <= end
    last_contact = np.where(dead, death, end)
    onset = np.where(np.isfinite(courses.onset_days), np.ceil(courses.onset_days), -1.0)
    onset_day = onset.astype(np.int64)
    occurred = np.isfinite(courses.onset_days) & ~patients.at_diagnosis
    if detection is Detection.AT_ONSET:
        found, negative = onset_day, np.maximum(onset_day - 1, 0)
        seen = occurred & (found <= end[:, None])
    else:
        visits = _attended_visits(patients, draws)
        found, negative, seen = _first_visit_after(visits, onset_day, occurred)
        seen &= (found <= end[:, None]) & (found < death[:, None])
    dying = occurred & ~seen & (dead & courses.of_disease)[:, None]
    # the day before death, unless the onset itself is later
    found = np.where(dying, np.maximum(onset_day, death[:, None] - 1), found)
    if detection is Detection.VISITS:
        negative = np.where(dying, _last_visit_before(visits, onset_day, death), negative)
    detected = np.where(seen | dying, found, NO_DAY)
    staged = -draws.integers("staging", len(patients), low=3, high=28)
    detected = np.where(patients.at_diagnosis, staged[:, None], detected)
    return FollowUp(
        detected=detected,
        last_negative=np.where(seen | dying, negative, NO_DAY),
        at_death=dying,
        last_contact=last_contact,
        dead=dead,
        of_disease=courses.of_disease & dead,
        procedure=_procedures(patients, detected, np.where(dead, death - 1, end), draws),
    )


def _end_of_watch(patients: Patients, draws: Draws) -> _Days:
    """Day on which a patient would be last heard of if death did not come first."""
    n = len(patients)
    cut = patients.plan.data_cut.toordinal() - patients.surgery
    cut = cut - draws.integers("reporting", n, low=0, high=60)
    discharge = _LAST_VISIT_DAYS + draws.integers("discharge", n, low=0, high=120)
    rate = np.array([centre.lost_per_year for centre in patients.plan.centres])[patients.centre]
    lost = draws.exponential("lost", n) / rate * to_days(1.0, TimeUnit.YEARS)
    end = np.minimum(np.minimum(cut, discharge), np.floor(np.minimum(lost, 1e6)).astype(np.int64))
    return np.asarray(np.maximum(end, 1), dtype=np.int64)


_FAR = 10**6
"""Day of a visit that does not take place."""


def _attended_visits(patients: Patients, draws: Draws) -> _Days:
    """Days of the attended visits, shape (n, visits); `_FAR` where there is none."""
    n = len(patients)
    plans = [centre.visits for centre in patients.plan.centres]
    longest = max(len(plan.planned_days) for plan in plans)
    visits = np.full((n, longest), _FAR, dtype=np.int64)
    for number, plan in enumerate(plans):
        mine = patients.centre == number
        for k, planned in enumerate(plan.planned_days):
            jitter = draws.integers(f"jitter-{k}", n, low=-plan.jitter_days, high=plan.jitter_days)
            came = draws.uniform(f"attended-{k}", n) < plan.attendance
            visits[mine, k] = np.where(came, planned + jitter, _FAR)[mine]
    return visits


def _first_visit_after(
    visits: _Days, onset_day: _Days, occurred: _Flags
) -> tuple[_Days, _Days, _Flags]:
    """Find the first attended visit from the onset on, the last one before it, and who has one."""
    after = np.where(visits[:, None, :] >= onset_day[:, :, None], visits[:, None, :], _FAR)
    found = after.min(axis=2)
    before = np.where(visits[:, None, :] < onset_day[:, :, None], visits[:, None, :], 0)
    return found, before.max(axis=2), occurred & (found < _FAR)


def _last_visit_before(visits: _Days, onset_day: _Days, death: _Days) -> _Days:
    limit = np.minimum(onset_day, death[:, None])
    before = np.where(visits[:, None, :] < limit[:, :, None], visits[:, None, :], 0)
    return np.asarray(before.max(axis=2), dtype=np.int64)


def _procedures(patients: Patients, detected: _Days, latest: _Days, draws: Draws) -> _Days:
    """Resect some liver metastases that were found alone, three to eleven weeks later."""
    n = len(patients)
    liver = detected[:, SITES.index(Site.LIVER)]
    alone = (detected != NO_DAY).sum(axis=1) == 1
    day = liver + draws.integers("procedure-wait", n, low=21, high=77)
    chosen = draws.uniform("procedure", n) < np.where(
        patients.covariates.age_years < 75, 0.45, 0.15
    )
    possible = (liver > 0) & alone & (day <= latest)
    return np.where(possible & chosen, day, NO_DAY)
