"""Where a prospective study stands, and whether its ledger holds; nothing is opened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from metastra.ledger.chain import LEDGER
from metastra.ledger.entry import STUDY_CHAIN, Kind
from metastra.ledger.opening import opened
from metastra.ledger.state import StudyState, replay
from metastra.ledger.store import Ledger
from metastra.ledger.verifying import Verification, verify_ledger
from metastra.pipeline.prospective import Writer
from metastra.pipeline.prospective_looks import past_looks
from metastra.signing import TrustList

__all__ = ["study_status", "verified"]


def study_status(folder: Path, *, at: str = "") -> dict[str, Any]:
    """Count patients by centre and say what is due.

    Parameters
    ----------
    folder : Path
        Of the study.
    at : str
        A stated time, for a simulated study.

    Returns
    -------
    dict
        Plain values; ``due`` is a list of sentences.

    Raises
    ------
    ConfigError
        If the folder has no ledger.
    IntegrityError
        If a chain is broken.
    """
    ledger = opened(folder)
    state = replay(ledger)
    now = Writer(at=at).moment(simulated=ledger.first.simulated)
    return {
        "study": ledger.first.study,
        "name": ledger.protocol.study.name,
        "simulated": ledger.first.simulated,
        "bundle": ledger.protocol.bundle.digest,
        "planned_n": ledger.protocol.study.planned_n,
        "enrolled": state.enrolled(),
        "centres": [_centre(state, centre.name) for centre in ledger.protocol.centre],
        "locked": state.lock.time if state.lock else None,
        "analysed": next((entry.time for entry in state.final_reports()), None),
        "due": _due(ledger, state, now),
    }


def verified(
    folder: Path,
    *,
    receipts: Sequence[Path] = (),
    roots: Sequence[Path] = (),
    report: Path | None = None,
    trusted: TrustList | None = None,
    at: str = "",
) -> Verification:
    """Verify a ledger at the time of the clock, or at a stated one in a simulated study.

    Parameters
    ----------
    folder, receipts, roots, report, trusted
        As `metastra.ledger.verifying.verify_ledger`.
    at : str
        A stated time, for a simulated study.

    Returns
    -------
    Verification
        With every problem.
    """
    first = verify_ledger(folder, receipts=receipts, roots=roots, report=report, trusted=trusted)
    # the clock of this machine says nothing about the anchors of a played study
    if (first.simulated and not at) or not (folder / LEDGER).exists():
        return first
    now = Writer(at=at).moment(simulated=first.simulated)
    return verify_ledger(
        folder, receipts=receipts, roots=roots, report=report, trusted=trusted, now=now
    )


def _centre(state: StudyState, name: str) -> dict[str, Any]:
    mine = state.of_centre(name)
    enrolled = [one for one in mine if one.enrol is not None]
    return {
        "name": name,
        "screened": len(mine),
        "enrolled": len(enrolled),
        "predicted": sum(one.predict is not None for one in enrolled),
        "not_assessable": sum(one.predict is not None and not one.assessable for one in enrolled),
        "with_outcome": sum(bool(one.outcomes) for one in enrolled),
        "withdrawn": sum(one.withdraw is not None for one in mine),
    }


def _due(ledger: Ledger, state: StudyState, now: datetime) -> list[str]:
    plan, today = ledger.protocol.analysis, now.date()
    if next(state.final_reports(), None) is not None:
        return []
    due = []
    waiting = [
        one.key
        for one in state.subjects.values()
        if one.enrol is not None and one.predict is None and one.withdraw is None
    ]
    if waiting:
        due.append(f"{len(waiting)} enrolled patients have no prediction ({waiting[0]} …)")
    last = [e for e in ledger.entries(STUDY_CHAIN) if e.kind is Kind.ANCHOR] or [ledger.first]
    age = (now - last[-1].at).days
    if age > ledger.protocol.anchors.every_days:
        due.append(f"an anchor: the last one ({last[-1].name}) is {age} days old")
    begun = past_looks(state)
    due += [
        f"the report of look {one.look} ({one.name}): {one.entry} began it and its error is spent"
        for one in begun
        if not one.reported
    ]
    for number, look in enumerate(plan.interim, start=1):
        if number > len(begun) and look.not_before <= today and state.lock is None:
            due.append(f"look {number} ({look.name}), planned from {look.not_before} on")
    if plan.not_before <= today:
        due.append("the data lock" if state.lock is None else "the analysis")
    return due
