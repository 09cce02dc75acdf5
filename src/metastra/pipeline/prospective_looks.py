"""What the entries that begin an analysis say: looks, events and error, with nothing opened."""

from __future__ import annotations

from typing import Any

from metastra.ledger.entry import Entry
from metastra.ledger.state import StudyState
from metastra.ledger.store import Ledger
from metastra.pipeline.prospective_cases import cases_of, outcome_of, selected
from metastra.pipeline.prospective_primary import PastLook, events_by

__all__ = ["begun_analyses", "past_looks", "sealed_events"]


def past_looks(state: StudyState, *, before: int | None = None) -> list[PastLook]:
    """List the interim looks that were begun, reported or not: one for each number.

    Parameters
    ----------
    state : StudyState
        Of the ledger.
    before : int, optional
        Only looks with a smaller number.

    Returns
    -------
    list of PastLook
        In order; events and error as the last attempt stated them before anything was opened.
    """
    begun: dict[int, list[Entry]] = {}
    for entry in state.analyses:
        if entry.facts.get("look") != "final":
            begun.setdefault(int(entry.facts["look"]), []).append(entry)
    found = []
    for look, entries in sorted(begun.items()):
        if before is not None and look >= before:
            continue
        last = entries[-1]
        report = state.report_of(last)
        found.append(
            PastLook(
                look=look,
                name=str(last.facts["name"]),
                events=int(last.facts["events"]),
                spent=max(float(one.facts["spent"]) for one in entries),
                entry=last.name,
                attempts=len(entries),
                reported=report is not None,
                reached=None if report is None else bool(report.facts["reached"]),
            )
        )
    return found


def sealed_events(ledger: Ledger, state: StudyState) -> int:
    """Count the events of the primary analysis without opening a prediction.

    Parameters
    ----------
    ledger : Ledger
        Of the study.
    state : StudyState
        Of the ledger.

    Returns
    -------
    int
        By the horizon.

    Raises
    ------
    NotEstimable
        If nobody has both a risk and an outcome.
    """
    plan = ledger.protocol.analysis
    chosen = selected(cases_of(ledger, state, None), flagged=plan.flagged)
    outcome = outcome_of(chosen, ledger.protocol, dating=plan.dating)
    return events_by(outcome, ledger.protocol.endpoint.horizon)


def begun_analyses(state: StudyState, now: Entry) -> list[dict[str, Any]]:
    """List every beginning of an analysis.

    Parameters
    ----------
    state : StudyState
        Before the analysis that runs.
    now : Entry
        That began the analysis that runs.

    Returns
    -------
    list of dict
        In order; ``reported`` says whether the report followed.
    """
    return [
        {
            "look": entry.facts["look"],
            "attempt": entry.facts["attempt"],
            "entry": entry.name,
            "time": entry.time,
            "events": entry.facts["events"],
            "spent": float(entry.facts["spent"]),
            "reported": entry is now or state.report_of(entry) is not None,
        }
        for entry in [*state.analyses, now]
    ]
