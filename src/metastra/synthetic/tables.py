"""The four tables of a cohort, as a hospital exports them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from metastra.synthetic.courses import Courses
from metastra.synthetic.draws import Draws
from metastra.synthetic.hazard import SITES
from metastra.synthetic.patients import Patients
from metastra.synthetic.staging import tnm_text
from metastra.synthetic.visits import NO_DAY, FollowUp
from metastra.synthetic.writing import WRITINGS, Cell, Table, Writing

__all__ = ["CohortDraw", "cohort_tables"]

_MISSING_SHARES = {"grade": 0.02, "MMR": 0.06, "CEA": 0.08}
"""Shares of values that were never measured, independent of everything else."""

_CLINI = (
    "PATIENT", "site", "SURGERY_DATE", "LAST_CONTACT", "age", "sex", "TNM", "stage",
    "mets_at_diagnosis", "grade", "MMR", "CEA", "CEA_DATE", "location", "OS_DAYS", "OS_STATUS",
)  # fmt: skip
_EVENT = ("PATIENT", "DATE", "TYPE", "SITE", "EVIDENCE", "LAST_NEGATIVE")
_SPECIMEN = ("PATIENT", "SPECIMEN", "ORGAN", "ROLE", "PROCEDURE", "DATE", "NEOADJUVANT")
_SLIDE = (
    "PATIENT", "FILENAME", "MPP", "STAIN", "SPECIMEN", "BLOCK", "SCANNER", "SCAN_DATE", "INDEX",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class CohortDraw:
    """One cohort as it was drawn.

    Parameters
    ----------
    patients : Patients
        At surgery.
    courses : Courses
        What really happened to them.
    follow_up : FollowUp
        What is recorded of it.
    draws : Draws
        The cohort's random numbers, for what only the tables need.
    """

    patients: Patients
    courses: Courses
    follow_up: FollowUp
    draws: Draws


def cohort_tables(cohort: CohortDraw) -> dict[str, Table]:
    """Write the tables of one cohort.

    Parameters
    ----------
    cohort : CohortDraw
        As it was drawn.

    Returns
    -------
    dict of str to Table
        Under the keys ``clini``, ``slides``, ``specimens`` and ``events``.  Truths that a hospital
        does not know (tissue composition, onsets, risks) are in none of them.
    """
    writing = WRITINGS[cohort.patients.plan.style]
    return {
        "clini": _clini_table(cohort, writing),
        "slides": _slide_table(cohort, writing),
        "specimens": _specimen_table(cohort, writing),
        "events": _event_table(cohort, writing),
    }


def _day(patients: Patients, row: int, days: int) -> date:
    return date.fromordinal(int(patients.surgery[row]) + int(days))


def _clini_table(cohort: CohortDraw, writing: Writing) -> Table:
    patients, seen, x = cohort.patients, cohort.follow_up, cohort.patients.covariates
    n = len(patients)
    blood = -cohort.draws.integers("CEA-date", n, low=1, high=21)
    gone = {
        name: cohort.draws.uniform(f"missing-{name}", n) < share
        for name, share in _MISSING_SHARES.items()
    }
    location = np.where(x.rectum, "rectum", np.where(x.right, "right", "left"))
    rows = []
    for i in range(n):
        t, nodes, m = patients.tnm[i]
        values: tuple[Cell, ...] = (
            patients.id[i],
            patients.plan.centres[patients.centre[i]].name,
            _day(patients, i, 0),
            _day(patients, i, seen.last_contact[i]),
            float(x.age_years[i]),
            "M" if x.male[i] else "F",
            tnm_text(t, nodes, m, after_treatment=bool(patients.neoadjuvant[i])),
            patients.stage[i],
            "no" if m == "0" else "yes",
            None if gone["grade"][i] else f"G{x.grade[i]}",
            None if gone["MMR"][i] else "dMMR" if x.dmmr[i] else "pMMR",
            None if gone["CEA"][i] else float(x.cea_ng_ml[i]),
            None if gone["CEA"][i] else _day(patients, i, blood[i]),
            str(location[i]),
            int(seen.last_contact[i]),
            "dead" if seen.dead[i] else "alive",
        )
        rows.append(values)
    return Table(columns=_CLINI, rows=tuple(rows), writing=writing)


def _event_table(cohort: CohortDraw, writing: Writing) -> Table:
    patients, seen = cohort.patients, cohort.follow_up
    n = len(patients)
    proven = np.stack([cohort.draws.uniform(f"proof-{s}", n) < 0.3 for s in SITES], axis=1)
    rows: list[tuple[Cell, ...]] = []
    for i in range(n):
        mine: list[tuple[int, tuple[Cell, ...]]] = []
        for k in np.flatnonzero(seen.recorded[i]):
            site, day = SITES[k], int(seen.detected[i, k])
            evidence = "histology" if proven[i, k] else "imaging"
            before = seen.last_negative[i, k]
            row: tuple[Cell, ...] = (
                patients.id[i],
                _day(patients, i, day),
                "metastasis" if site.distant else "recurrence",
                site.value,
                "clinical" if seen.at_death[i, k] else evidence,
                None if before == NO_DAY else _day(patients, i, before),
            )
            mine.append((day, row))
        if (day := int(seen.procedure[i])) != NO_DAY:
            row = (
                patients.id[i], _day(patients, i, day), "metastasis-procedure", "liver",
                "operation note", None,
            )  # fmt: skip
            mine.append((day, row))
        if seen.dead[i]:
            day = int(seen.last_contact[i])
            cause = "death-of-disease" if seen.of_disease[i] else "death-of-other-cause"
            mine.append(
                (day, (patients.id[i], _day(patients, i, day), cause, None, "certificate", None))
            )
        rows += [row for _, row in sorted(mine, key=lambda item: item[0])]
    return Table(columns=_EVENT, rows=tuple(rows), writing=writing)


def _specimen_table(cohort: CohortDraw, writing: Writing) -> Table:
    patients, seen = cohort.patients, cohort.follow_up
    rows: list[tuple[Cell, ...]] = []
    for i in range(len(patients)):
        organ = "rectum" if patients.covariates.rectum[i] else "colon"
        treated = "yes" if patients.neoadjuvant[i] else "no"
        surgery = _day(patients, i, 0)
        rows.append((patients.id[i], "P1", organ, "primary", "resection", surgery, treated))
        if seen.procedure[i] != NO_DAY:
            day = _day(patients, i, seen.procedure[i])
            rows.append((patients.id[i], "M1", "liver", "metastasis", "resection", day, "no"))
    return Table(columns=_SPECIMEN, rows=tuple(rows), writing=writing)


def _slide_table(cohort: CohortDraw, writing: Writing) -> Table:
    patients = cohort.patients
    n = len(patients)
    n_blocks = 1 + cohort.draws.categories("blocks", (0.45, 0.35, 0.20), n)
    scanned = _scan_days(cohort)
    rows: list[tuple[Cell, ...]] = []
    for i in range(n):
        centre = patients.plan.centres[patients.centre[i]]
        for block in range(1, n_blocks[i] + 1):
            values: tuple[Cell, ...] = (
                patients.id[i],
                f"{patients.id[i]}_A{block}_HE.tiff",
                centre.mpp,
                "H&E",
                "P1",
                f"A{block}",
                centre.scanner,
                date.fromordinal(int(scanned[i])),
                "yes" if block == 1 else "no",
            )
            rows.append(values)
    return Table(columns=_SLIDE, rows=tuple(rows), writing=writing)


def _scan_days(cohort: CohortDraw) -> NDArray[np.int64]:
    """Scan archived slides in one campaign, in an order that has nothing to do with outcome."""
    plan = cohort.patients.plan
    first, last = plan.accrual[1].toordinal() + 30, plan.data_cut.toordinal() - 90
    return cohort.draws.integers("scan", len(cohort.patients), low=first, high=last)
