"""A prospective trial played from a stated hazard: the tables that its centres would send.

The design is that of the registered trial NCT07392567 (stage I to III, age 18 to 75, 160 patients,
accrual from 2026-01-30, primary completion 2028-01-30, completion 2029-01-30, liver metastasis
within two years, AUC at 24 months).  The registry gives no last day of accrual; one year is chosen,
so that the last patient reaches two years by the completion.  Nobody took part: hazards, centres,
visits, losses and the foreign model's risks are stated here and in `metastra.synthetic.hazard`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metastra.storage import csv_bytes, write_bytes
from metastra.study.vocabulary import Site
from metastra.synthetic.case_mix import Centre, CohortPlan, Style, VisitPlan
from metastra.synthetic.draws import Draws
from metastra.synthetic.generate import generate
from metastra.synthetic.hazard import SITES
from metastra.synthetic.risk import true_risk
from metastra.synthetic.trial_protocol import PROTOCOL
from metastra.synthetic.visits import NO_DAY

__all__ = ["BATCHES", "LATE", "QUOTAS", "UPDATES", "Trial", "play_trial", "write_trial"]

_Vector = NDArray[np.float64]

ENROLMENT_DAY = 21
"""Days after surgery on which a patient is enrolled: the pathologist's report is there."""
HORIZON_DAYS = 730.5
QUOTAS = {"north": 64, "harbour": 56, "south": 40}
"""Patients of each centre; 160 in all."""
BATCHES = (date(2026, 5, 4), date(2026, 8, 3), date(2026, 11, 2), date(2027, 2, 1))
"""Days on which a centre sends its screening, enrolment and risk tables."""
UPDATES = (date(2027, 8, 2), date(2028, 7, 31), date(2029, 2, 8))
"""Days on which a centre sends its outcomes; the last one is before the data lock."""
LATE = date(2029, 3, 15)
"""Day on which what came after the lock is sent."""

_VISITS = VisitPlan(
    planned_days=tuple(ENROLMENT_DAY + day for day in (183, 365, 548, 731, 1096)), attendance=0.95
)
_SLOWEST = 10
"""Days between an examination and its report to the trial office."""


def _centre(name: str, share: float, stages: tuple[float, float, float, float]) -> Centre:
    return Centre(
        name=name,
        share=share,
        stages=stages,
        locations=(0.34, 0.36, 0.30),
        age_mean_years=65.0,
        scanner="Aurora S60",
        mpp=0.25,
        visits=_VISITS,
        lost_per_year=0.03,
    )


PLAN = CohortPlan(
    name="trial",
    role="temporal",
    style=Style.ISO,
    prefix="T",
    share=1.0,
    accrual=(date(2026, 1, 12), date(2027, 1, 8)),
    data_cut=date(2029, 3, 1),
    centres=(
        _centre("north", 0.40, (0.27, 0.39, 0.27, 0.07)),
        _centre("harbour", 0.35, (0.30, 0.38, 0.25, 0.07)),
        _centre("south", 0.25, (0.28, 0.40, 0.25, 0.07)),
    ),
)


@dataclass(frozen=True, kw_only=True)
class _Patient:
    """One patient of the play; days are calendar days."""

    id: str
    centre: str
    screened: date
    values: dict[str, str]
    eligible: bool
    enrolled: date | None
    risk: float | None
    truth: float
    event: tuple[date, date | None] | None
    death: date | None
    last_contact: date


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The tables of a played trial.

    Parameters
    ----------
    files : dict of str to bytes
        By path: ``CENTRE/BATCH-screened.csv`` and so on; ``truth.csv`` is no part of the trial.
    withdrawals : tuple of (str, str)
        Centre and id of the patients who withdraw.
    mistake : tuple of (str, str, str, str)
        Centre, id, wrong and right day of an outcome that is corrected later.
    true_auc_risk : tuple of float
        Mean true risk of the enrolled by the horizon, and the mean risk that the model gives.
    """

    files: dict[str, bytes]
    withdrawals: tuple[tuple[str, str], ...]
    mistake: tuple[str, str, str, str]
    true_auc_risk: tuple[float, float]


def play_trial(bundle: str, *, seed: int = 20260130, n_seen: int = 310) -> Trial:
    """Play the trial.

    Parameters
    ----------
    bundle : str
        Digest of the locked model, which its table of risks names in every row.
    seed : int
        From which everything follows.
    n_seen : int
        Patients who come to surgery at the three centres; who comes after a centre's quota is
        full is not screened.

    Returns
    -------
    Trial
        The same for the same arguments.
    """
    patients = _patients(seed, n_seen)
    enrolled = [one for one in patients if one.enrolled is not None]
    quiet = [p for p in enrolled if p.event is None and p.death is None]
    withdrawals = tuple((p.centre, p.id) for p in (quiet[11], quiet[40], quiet[77]))
    found = next(p for p in enrolled if p.event and p.event[0] <= UPDATES[1])
    right = found.event[0] if found.event else found.last_contact
    wrong = right.replace(year=right.year - 1)
    mistake = (found.centre, found.id, wrong.isoformat(), right.isoformat())
    gone = set(withdrawals)
    files: dict[str, bytes] = {}
    for centre in QUOTAS:
        mine = [one for one in patients if one.centre == centre]
        files |= _accrual_tables(centre, mine, bundle)
        kept = [p for p in mine if p.enrolled and (centre, p.id) not in gone]
        files |= _outcome_tables(
            centre, kept, wrong_day={found.id: wrong}, forgotten=_forgotten(enrolled)
        )
    truth = [[p.centre, p.id, p.truth] for p in enrolled]
    files["truth.csv"] = csv_bytes(["centre", "PATIENT", "risk_24"], truth)
    risks = [p.risk for p in enrolled if p.risk is not None]
    means = (float(np.mean([p.truth for p in enrolled])), float(np.mean(risks)))
    return Trial(files=files, withdrawals=withdrawals, mistake=mistake, true_auc_risk=means)


def write_trial(folder: Path, bundle: str, *, seed: int = 20260130) -> Trial:
    """Play the trial and write its tables.

    Parameters
    ----------
    folder : Path
        Made when it is missing.
    bundle : str
        Digest of the locked model.
    seed : int
        From which everything follows.

    Returns
    -------
    Trial
        As written.
    """
    trial = play_trial(bundle, seed=seed)
    for name, data in trial.files.items():
        write_bytes(folder / name, data)
    return trial


def _patients(seed: int, n_seen: int) -> list[_Patient]:
    study = generate(n_patients=n_seen, seed=seed, plans=(PLAN,))
    cohort = study.cohorts[0]
    drawn, seen = cohort.patients, cohort.follow_up
    draws = Draws(seed=seed, label="trial")
    truth = true_risk(study.model, drawn.covariates, HORIZON_DAYS, from_days=float(ENROLMENT_DAY))
    risk = _foreign_risks(truth, draws)
    liver = SITES.index(Site.LIVER)
    names = [centre.name for centre in PLAN.centres]
    consent = draws.uniform("consent", n_seen) < 0.93
    clear = draws.uniform("resection", n_seen) < 0.95
    readable = draws.uniform("readable", n_seen) < 0.97
    taken = dict.fromkeys(QUOTAS, 0)
    seen_at = dict.fromkeys(QUOTAS, 0)
    found = []
    for k in np.argsort(drawn.surgery, kind="stable"):
        centre = names[drawn.centre[k]]
        if taken[centre] >= QUOTAS[centre]:
            continue
        surgery = date.fromordinal(int(drawn.surgery[k]))
        seen_at[centre] += 1
        enrolment = surgery + timedelta(days=ENROLMENT_DAY)
        event = None
        if seen.detected[k, liver] != NO_DAY and seen.detected[k, liver] > 0:
            negative = int(seen.last_negative[k, liver])
            before = surgery + timedelta(days=negative) if negative > ENROLMENT_DAY else None
            event = (surgery + timedelta(days=int(seen.detected[k, liver])), before)
        end = surgery + timedelta(days=int(seen.last_contact[k]))
        values = {
            "age": str(int(drawn.covariates.age_years[k])),
            "sex": "male" if drawn.covariates.male[k] else "female",
            "stage": str(drawn.coarse_stage[k]),
            "resection": "R0" if clear[k] else "R1",
            "consent": "yes" if consent[k] else "no",
        }
        eligible = _eligible(values)
        alive = end > enrolment and (event is None or event[0] > enrolment)
        enrols = eligible and alive
        taken[centre] += enrols
        found.append(
            _Patient(
                id=f"{centre[0].upper()}-{seen_at[centre]:03d}",
                centre=centre,
                screened=enrolment - timedelta(days=3),
                values=values,
                eligible=eligible,
                enrolled=enrolment if enrols else None,
                risk=float(risk[k]) if readable[k] else None,
                truth=float(truth[k]),
                event=event,
                death=end if seen.dead[k] else None,
                last_contact=end,
            )
        )
    return found


def _eligible(values: dict[str, str]) -> bool:
    in_age = 18 <= int(values["age"]) <= 75
    in_stage = values["stage"] in ("I", "II", "III")
    return in_age and in_stage and values["resection"] == "R0" and values["consent"] == "yes"


def _foreign_risks(truth: _Vector, draws: Draws) -> _Vector:
    """Give what a model would give that sees a part of the truth: flatter, with noise."""
    scale = np.log(-np.log1p(-truth))
    noise = draws.normal("foreign", truth.size)
    seen = np.mean(scale) + 0.85 * (scale - np.mean(scale)) + 0.35 * noise
    return np.asarray(np.round(-np.expm1(-np.exp(seen)), 4), dtype=np.float64)


def _accrual_tables(centre: str, mine: Sequence[_Patient], bundle: str) -> dict[str, bytes]:
    files = {}
    start = date(2026, 1, 1)
    for number, batch in enumerate(BATCHES, start=1):
        now = [p for p in mine if start <= p.screened + timedelta(days=3) < batch]
        start = batch
        if not any(p.enrolled for p in now):
            continue
        columns = ["PATIENT", "DATE", "age", "sex", "stage", "resection", "consent", "NOT_ENROLLED"]
        screened = [
            [
                p.id,
                p.screened.isoformat(),
                *p.values.values(),
                "died or relapsed before enrolment" if p.eligible and not p.enrolled else None,
            ]
            for p in now
        ]
        enrolled = [[p.id, p.enrolled.isoformat()] for p in now if p.enrolled]
        risks = [
            [p.id, p.risk, None if p.risk is not None else "no tumour on the slide", bundle]
            for p in now
            if p.enrolled
        ]
        files[f"{centre}/{number}-screened.csv"] = csv_bytes(columns, screened)
        files[f"{centre}/{number}-enrolled.csv"] = csv_bytes(["PATIENT", "DATE"], enrolled)
        files[f"{centre}/{number}-risks.csv"] = csv_bytes(
            ["PATIENT", "risk", "reason", "bundle"], risks
        )
    return files


def _forgotten(enrolled: Sequence[_Patient]) -> str:
    """Choose the patient whose last report lies about until after the lock."""
    found = [
        (p.event[0], p.id)
        for p in enrolled
        if p.event
        and p.enrolled
        and UPDATES[1] < p.event[0] <= UPDATES[2]
        and (p.event[0] - p.enrolled).days <= HORIZON_DAYS
    ]
    return max(found)[1] if found else ""


def _outcome_tables(
    centre: str, mine: Sequence[_Patient], *, wrong_day: dict[str, date], forgotten: str
) -> dict[str, bytes]:
    files = {}
    said: dict[str, list[object]] = {}
    for number, day in enumerate((*UPDATES, LATE), start=1):
        rows = []
        for patient in mine:
            row = _outcome_row(patient, day - timedelta(days=_SLOWEST))
            if row is None or said.get(patient.id) == row:
                continue
            if patient.id == forgotten and day == UPDATES[2]:
                continue
            if day == LATE and row[2] == 0 and patient.id in said:
                continue
            said[patient.id] = row
            shown = list(row)
            if row[2] == 1 and patient.id in wrong_day:
                shown[1] = wrong_day[patient.id].isoformat()
            rows.append(shown)
        name = "late" if day == LATE else str(number)
        columns = ["PATIENT", "DATE", "EVENT", "LAST_NEGATIVE"]
        if rows:
            files[f"{centre}/outcomes-{name}.csv"] = csv_bytes(columns, rows)
    return files


def _outcome_row(patient: _Patient, known_by: date) -> list[object] | None:
    """Say what is known of a patient on a day."""
    if patient.event is not None and patient.event[0] <= known_by:
        found, before = patient.event
        return [patient.id, found.isoformat(), 1, before.isoformat() if before else None]
    if patient.event is None and patient.death is not None and patient.death <= known_by:
        return [patient.id, patient.death.isoformat(), 2, None]
    seen = min(known_by, patient.last_contact)
    if patient.enrolled is None or seen <= patient.enrolled:
        return None
    return [patient.id, seen.isoformat(), 0, None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write protocol and tables: ``python -m metastra.synthetic.trial DIR BUNDLE-DIGEST``.

    Parameters
    ----------
    arguments : sequence of str, optional
        Folder and digest; of the command line when left out.

    Returns
    -------
    int
        Exit status.
    """
    folder, bundle = list(sys.argv[1:] if arguments is None else arguments)
    write_bytes(Path(folder) / "protocol.toml", PROTOCOL.encode())
    write_trial(Path(folder), bundle)
    return 0


if __name__ == "__main__":
    sys.exit(main())
