"""The endpoint of one cohort, built from recorded events or taken from finished columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from metastra.cohort.assemble import CohortPart
from metastra.cohort.declared_columns import column_namer
from metastra.cohort.endpoint import build_endpoint
from metastra.cohort.endpoint_built import BuiltEndpoint
from metastra.cohort.endpoint_compare import compare_status
from metastra.cohort.endpoint_status import status_endpoint
from metastra.cohort.hierarchy import Patient
from metastra.cohort.reading import take_records
from metastra.cohort.tables import Table
from metastra.cohort.targets import read_target
from metastra.errors import Problem
from metastra.study.endpoints import endpoint_named
from metastra.study.sections import StatusColumn
from metastra.study.study import Study

__all__ = ["End", "Ending", "ending_of"]

_OF_CELLS = frozenset({"EP001", "EP002", "EP004", "EP005", "EP006", "CO030", "CO031", "CO036"})
"""Problems of a compared column's own cells; its clock is the recorded events' business."""


@dataclass(frozen=True, kw_only=True)
class End:
    """How one patient's follow-up ends.

    Parameters
    ----------
    time_days, entry_days : float
        Since time zero.
    event : int
        0 censored, 1 event, 2 competing event; -1 without follow-up.
    target : float
        For endpoints other than survival.
    reason : str
        Why the patient has no endpoint; empty when there is one.
    """

    time_days: float = float("nan")
    entry_days: float = 0.0
    event: int = -1
    target: float = float("nan")
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """The endpoint of one cohort.

    Parameters
    ----------
    built : BuiltEndpoint or None
        None for endpoints other than survival, or without a clinical table.
    problems : tuple of Problem
        Of building and comparing.
    ends : dict of str to End
        By pseudonym.
    status_ends : dict of str to End
        The same from the status column, where one with the endpoint's name was compared.
    """

    built: BuiltEndpoint | None
    problems: tuple[Problem, ...] = ()
    ends: dict[str, End] = field(default_factory=dict)
    status_ends: dict[str, End] = field(default_factory=dict)

    def end_of(self, pseudonym: str, *, use_status: bool) -> End:
        """Look one patient up.

        Parameters
        ----------
        pseudonym : str
            The patient.
        use_status : bool
            Whether the status column decides, as a resolution may say.

        Returns
        -------
        End
            With a reason when there is no endpoint.
        """
        if use_status and pseudonym in self.status_ends:
            return self.status_ends[pseudonym]
        return self.ends.get(pseudonym, End(reason="no endpoint can be built"))


def ending_of(study: Study, part: CohortPart, *, without: frozenset[str]) -> Ending:
    """Build the endpoint of one cohort.

    Parameters
    ----------
    study : Study
        What was promised.
    part : CohortPart
        The cohort.
    without : frozenset of str
        Pseudonyms of patients who left by a criterion; their endpoint is not built.

    Returns
    -------
    Ending
        With everything that was found.
    """
    keep = [i for i, patient in enumerate(part.patients) if patient.pseudonym not in without]
    if part.tables.clini is None or not keep:
        return Ending(built=None)
    patients = [part.patients[index] for index in keep]
    clini = take_records(part.tables.clini, keep)
    if study.endpoint.kind != "survival":
        return _target(study, part, clini, patients)
    definition = study.endpoint_definition
    names = [patient.pseudonym for patient in patients]
    if study.endpoint.time is not None and study.endpoint.event is not None:
        column = StatusColumn(
            endpoint=study.endpoint.name or "finished",
            time=study.endpoint.time,
            event=study.endpoint.event,
            codes=study.endpoint.codes,
        )
        compared = bool(definition) and _recorded(study, part)
        built = _finished(study, part, clini, patients, column, compared=compared)
    else:
        built = build_endpoint(
            definition or endpoint_named("overall-survival"),
            [patient.course for patient in patients],
            study.endpoint,
            names=names,
            where=clini.where(),
        )
    problems = list(built.problems)
    if definition and study.endpoint.time is not None and _recorded(study, part):
        problems += _against_events(study, part, clini, patients, built, study.endpoint.event)
    status_ends: dict[str, End] = {}
    if _recorded(study, part):
        for status in study.status:
            if status.cohorts and part.section.name not in status.cohorts:
                continue
            finished, found = _compared(study, part, clini, patients, status)
            problems += found
            if status.endpoint == study.endpoint.name:
                status_ends = _ends(finished)
    return Ending(built=built, problems=tuple(problems), ends=_ends(built), status_ends=status_ends)


def _recorded(study: Study, part: CohortPart) -> bool:
    """Whether this cohort has recorded events beside finished columns."""
    in_columns = any(not r.cohorts or part.section.name in r.cohorts for r in study.recorded)
    return part.tables.event is not None or in_columns


def _finished(
    study: Study,
    part: CohortPart,
    clini: Table,
    patients: Sequence[Patient],
    column: StatusColumn,
    *,
    compared: bool,
) -> BuiltEndpoint:
    """Read a finished pair of columns; its problems are those of its cells."""
    actual = column_namer(part.section)
    entry = np.array([patient.course.entry_days for patient in patients])
    known = column.endpoint != "finished"
    return status_endpoint(
        clini,
        time=actual(column.time),
        event=actual(column.event),
        codes=column.codes,
        unit=study.table_time_unit,
        names=[patient.pseudonym for patient in patients],
        settings=study.endpoint,
        definition=endpoint_named(column.endpoint) if known else None,
        entry_days=entry if entry.any() else None,
        has_events=compared,
    )


def _compared(
    study: Study,
    part: CohortPart,
    clini: Table,
    patients: Sequence[Patient],
    status: StatusColumn,
) -> tuple[BuiltEndpoint, list[Problem]]:
    """Hold a finished endpoint against the recorded events."""
    finished = _finished(study, part, clini, patients, status, compared=True)
    own = [item for item in finished.problems if item.code in _OF_CELLS]
    against = _against_events(study, part, clini, patients, finished, status.event)
    return finished, [*own, *against]


def _against_events(
    study: Study,
    part: CohortPart,
    clini: Table,
    patients: Sequence[Patient],
    finished: BuiltEndpoint,
    event: str | None,
) -> list[Problem]:
    """Build what the columns are said to hold from the recorded events, and compare."""
    if finished.definition is None:
        return []
    expected = build_endpoint(
        finished.definition,
        [patient.course for patient in patients],
        study.endpoint,
        names=[patient.pseudonym for patient in patients],
        where=clini.where(),
    )
    where = clini.where(column_namer(part.section)(event or ""))
    return compare_status(expected, finished, where=where)


def _ends(built: BuiltEndpoint) -> dict[str, End]:
    return {
        name: End(
            time_days=float(built.time_days[index]),
            entry_days=0.0 if built.entry_days is None else float(built.entry_days[index]),
            event=int(built.event[index]),
            reason=built.why(index),
        )
        for index, name in enumerate(built.names)
    }


def _target(study: Study, part: CohortPart, clini: Table, patients: Sequence[Patient]) -> Ending:
    actual = column_namer(part.section)
    target = read_target(
        clini,
        actual(study.endpoint.column or ""),
        kind=study.endpoint.kind,
        levels=study.endpoint.levels,
        names=[patient.pseudonym for patient in patients],
    )
    ends = {
        patient.pseudonym: End(
            target=float(value),
            event=int(value == 1) if study.endpoint.kind == "binary" else -1,
            reason="the target is missing" if np.isnan(value) else "",
        )
        for patient, value in zip(patients, target.values, strict=True)
    }
    return Ending(built=None, problems=target.problems, ends=ends)
