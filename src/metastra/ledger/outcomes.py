"""What became of a patient: all outcome records together, and which of them a reader must know of.

An outcome is never refused for its content or its time, because refusing would select on it.  What
is odd about one is a flag; the analysis runs with and without the flagged patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from metastra.ledger.entry import Entry
from metastra.ledger.state import StudyState, Subject
from metastra.ledger.store import Ledger

__all__ = ["FLAGS", "LATE", "Course", "Record", "course_of"]

FLAGS = {
    "PR021": "the event is dated before the prediction",
    "PR022": "the outcome was recorded before the prediction",
    "PR023": "an outcome was recorded after the data lock",
    "PR024": "a later record says that there was no event",
    "PR025": "a record is dated after the day on which it was recorded",
    "PR026": "a record is dated before the enrolment",
}
"""Codes of what can be odd about outcomes."""

LATE = "PR023"
_DECIDES = ("PR021", "PR022", "PR025", "PR026")
"""Flags for which the analysis is run with and without the patient."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One outcome record after its corrections.

    Parameters
    ----------
    entry : Entry
        That recorded it first.
    day : date
        Of the event, or the last day without it.
    kind : str
        censored, event or competing.
    last_negative : date or None
        Last scan without the event.
    """

    entry: Entry
    day: date
    kind: str
    last_negative: date | None


@dataclass(frozen=True, kw_only=True)
class Course:
    """A patient's follow-up from enrolment.

    Parameters
    ----------
    enrolled : date
        Where the clock starts.
    day : date
        Of the first event, or of the last contact.
    kind : str
        censored, event or competing.
    last_negative : date or None
        Last scan without the event, before it.
    flags : tuple of str
        Codes of `FLAGS`.
    """

    enrolled: date
    day: date
    kind: str
    last_negative: date | None
    flags: tuple[str, ...]

    @property
    def days(self) -> int:
        """From enrolment to `day`; negative where it is dated before."""
        return (self.day - self.enrolled).days

    @property
    def last_negative_days(self) -> int | None:
        """From enrolment to the last scan without the event; 0 where it was before."""
        if self.last_negative is None:
            return None
        return max(0, (self.last_negative - self.enrolled).days)

    @property
    def doubtful(self) -> bool:
        """Whether the analysis runs with and without this patient."""
        return any(code in _DECIDES for code in self.flags)


def course_of(
    ledger: Ledger, state: StudyState, subject: Subject, *, late: bool = False
) -> Course | None:
    """Put the outcome records of a patient together.

    Parameters
    ----------
    ledger : Ledger
        Open.
    state : StudyState
        Of the ledger.
    subject : Subject
        The patient.
    late : bool
        Whether records made after the data lock count.

    Returns
    -------
    Course or None
        None where nothing is recorded, or the payloads were deleted.

    Notes
    -----
    The first event by date decides, whatever order the records came in; on one day the event of
    interest comes before the competing event.  Without an event the latest day counts.  The last
    scan without the event is the latest one before it in any record.
    """
    if subject.enrol is None:
        return None
    enrolment = state.current(ledger, subject.enrol, late=late)
    counted = _records(ledger, state, subject, late=late)
    if enrolment is None or not counted:
        return None
    enrolled = date.fromisoformat(enrolment["date"])
    events = sorted(
        (r for r in counted if r.kind != "censored"), key=lambda r: (r.day, r.kind != "event")
    )
    decisive = events[0] if events else max(counted, key=lambda r: r.day)
    flags = set(_flags(subject, decisive, enrolled))
    if events and any(r.kind == "censored" and r.day > decisive.day for r in counted):
        flags.add("PR024")
    if any(state.is_late(e) for e in _all_entries(state, subject)):
        flags.add(LATE)
    scans = [r.last_negative for r in counted if r.last_negative is not None]
    before = [day for day in scans if day < decisive.day] if decisive.kind == "event" else []
    return Course(
        enrolled=enrolled,
        day=decisive.day,
        kind=decisive.kind,
        last_negative=max(before) if before else None,
        flags=tuple(sorted(flags)),
    )


def _records(ledger: Ledger, state: StudyState, subject: Subject, *, late: bool) -> list[Record]:
    found = []
    for entry in subject.outcomes:
        content = state.current(ledger, entry, late=late)
        if content is None or (state.is_late(entry) and not late):
            continue
        negative = content.get("last_negative")
        found.append(
            Record(
                entry=entry,
                day=date.fromisoformat(content["date"]),
                kind=str(content["kind"]),
                last_negative=date.fromisoformat(negative) if negative else None,
            )
        )
    return found


def _all_entries(state: StudyState, subject: Subject) -> list[Entry]:
    mine = list(subject.outcomes)
    return mine + [one for entry in mine for one in state.corrections.get(entry.name, [])]


def _flags(subject: Subject, record: Record, enrolled: date) -> list[str]:
    found = []
    predicted = subject.predict
    if predicted is not None and record.kind != "censored":
        if record.day < predicted.at.date():
            found.append("PR021")
        if record.entry.number < predicted.number:
            found.append("PR022")
    if record.day > record.entry.at.date():
        found.append("PR025")
    if record.day < enrolled:
        found.append("PR026")
    return found
