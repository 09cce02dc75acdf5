"""The numbers of a prospective study as plain values: the content of ``prospective.json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metastra.digest import digest_bytes
from metastra.errors import NotEstimable
from metastra.evaluation.calibrating import calibration
from metastra.evaluation.draws import Draws
from metastra.evaluation.evaluate import Evaluation, evaluate
from metastra.evaluation.measures import discrimination
from metastra.evaluation.patients import DEFAULT_THRESHOLDS, Patients, Settings
from metastra.evaluation.plan import Declared, Plan
from metastra.ledger.entry import STUDY_CHAIN, Entry, Kind
from metastra.ledger.outcomes import FLAGS, LATE
from metastra.ledger.protocol import Protocol
from metastra.ledger.state import StudyState
from metastra.ledger.store import Ledger
from metastra.pipeline.prospective_cases import (
    Case,
    flow_of_study,
    interval_data,
    patients_of,
    selected,
)
from metastra.pipeline.prospective_looks import begun_analyses, past_looks
from metastra.pipeline.prospective_primary import primary_test
from metastra.storage import csv_bytes
from metastra.survival.interval_sensitivity import dating_sensitivity
from metastra.version import VERSION

__all__ = [
    "RESEARCH_USE",
    "final_document",
    "opened_table",
    "primary_patients",
]

RESEARCH_USE = "Research use only. Not for diagnosis or treatment."
_DATINGS = ("right", "midpoint", "grace")
_NO_DRAWS = Draws(sample=None, reason="the sensitivity analysis is not drawn")


def primary_patients(protocol: Protocol, cases: Sequence[Case]) -> Patients:
    """Choose the patients of the primary analysis.

    Parameters
    ----------
    protocol : Protocol
        With the plan.
    cases : sequence of Case
        Everybody.

    Returns
    -------
    Patients
        For the judge.

    Raises
    ------
    NotEstimable
        If there is nobody.
    """
    plan = protocol.analysis
    chosen = selected(cases, flagged=plan.flagged)
    return patients_of(chosen, protocol, dating=plan.dating)


def final_document(
    ledger: Ledger, state: StudyState, cases: Sequence[Case], begun: Entry
) -> tuple[dict[str, Any], Evaluation]:
    """Compute everything that the report says.

    Parameters
    ----------
    ledger : Ledger
        Of the study.
    state : StudyState
        Of the ledger.
    cases : sequence of Case
        Everybody, opened.
    begun : Entry
        Of the beginning of the analysis.

    Returns
    -------
    document : dict
        Strict JSON.
    evaluation : Evaluation
        Of the primary analysis, with everything that is exploratory.
    """
    protocol = ledger.protocol
    plan = protocol.analysis
    patients = primary_patients(protocol, cases)
    flow = flow_of_study(cases, flagged=plan.flagged)
    settings = Settings(
        bootstrap=plan.bootstrap,
        seed=plan.seed,
        cutpoints=plan.cutpoints,
        thresholds=plan.thresholds or DEFAULT_THRESHOLDS,
        plan=_declared(protocol),
    )
    evaluation = evaluate(
        patients,
        settings,
        bundle=protocol.bundle.digest,
        predictions_sha256=digest_bytes(opened_table(cases)),
        flow={"judged": patients.n},
    )
    judged = evaluation.to_json()
    past = past_looks(state)
    primary = primary_test(patients, plan, past=past)
    primary["interval"] = judged["discrimination"]["auc"][-1]
    frozen = ledger.content(ledger.first) or {}
    document = {
        "schema": "metastra.prospective/1",
        "metastra": VERSION,
        "research_use": RESEARCH_USE,
        "simulated": ledger.first.simulated,
        "study": _about(ledger, begun),
        "protocol": protocol.model_dump(mode="json"),
        "primary": primary,
        "looks": [vars(look) for look in past],
        "analyses": begun_analyses(state, begun),
        "declared": {name: _declared_number(judged, name) for name in plan.secondary},
        "flow": flow,
        "centres": _centres(protocol, state, cases, judged),
        "sensitivity": _sensitivity(protocol, cases),
        "dating": _dating(protocol, cases),
        "flags": _flags(cases),
        "unassessable": _unassessable(cases),
        "course": _course(ledger, state, cases, begun),
        "roc": judged["discrimination"]["roc"],
        "incidence": judged["incidence"],
        "issues": [one for one in judged["checks"] if one["status"] == "issue"],
        "cannot_show": list(frozen.get("design", {}).get("cannot_show", [])),
        "design": frozen.get("design"),
    }
    return document, evaluation


def _declared(protocol: Protocol) -> Plan:
    """Tell the judge what was declared, so that its page marks the rest as exploratory.

    The judge gets no bound: the decision is the sequential test's alone.
    """
    plan, horizon = protocol.analysis, protocol.endpoint.horizon
    return Plan(
        primary=Declared(measure=plan.measure, horizon=horizon),
        secondary=tuple(Declared(measure=name) for name in plan.secondary),
        subgroups=plan.subgroups,
        cutpoints=plan.cutpoints,
        thresholds=plan.thresholds,
        name=protocol.study.name + (" (SIMULATED STUDY)" if protocol.study.simulated else ""),
        digest=protocol.digest,
    )


def _declared_number(judged: dict[str, Any], name: str) -> dict[str, Any]:
    """Find a declared quantity in the judge's numbers."""
    if name in ("harrell", "uno"):
        found = judged["discrimination"][name]
    elif name in ("ipa", "brier"):
        found = judged["overall"][name][-1]
    else:
        found = judged["calibration"][-1][name]
    return dict(found)


def _about(ledger: Ledger, begun: Entry) -> dict[str, Any]:
    study = ledger.protocol.study
    return {
        "id": ledger.first.study,
        "name": study.name,
        "title": study.title or None,
        "registration": study.registration or None,
        "sponsor": study.sponsor or None,
        "began": ledger.first.time,
        "analysed": begun.time,
        "entry": begun.name,
        "head": begun.hash,
        "chains": {
            name: {"entries": number, "head": value}
            for name, (number, value) in ledger.heads().items()
        },
        "anchors": [
            {"entry": e.name, "time": e.time, "as": e.facts["as"], "occasion": e.facts["occasion"]}
            for e in ledger.entries(STUDY_CHAIN)
            if e.kind is Kind.ANCHOR
        ],
    }


def _centres(
    protocol: Protocol, state: StudyState, cases: Sequence[Case], judged: dict[str, Any]
) -> list[dict[str, Any]]:
    rows = []
    for centre in protocol.centre:
        mine = [case for case in cases if case.subject.centre == centre.name]
        part = judged["cohorts"].get(centre.name)
        rows.append(
            {
                "name": centre.name,
                "screened": len(mine),
                "enrolled": state.enrolled(centre.name),
                "withdrawn": sum(case.withdrawn for case in mine),
                "judged": part["n"] if part else 0,
                "events": part["events"] if part else 0,
                "competing": part["competing"] if part else 0,
                "auc": part["discrimination"]["auc"][-1] if part else None,
            }
        )
    return rows


def _sensitivity(protocol: Protocol, cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Repeat the primary quantity and O/E under every other choice, one at a time."""
    plan = protocol.analysis
    other = "include" if plan.flagged == "exclude" else "exclude"
    ways: list[tuple[str, str, str, bool]] = [
        ("primary", plan.flagged, plan.dating, False),
        (f"doubtful outcomes {other}d", other, plan.dating, False),
        ("outcomes recorded after the data lock included", plan.flagged, plan.dating, True),
    ]
    ways += [
        (f"events dated by the rule {dating!r}", plan.flagged, dating, False)
        for dating in _DATINGS
        if dating != plan.dating and (dating != "grace" or protocol.grace_days > 0)
    ]
    rows = []
    for name, flagged, dating, late in ways:
        chosen = selected(cases, flagged=flagged, late=late)
        row: dict[str, Any] = {"name": name, "flagged": flagged, "dating": dating, "late": late}
        try:
            patients = patients_of(chosen, protocol, dating=dating, late=late)
        except NotEstimable as error:
            rows.append(row | {"n": 0, "auc": None, "oe_ratio": None, "reason": error.reason})
            continue
        auc = discrimination(patients, _NO_DRAWS)["auc"][-1]
        ratio = calibration(patients, _NO_DRAWS, Settings(bootstrap=0))[-1]["oe_ratio"]
        rows.append(row | {"n": patients.n, "auc": auc, "oe_ratio": ratio})
    return rows


def _dating(protocol: Protocol, cases: Sequence[Case]) -> dict[str, Any]:
    """Risk by the horizon under every way to date an event found at a scan."""
    data, competing = interval_data(selected(cases, flagged=protocol.analysis.flagged))
    found = dating_sensitivity(
        data,
        protocol.horizon_days,
        grace=protocol.grace_days,
        competing=competing,
        n_draws=200,
        seed=protocol.analysis.seed,
    )
    return {
        "n": found.n,
        "found": found.n_found,
        "straddling": found.n_straddling,
        "rows": [vars(row) | {"reason": row.reason or None} for row in found.rows],
    }


def _flags(cases: Sequence[Case]) -> list[dict[str, Any]]:
    rows = []
    for code, text in FLAGS.items():
        mine = [
            case.subject
            for case in cases
            for course in [case.course or case.late_course]
            if course is not None and code in course.flags
        ]
        rows.append(
            {
                "code": code,
                "text": text,
                "n": len(mine),
                "patients": [f"{one.centre}: {one.key}" for one in mine],
                "decides": code not in (LATE, "PR024"),
            }
        )
    return rows


def _unassessable(cases: Sequence[Case]) -> dict[str, Any]:
    mine = [
        case
        for case in cases
        if case.prediction is not None and case.prediction.risk is None and not case.withdrawn
    ]
    kinds = [case.course.kind for case in mine if case.course is not None]
    return {
        "n": len(mine),
        "events": kinds.count("event"),
        "competing": kinds.count("competing"),
        "without_outcome": len(mine) - len(kinds),
    }


def _course(
    ledger: Ledger, state: StudyState, cases: Sequence[Case], begun: Entry
) -> dict[str, Any]:
    """Gather what happened on the way that a reader should know."""
    enrolled = [case for case in cases if case.subject.enrol is not None]
    return {
        "planned_n": ledger.protocol.study.planned_n,
        "enrolled": len(enrolled),
        "corrections": sum(len(made) for made in state.corrections.values()),
        "withdrawn": sum(case.withdrawn for case in cases),
        "late_outcomes": sum(
            state.is_late(entry) for case in cases for entry in case.subject.outcomes
        ),
        "ineligible_after_correction": sum(
            bool(case.screening and case.screening["failed"]) for case in enrolled
        ),
        "locked": state.lock.time if state.lock else None,
        "attempt": begun.facts["attempt"],
    }


def opened_table(cases: Sequence[Case]) -> bytes:
    """Write the opened predictions by pseudonym.

    Parameters
    ----------
    cases : sequence of Case
        Everybody; who withdrew is left out.

    Returns
    -------
    bytes
        CSV: centre, PATIENT, risk, reason.
    """
    rows = [
        [one.subject.centre, one.subject.key, one.prediction.risk, one.prediction.reason or None]
        for one in cases
        if one.prediction is not None and not one.withdrawn
    ]
    return csv_bytes(["centre", "PATIENT", "risk", "reason"], rows)
