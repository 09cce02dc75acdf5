"""Screening, enrolment and outcomes: from the rows of a table to entries, all rows or none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np

from metastra.errors import LockedError
from metastra.ledger.criteria import failures
from metastra.ledger.entry import Entry, Kind
from metastra.ledger.state import StudyState, Subject, replay
from metastra.ledger.store import Author, Draft, Ledger
from metastra.ledger.table_rows import (
    DATE,
    EVENT,
    LAST_NEGATIVE,
    REASON,
    Recorded,
    Source,
    TableRows,
)

__all__ = ["enrol", "record_outcomes", "refuse_after_lock", "screen"]


def refuse_after_lock(state: StudyState) -> None:
    """Refuse what a locked study may not take any more.

    Parameters
    ----------
    state : StudyState
        Of the study.

    Raises
    ------
    LockedError
        If the data are locked.
    """
    if state.lock is not None:
        raise LockedError(
            f"the data are locked since {state.lock.time} ({state.lock.name}); only outcomes, "
            "corrections and withdrawals can still be recorded"
        )


def screen(ledger: Ledger, source: Source, author: Author) -> Recorded:
    """Record patients who were looked at for the study, eligible or not.

    Parameters
    ----------
    ledger : Ledger
        Open for writing.
    source : Source
        Columns PATIENT, DATE and those of the criteria; optionally NOT_ENROLLED, why an eligible
        patient does not take part.
    author : Author
        Who records.

    Returns
    -------
    Recorded
        One entry for each new patient, with consecutive numbers.

    Raises
    ------
    DataError
        With every fault of every row; nothing is written then.
    LockedError
        If the data are locked.
    """
    state = replay(ledger)
    refuse_after_lock(state)
    protocol = ledger.protocol
    protocol.centre_named(source.centre)
    wanted = tuple(dict.fromkeys(rule.column for rule in protocol.criterion))
    rows = TableRows(source, (DATE, *wanted, *protocol.analysis.subgroups))
    days = rows.days(DATE, until=author.moment.date())
    known = _known(state, source.centre)
    number = sum(one.screen is not None for one in known.values())
    drafts: list[Draft] = []
    unchanged = 0
    for row, patient in rows:
        values = {name: rows.cell(name, row) for name in (*wanted, *protocol.analysis.subgroups)}
        for rule in protocol.criterion:
            if not rule.readable(values[rule.column]):
                text = f"criterion {rule.name!r} needs a number"
                rows.wrong("PR002", row, text, rule.column)
        if np.isnat(days[row]) or not _readable(protocol.criterion, values):
            continue
        failed = failures(protocol.criterion, values)
        content = {
            "date": str(days[row]),
            "values": values,
            "failed": failed,
            "not_enrolled": rows.cell(REASON, row),
        }
        mine = known.get(patient)
        if mine is not None and mine.screen is not None:
            if _same(state, ledger, mine.screen, content):
                unchanged += 1
            else:
                rows.wrong("PR003", row, _already("screened", mine, mine.screen))
            continue
        number += 1
        facts: dict[str, str | int | bool] = {"number": number, "eligible": not failed}
        drafts.append(Draft(kind=Kind.SCREEN, patient=patient, facts=facts, content=content))
    return _written(ledger, source, rows, drafts, unchanged, author)


def enrol(ledger: Ledger, source: Source, author: Author) -> Recorded:
    """Enrol screened, eligible patients.

    Parameters
    ----------
    ledger : Ledger
        Open for writing.
    source : Source
        Columns PATIENT and DATE: the day of enrolment, where the clock starts.
    author : Author
        Who records.

    Returns
    -------
    Recorded
        One entry for each new patient, with consecutive numbers.

    Raises
    ------
    DataError
        With every fault of every row; nothing is written then.
    LockedError
        If the data are locked.
    """
    state = replay(ledger)
    refuse_after_lock(state)
    rows = TableRows(source, (DATE,))
    days = rows.days(DATE, until=author.moment.date())
    known = _known(state, source.centre)
    number = state.enrolled(source.centre)
    room = _room(ledger, state, source.centre)
    accrual = ledger.protocol.accrual
    drafts: list[Draft] = []
    unchanged = 0
    for row, patient in rows:
        mine = known.get(patient)
        if np.isnat(days[row]) or not _enrollable(ledger, state, rows, row, mine):
            continue
        content = {"date": str(days[row])}
        if mine is not None and mine.enrol is not None:
            if _same(state, ledger, mine.enrol, content):
                unchanged += 1
            else:
                rows.wrong("PR004", row, _already("enrolled", mine, mine.enrol))
            continue
        if not accrual.first_day <= date.fromisoformat(content["date"]) <= accrual.last_day:
            text = f"accrual is from {accrual.first_day} to {accrual.last_day}"
            rows.wrong("PR006", row, text, DATE)
        if len(drafts) >= room:
            rows.wrong("PR007", row, "the planned number of patients is reached")
        number += 1
        drafts.append(
            Draft(kind=Kind.ENROL, patient=patient, facts={"number": number}, content=content)
        )
    return _written(ledger, source, rows, drafts, unchanged, author)


def record_outcomes(ledger: Ledger, source: Source, author: Author) -> Recorded:
    """Record what became of enrolled patients; nothing is refused for what it says or when.

    Parameters
    ----------
    ledger : Ledger
        Open for writing.
    source : Source
        Columns PATIENT, DATE (of the event, or the last day without it), EVENT (a code of the
        protocol), optionally LAST_NEGATIVE; a patient may have several rows.
    author : Author
        Who records.

    Returns
    -------
    Recorded
        One entry for each new row.

    Raises
    ------
    DataError
        With every row that cannot be read, or belongs to nobody in the study.
    """
    state = replay(ledger)
    codes = ledger.protocol.endpoint.codes
    rows = TableRows(source, (DATE, EVENT), unique=False)
    days = rows.days(DATE, until=None)
    has_scans = rows.table.has(LAST_NEGATIVE)
    scans = rows.days(LAST_NEGATIVE, until=None) if has_scans else None
    known = _known(state, source.centre)
    said = _recorded_before(ledger, state, known)
    drafts: list[Draft] = []
    unchanged = 0
    for row, patient in rows:
        mine = known.get(patient)
        if mine is None or mine.enrol is None:
            rows.wrong("PR008", row, "no such patient is enrolled at this centre")
            continue
        if mine.withdraw is not None:
            rows.wrong("PR014", row, "the patient has withdrawn")
            continue
        cell = rows.cell(EVENT, row)
        if cell is None or cell not in codes:
            text = "there is no code" if cell is None else "a code that the protocol does not have"
            rows.wrong("PR012", row, f"{text}; it has {', '.join(map(repr, codes))}", EVENT)
            continue
        if np.isnat(days[row]):
            continue
        content = {"date": str(days[row]), "kind": codes[cell], "last_negative": None}
        if scans is not None and not np.isnat(scans[row]):
            content["last_negative"] = str(scans[row])
        if content in said.setdefault(patient, []):
            unchanged += 1
            continue
        said[patient].append(content)
        drafts.append(Draft(kind=Kind.OUTCOME, patient=patient, content=content))
    return _written(ledger, source, rows, drafts, unchanged, author)


def _written(
    ledger: Ledger,
    source: Source,
    rows: TableRows,
    drafts: list[Draft],
    unchanged: int,
    author: Author,
) -> Recorded:
    warnings = rows.refuse()
    digests = {"table": f"sha256:{rows.table.digest}"}
    bound = [
        Draft(
            kind=one.kind,
            patient=one.patient,
            facts=one.facts,
            digests=digests,
            content=one.content,
        )
        for one in drafts
    ]
    entries = ledger.append(source.centre, bound, author)
    return Recorded(entries=tuple(entries), unchanged=unchanged, problems=warnings)


def _known(state: StudyState, centre: str) -> dict[str, Subject]:
    return {one.key: one for one in state.of_centre(centre)}


def _recorded_before(
    ledger: Ledger, state: StudyState, known: Mapping[str, Subject]
) -> dict[str, list[dict[str, Any]]]:
    """Gather what outcome entries said, and what they say after their corrections."""
    said: dict[str, list[dict[str, Any]]] = {}
    for key, mine in known.items():
        for entry in mine.outcomes:
            for content in (ledger.content(entry), state.current(ledger, entry)):
                if content is not None:
                    said.setdefault(key, []).append(dict(content))
    return said


def _same(state: StudyState, ledger: Ledger, entry: Entry, content: Mapping[str, Any]) -> bool:
    versions = (ledger.content(entry), state.current(ledger, entry))
    return any(version is not None and dict(version) == content for version in versions)


def _already(what: str, mine: Subject, entry: Entry) -> str:
    if mine.withdraw is not None:
        return f"the patient was {what} and has withdrawn"
    return f"the patient was {what} already, with other values ({entry.name})"


def _readable(criteria: Any, values: Mapping[str, str | None]) -> bool:
    return all(rule.readable(values[rule.column]) for rule in criteria)


def _enrollable(
    ledger: Ledger, state: StudyState, rows: TableRows, row: int, mine: Subject | None
) -> bool:
    if mine is None or mine.screen is None:
        rows.wrong("PR005", row, "the patient was not screened at this centre")
        return False
    if mine.withdraw is not None:
        rows.wrong("PR014", row, "the patient has withdrawn")
        return False
    content = state.current(ledger, mine.screen) or {}
    if mine.enrol is None and not mine.eligible:
        first = (content.get("failed") or [{"criterion": "a criterion"}])[0]
        text = f"the patient is not eligible: {first['criterion']} does not hold"
        rows.wrong("PR005", row, text)
        return False
    if mine.enrol is None and content.get("not_enrolled"):
        rows.wrong("PR005", row, "the screening says that the patient does not take part")
        return False
    return True


def _room(ledger: Ledger, state: StudyState, centre: str) -> int:
    protocol = ledger.protocol
    room = protocol.study.planned_n - state.enrolled()
    mine = protocol.centre_named(centre).planned_n
    return room if mine is None else min(room, mine - state.enrolled(centre))
