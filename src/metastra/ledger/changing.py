"""Corrections, which supersede and never edit, and withdrawals, which delete payloads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from metastra.catalogue import problem
from metastra.errors import DataError, Problem, Where
from metastra.ledger.criteria import failures
from metastra.ledger.entry import Entry, Kind
from metastra.ledger.opening import forget
from metastra.ledger.protocol import Protocol
from metastra.ledger.state import Subject, replay
from metastra.ledger.store import Author, Draft, Ledger
from metastra.ledger.table_rows import DATE, EVENT, LAST_NEGATIVE, REASON

__all__ = ["correct", "withdraw"]

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CORRECTABLE = (Kind.SCREEN, Kind.ENROL, Kind.OUTCOME)


def correct(
    ledger: Ledger, name: str, changes: Mapping[str, str], reason: str, author: Author
) -> Entry:
    """Supersede an entry; the earlier one stays in the ledger and can be read.

    Parameters
    ----------
    ledger : Ledger
        Open for writing.
    name : str
        Of the entry, ``north:17``: a screening, an enrolment or an outcome.
    changes : mapping of str to str
        New values by column, as the table would have them; empty text for none.
    reason : str
        Why.
    author : Author
        Who corrects.

    Returns
    -------
    Entry
        The correction.

    Raises
    ------
    ConfigError
        If there is no such entry.
    DataError
        With everything that is wrong.
    """
    state = replay(ledger)
    entry = ledger.find(name)
    mine = state.subjects.get((entry.chain, str(entry.patient)))
    where = Where(file=name)
    if entry.kind not in _CORRECTABLE or mine is None:
        raise DataError(
            "this entry is not corrected",
            [
                problem(
                    "PR015",
                    f"entry {name} is a {entry.kind}",
                    where=where,
                    expected="a screening, an enrolment or an outcome",
                )
            ],
        )
    if mine.withdraw is not None:
        raise DataError(
            "this entry is not corrected",
            [problem("PR014", "the patient has withdrawn", where=where)],
        )
    before = state.current(ledger, entry) or {}
    content, problems = _changed(ledger.protocol, entry, before, changes)
    if not reason.strip():
        problems.append(problem("PR015", "there is no reason for the correction", where=where))
    if not problems and content == dict(before):
        problems.append(problem("PR015", "the correction changes nothing", where=where))
    if problems:
        raise DataError("the correction cannot be recorded; nothing was written", problems)
    facts: dict[str, str | int | bool] = {"corrects": name}
    if entry.kind is Kind.SCREEN:
        facts["eligible"] = not content["failed"]
    draft = Draft(
        kind=Kind.CORRECT,
        patient=entry.patient,
        facts=facts,
        content={"content": content, "reason": reason},
    )
    return ledger.append(entry.chain, [draft], author)[0]


def withdraw(ledger: Ledger, centre: str, patient: str, author: Author) -> tuple[Entry, int]:
    """Record a withdrawal and delete every payload of the patient.

    Parameters
    ----------
    ledger : Ledger
        Open for writing.
    centre : str
        Of the patient.
    patient : str
        Pseudonym.
    author : Author
        Who records.

    Returns
    -------
    entry : Entry
        The withdrawal: it has no payload.
    deleted : int
        Payloads that were deleted; their commitments stay.

    Raises
    ------
    DataError
        If the centre has no such patient, or the patient has withdrawn before.
    """
    ledger.protocol.centre_named(centre)
    mine: Subject | None = replay(ledger).subjects.get((centre, patient))
    if mine is None or mine.withdraw is not None:
        code, text = "PR008", f"the centre {centre!r} has no such patient"
        if mine is not None:
            code, text = "PR014", "the patient has withdrawn before"
        raise DataError("no withdrawal was recorded", [problem(code, text, patients=(patient,))])
    entry = ledger.append(centre, [Draft(kind=Kind.WITHDRAW, patient=patient)], author)[0]
    return entry, forget(ledger, centre, patient)


def _changed(
    protocol: Protocol, entry: Entry, before: Mapping[str, Any], changes: Mapping[str, str]
) -> tuple[dict[str, Any], list[Problem]]:
    content = dict(before)
    problems = []
    if entry.kind is Kind.SCREEN:
        content["values"] = dict(before["values"])
    for column, text in changes.items():
        found = _set(protocol, entry.kind, content, column, text.strip())
        if found:
            where = Where(file=entry.name, column=column)
            problems.append(problem("PR015", found, where=where))
    if entry.kind is Kind.SCREEN and not problems:
        content["failed"] = failures(protocol.criterion, content["values"])
    return content, problems


def _set(protocol: Protocol, kind: Kind, content: dict[str, Any], column: str, text: str) -> str:
    """Change one value; say what is wrong with it."""
    known = _columns(protocol, kind)
    if column not in known:
        return f"a {kind} has no column {column!r}; it has {', '.join(known)}"
    if column == DATE or (column == LAST_NEGATIVE and text):
        if not _is_day(text):
            return f"{text!r} is not a date as 2026-01-30"
        content["date" if column == DATE else "last_negative"] = text
    elif column == LAST_NEGATIVE:
        content["last_negative"] = None
    elif column == EVENT:
        codes = protocol.endpoint.codes
        if text not in codes:
            return f"{text!r} is no code of the protocol; it has {', '.join(map(repr, codes))}"
        content["kind"] = codes[text]
    elif column == REASON:
        content["not_enrolled"] = text or None
    else:
        rules = [rule for rule in protocol.criterion if rule.column == column]
        if not all(rule.readable(text or None) for rule in rules):
            return f"{text!r} is no number"
        content["values"][column] = text or None
    return ""


def _columns(protocol: Protocol, kind: Kind) -> tuple[str, ...]:
    if kind is Kind.ENROL:
        return (DATE,)
    if kind is Kind.OUTCOME:
        return (DATE, EVENT, LAST_NEGATIVE)
    rules = [rule.column for rule in protocol.criterion]
    return (DATE, REASON, *dict.fromkeys((*rules, *protocol.analysis.subgroups)))


def _is_day(text: str) -> bool:
    if not _DAY.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
