"""Who is analysed and with which endpoint: criteria, endpoint, resolutions, flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from metastra.cohort.assemble import CohortPart
from metastra.cohort.endpoint_built import BuiltEndpoint
from metastra.cohort.endpoint_enough import enough_problems
from metastra.cohort.exclusions import apply_exclusions
from metastra.cohort.flow import CohortFlow, Leaving, flow_of
from metastra.cohort.hierarchy import Patient
from metastra.cohort.identifiers import normalise_id
from metastra.cohort.leakage import patients_elsewhere
from metastra.cohort.part_endpoint import Ending, ending_of
from metastra.cohort.resolution import Resolved, resolve
from metastra.cohort.withdrawn import withdrawn_patients, withdrawn_problem
from metastra.errors import Problem, Severity
from metastra.study.sections import Resolution
from metastra.study.study import Study

__all__ = ["Endings", "endings_of"]


@dataclass(frozen=True, kw_only=True)
class Endings:
    """The analysed patients of all cohorts, with what was left out and why.

    Parameters
    ----------
    patients : tuple of Patient
        Analysed ones, in the order of cohorts and tables.
    time_days, event : ndarray of shape (n,)
        As in `Cohort`; empty for endpoints other than survival.
    entry_days : ndarray of shape (n,) or None
        Delayed entry.
    target : ndarray of shape (n,) or None
        For endpoints other than survival.
    flows : tuple of CohortFlow
        One for each cohort.
    problems : tuple of Problem
        All, after resolution.
    applied : tuple of (Resolution, tuple of str)
        Each resolution with the pseudonyms it was applied to.
    """

    patients: tuple[Patient, ...]
    time_days: NDArray[np.float64]
    event: NDArray[np.int64]
    entry_days: NDArray[np.float64] | None
    target: NDArray[np.float64] | None
    flows: tuple[CohortFlow, ...]
    problems: tuple[Problem, ...]
    applied: tuple[tuple[Resolution, tuple[str, ...]], ...]


@dataclass
class _Analysed:
    """Collects the analysed patients cohort by cohort."""

    patients: list[Patient] = field(default_factory=list)
    time: list[float] = field(default_factory=list)
    event: list[int] = field(default_factory=list)
    entry: list[float] = field(default_factory=list)
    target: list[float] = field(default_factory=list)
    flows: list[CohortFlow] = field(default_factory=list)


def endings_of(study: Study, parts: Sequence[CohortPart], problems: Sequence[Problem]) -> Endings:
    """Apply criteria, build the endpoint, apply resolutions and count.

    Parameters
    ----------
    study : Study
        What was promised.
    parts : sequence of CohortPart
        One for each cohort.
    problems : sequence of Problem
        Found so far.

    Returns
    -------
    Endings
        Of everybody who can be analysed; whether the data are refused is the caller's question.

    Notes
    -----
    A patient leaves by the first of: having withdrawn, a criterion of the study file (in its
    order), being kept in another cohort, a resolution that excludes, not being at risk at time
    zero.  Endpoint problems of patients who left by a criterion are not looked for: their endpoint
    is not used.
    """
    found = list(problems)
    gone: list[dict[str, Leaving]] = []
    endings: list[Ending] = []
    withdrawn = withdrawn_patients(study)
    found += withdrawn_problem(withdrawn, [p for part in parts for p in part.patients])
    elsewhere = patients_elsewhere(study, [part.patients for part in parts])
    for part in parts:
        mine = {
            patient.pseudonym: _leaving(patient, "withdrawn", "withdrawn", -1)
            for patient in part.patients
            if (patient.cohort, patient.pseudonym) in withdrawn
        }
        leavings, more = apply_exclusions(
            [patient for patient in part.patients if patient.pseudonym not in mine],
            study.exclude,
            lambda patient, name: patient.values.get(name),
            file=part.section.clini_table,
        )
        found += more
        mine |= {item.pseudonym: item for item in leavings}
        for patient in part.patients:
            if (patient.cohort, patient.pseudonym) in elsewhere:
                reason = f"is kept in cohort {elsewhere[patient.cohort, patient.pseudonym]}"
                mine.setdefault(patient.pseudonym, _leaving(patient, reason, "overlap", 1000))
        ending = ending_of(study, part, without=frozenset(mine))
        found += ending.problems
        gone.append(mine)
        endings.append(ending)
    found = _of_excluded(found, parts, gone)
    found += _enough(study, parts, endings)
    resolved = _resolve(study, parts, found)
    analysed = _Analysed()
    for part, mine, ending in zip(parts, gone, endings, strict=True):
        _collect(analysed, part, mine, ending, resolved)
    delayed = any(value > 0 for value in analysed.entry)
    return Endings(
        patients=tuple(analysed.patients),
        time_days=np.array(analysed.time, dtype=np.float64),
        event=np.array(analysed.event, dtype=np.int64),
        entry_days=np.array(analysed.entry, dtype=np.float64) if delayed else None,
        target=np.array(analysed.target) if study.endpoint.kind != "survival" else None,
        flows=tuple(analysed.flows),
        problems=resolved.problems,
        applied=resolved.applied,
    )


def _leaving(patient: Patient, reason: str, stage: str, order: int) -> Leaving:
    return Leaving(pseudonym=patient.pseudonym, reason=reason, stage=stage, order=order)


def _of_excluded(
    found: Sequence[Problem], parts: Sequence[CohortPart], gone: Sequence[dict[str, Leaving]]
) -> list[Problem]:
    """Turn warnings that speak only of patients who left by a criterion into notes."""
    left = {part.section.name: set(mine) for part, mine in zip(parts, gone, strict=True)}
    return [
        replace(item, severity=Severity.NOTE, hint="All of them are excluded by a criterion.")
        if item.severity is Severity.WARN
        and item.patients
        and set(item.patients) <= left.get(item.where.cohort, set())
        else item
        for item in found
    ]


def _resolve(study: Study, parts: Sequence[CohortPart], found: Sequence[Problem]) -> Resolved:
    already = [
        tuple(name for part in parts for name in _at(part.tables.set_patients, index))
        for index in range(len(study.resolve))
    ]
    names: dict[str, set[str]] = {}
    for part in parts:
        for patient in part.patients:
            names.setdefault(patient.id, set()).add(patient.pseudonym)
    return resolve(
        found,
        study.resolve,
        pseudonyms=lambda name: frozenset(names.get(normalise_id(name), ())),
        already_set=already,
    )


def _at(items: Sequence[tuple[str, ...]], index: int) -> tuple[str, ...]:
    return items[index] if index < len(items) else ()


def _enough(study: Study, parts: Sequence[CohortPart], endings: Sequence[Ending]) -> list[Problem]:
    """Judge numbers of events and follow-up at the horizons."""
    built: dict[str, BuiltEndpoint] = {
        part.section.name: ending.built
        for part, ending in zip(parts, endings, strict=True)
        if ending.built is not None
    }
    if not built:
        return []
    parameters = sum(
        max(len(column.levels) - 1, 1) if column.kind == "categorical" else 1
        for column in study.clinical.values()
    )
    settings = study.validation
    drawn = not (settings.fold_files or settings.leave_one_cohort_out or settings.temporal_column)
    return enough_problems(
        built,
        {part.section.name: part.section.role for part in parts},
        horizons_days=study.horizons_days,
        unit=study.endpoint.time_unit,
        folds=settings.folds if drawn else 0,
        parameters=parameters,
    )


def _collect(
    analysed: _Analysed,
    part: CohortPart,
    gone: dict[str, Leaving],
    ending: Ending,
    resolved: Resolved,
) -> None:
    """Add one cohort's analysed patients and its flow."""
    leavings = dict(gone)
    before = len(analysed.patients)
    counts = {1: 0, 2: 0}
    for patient in part.patients:
        key = (patient.cohort, patient.pseudonym)
        if patient.pseudonym in leavings:
            continue
        if key in resolved.excluded:
            reason = resolved.excluded[key]
            leavings[patient.pseudonym] = _leaving(patient, reason, "resolution", 2000)
            continue
        end = ending.end_of(patient.pseudonym, use_status=key in resolved.use_status)
        if end.reason:
            leavings[patient.pseudonym] = _leaving(patient, end.reason, "endpoint", 3000)
            continue
        analysed.patients.append(patient)
        if ending.built is None:
            analysed.target.append(end.target)
        else:
            analysed.time.append(end.time_days)
            analysed.event.append(end.event)
            analysed.entry.append(end.entry_days)
        if end.event in counts:
            counts[end.event] += 1
    used = analysed.patients[before:]
    analysed.flows.append(
        flow_of(
            cohort=part.section.name,
            role=part.section.role,
            n_listed=len(part.patients),
            leavings=list(leavings.values()),
            n_events=counts[1],
            n_competing=counts[2],
            n_slides_listed=part.n_slides_listed,
            n_slides_used=sum(len(patient.slides) for patient in used),
        )
    )
