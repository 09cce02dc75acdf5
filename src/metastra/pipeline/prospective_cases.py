"""From the entries of a ledger to the patients that are judged, with everybody accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import IntegrityError, NotEstimable
from metastra.evaluation.patients import Patients
from metastra.ledger.outcomes import FLAGS, LATE, Course, course_of
from metastra.ledger.predictions import Opened, open_prediction
from metastra.ledger.protocol import Protocol
from metastra.ledger.state import StudyState, Subject
from metastra.ledger.store import Ledger
from metastra.survival.interval_censored import Imputation, IntervalCensored
from metastra.survival.outcome import Outcome
from metastra.units import from_days

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

__all__ = [
    "Case",
    "cases_of",
    "flow_of_study",
    "interval_data",
    "outcome_of",
    "patients_of",
    "selected",
]

_EARLIEST_DAYS = 0.5
"""Where an outcome stands that is dated before the clock started, or on that day."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A patient with everything that the ledger knows.

    Parameters
    ----------
    subject : Subject
        Entries.
    screening : dict or None
        What the screening says; None where it was deleted.
    prediction : Opened or None
        None where there is none, it was deleted, or it was not opened.
    course : Course or None
        By the data lock.
    late_course : Course or None
        With what was recorded after it.
    """

    subject: Subject
    screening: dict[str, Any] | None
    prediction: Opened | None
    course: Course | None
    late_course: Course | None

    @property
    def withdrawn(self) -> bool:
        """Whether the patient has withdrawn."""
        return self.subject.withdraw is not None


def cases_of(ledger: Ledger, state: StudyState, key: X25519PrivateKey | None) -> list[Case]:
    """Gather everybody, and open the predictions where there is a key.

    Parameters
    ----------
    ledger : Ledger
        Of the study.
    state : StudyState
        Of the ledger.
    key : X25519PrivateKey or None
        The custodian's; without it every prediction stays sealed.

    Returns
    -------
    list of Case
        Everybody who was screened, in the order of the entries.

    Raises
    ------
    IntegrityError
        If a sealed prediction does not open or is not the one that was committed to.
    """
    found = []
    for subject in state.subjects.values():
        screening = None
        if subject.screen is not None:
            content = state.current(ledger, subject.screen, late=False)
            screening = None if content is None else dict(content)
        prediction = None if key is None else open_prediction(ledger, subject, key)
        if prediction is not None and (prediction.risk is not None) != subject.assessable:
            name = subject.predict.name if subject.predict else subject.key
            raise IntegrityError(f"entry {name} says of its sealed risk what is not in the seal")
        found.append(
            Case(
                subject=subject,
                screening=screening,
                prediction=prediction,
                course=course_of(ledger, state, subject),
                late_course=course_of(ledger, state, subject, late=True),
            )
        )
    return found


def leaves(case: Case, *, flagged: str, late: bool = False) -> tuple[str, str] | None:
    """Say where a patient leaves the study on the way to the analysis.

    Parameters
    ----------
    case : Case
        The patient.
    flagged : {"exclude", "include"}
        What is done with doubtful outcomes.
    late : bool
        Whether outcomes recorded after the data lock count.

    Returns
    -------
    tuple of str or None
        The last box that the patient is counted in, and why; None for who is judged.
    """
    subject = case.subject
    if subject.enrol is None:
        return "screened", _why_not_enrolled(case)
    if case.withdrawn:
        return "enrolled", "withdrew; payloads deleted"
    if subject.predict is None:
        return "enrolled", "not predicted"
    if not subject.assessable:
        reason = case.prediction.reason if case.prediction else "reason sealed"
        return "predicted", f"not assessable: {reason}"
    course = case.late_course if late else case.course
    if course is None:
        return "assessable", "no outcome recorded by the data lock"
    if course.doubtful and flagged == "exclude":
        code = next(code for code in course.flags if code != LATE)
        return "with outcome", f"{FLAGS[code]} ({code})"
    return None


def selected(cases: Sequence[Case], *, flagged: str, late: bool = False) -> list[Case]:
    """Choose the patients of an analysis.

    Parameters
    ----------
    cases : sequence of Case
        Everybody.
    flagged : {"exclude", "include"}
        What is done with doubtful outcomes.
    late : bool
        Whether outcomes recorded after the data lock count.

    Returns
    -------
    list of Case
        With a risk and an outcome.
    """
    return [case for case in cases if leaves(case, flagged=flagged, late=late) is None]


BOXES = ("screened", "enrolled", "predicted", "assessable", "with outcome", "judged")
"""Of the flow diagram, in order."""


def flow_of_study(cases: Sequence[Case], *, flagged: str) -> dict[str, Any]:
    """Count everybody from screening to analysis.

    Parameters
    ----------
    cases : sequence of Case
        Everybody.
    flagged : {"exclude", "include"}
        As the primary analysis.

    Returns
    -------
    dict
        ``boxes``: name, n, and who left after it with why; each n is the one before less the ones
        who left.
    """
    left = [leaves(case, flagged=flagged) for case in cases]
    n = len(cases)
    boxes = []
    for box in BOXES:
        reasons = Counter(why[1] for why in left if why is not None and why[0] == box)
        ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        boxes.append({"name": box, "n": n, "left": [{"reason": why, "n": k} for why, k in ordered]})
        n -= sum(reasons.values())
    return {"boxes": boxes}


def patients_of(
    cases: Sequence[Case], protocol: Protocol, *, dating: str, late: bool = False
) -> Patients:
    """Make the patients that the judge takes.

    Parameters
    ----------
    cases : sequence of Case
        As `selected` gives them.
    protocol : Protocol
        With horizon and unit.
    dating : {"right", "midpoint", "grace"}
        When an event found at a scan counts.
    late : bool
        Whether outcomes recorded after the data lock count.

    Returns
    -------
    Patients
        Cohorts are the centres.

    Raises
    ------
    NotEstimable
        If there is nobody.
    """
    outcome = outcome_of(cases, protocol, dating=dating, late=late)
    labels = {
        name: np.array([_label(case, name) for case in cases], dtype=object)
        for name in protocol.analysis.subgroups
    }
    risks = [_risk(case) for case in cases]
    return Patients(
        outcome=outcome,
        horizons=(protocol.endpoint.horizon,),
        time_unit=protocol.endpoint.time_unit,
        risks=np.array(risks, dtype=np.float64)[:, None],
        cohort=np.array([case.subject.centre for case in cases], dtype=object),
        subgroups=labels,
    )


def outcome_of(
    cases: Sequence[Case], protocol: Protocol, *, dating: str, late: bool = False
) -> Outcome:
    """Give the outcomes of patients; no prediction is needed.

    Parameters
    ----------
    cases : sequence of Case
        As `selected` gives them, opened or not.
    protocol : Protocol
        With horizon and unit.
    dating : {"right", "midpoint", "grace"}
        When an event found at a scan counts.
    late : bool
        Whether outcomes recorded after the data lock count.

    Returns
    -------
    Outcome
        Times in the unit of the protocol.

    Raises
    ------
    NotEstimable
        If there is nobody.
    """
    if not cases:
        raise NotEstimable("nobody has both a risk and an outcome")
    unit = protocol.endpoint.time_unit
    data, competing = interval_data(cases, late=late)
    outcome = data.imputed(
        Imputation(dating),
        horizon=protocol.horizon_days,
        grace=protocol.grace_days,
        competing=competing,
    )
    time = np.array([from_days(float(days), unit) for days in outcome.time])
    # an event put on the horizon in days stays on it in months
    time[outcome.time == protocol.horizon_days] = protocol.endpoint.horizon
    return Outcome(time=time, event=outcome.event)


def interval_data(
    cases: Sequence[Case], *, late: bool = False
) -> tuple[IntervalCensored, NDArray[np.int64]]:
    """Say between which days the event of each patient lies.

    Parameters
    ----------
    cases : sequence of Case
        With outcomes.
    late : bool
        Whether outcomes recorded after the data lock count.

    Returns
    -------
    data : IntervalCensored
        In days since enrolment; an event without a stated last negative scan has an exact day.
    competing : ndarray of int64
        2 for patients whose watch ended with the competing event.
    """
    left, right, competing = [], [], []
    for case in cases:
        course = case.late_course if late else case.course
        if course is None:
            raise NotEstimable("a patient without an outcome has no follow-up")
        end = max(float(course.days), _EARLIEST_DAYS)
        if course.kind == "event":
            before = course.last_negative_days
            left.append(end if before is None else min(float(before), end))
            right.append(end)
        else:
            left.append(end)
            right.append(np.inf)
        competing.append(2 if course.kind == "competing" else 0)
    return IntervalCensored(left=left, right=right), np.array(competing, dtype=np.int64)


def _risk(case: Case) -> float:
    if case.prediction is None or case.prediction.risk is None:
        raise NotEstimable("a patient without a risk cannot be judged")
    return case.prediction.risk


def _why_not_enrolled(case: Case) -> str:
    if case.withdrawn:
        return "withdrew before enrolment; payloads deleted"
    content = case.screening or {}
    if content.get("failed"):
        return f"not eligible: {content['failed'][0]['criterion']}"
    return f"eligible, not enrolled: {content.get('not_enrolled') or 'no reason recorded'}"


def _label(case: Case, column: str) -> str | None:
    value = (case.screening or {}).get("values", {}).get(column)
    return None if value is None else str(value)
