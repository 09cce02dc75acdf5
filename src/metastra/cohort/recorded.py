"""From tables to courses: what is recorded of each patient, in days since the time origin.

Two sources, which may be used together: an event table with one row per event, and events that
stand in columns of the clinical table (``[[recorded]]`` of the study file).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from metastra.cohort.declared_columns import column_namer
from metastra.cohort.endpoint_plausible import unit_problems
from metastra.cohort.findings import Finding, gather, with_patients
from metastra.cohort.hierarchy import Course, Occurrence
from metastra.cohort.recorded_clock import CohortClock, read_clock
from metastra.cohort.recorded_columns import read_recorded_columns
from metastra.cohort.recorded_events import read_event_table
from metastra.cohort.tables import Table
from metastra.errors import Problem
from metastra.study.sections import CohortSection
from metastra.study.study import Study
from metastra.study.vocabulary import EventType
from metastra.units import DAYS_PER_UNIT

__all__ = ["read_cohort_clock", "read_courses"]


def read_courses(
    study: Study,
    section: CohortSection,
    clini: Table,
    event: Table | None = None,
    *,
    ids: Sequence[str],
    pseudonymise: Callable[[str], str],
) -> tuple[dict[str, Course], list[Problem]]:
    r"""Read the course of every patient of a cohort.

    Parameters
    ----------
    study : Study
        With clock, recorded events and words.
    section : CohortSection
        The cohort.
    clini : Table
        Its clinical table with one record per patient.
    event : Table, optional
        Its event table.
    ids : sequence of str
        Study id of each record in normal form.
    pseudonymise : callable
        Study id → pseudonym.

    Returns
    -------
    courses : dict of str to Course
        By id, in the order of the records.  `Course.procedure_days` is the first recorded
        procedure on a metastasis; a study with specimens knows better which one made the slide.
    problems : list of Problem
        All of both sources: EP001, EP002, EP004, EP012, ST003, CO023, and those of reading dates
        and numbers.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from metastra.cohort.tables import read_table
    >>> study = Study.model_validate(
    ...     {
    ...         "study": {"name": "demo"},
    ...         "endpoint": {"name": "overall-survival"},
    ...         "cohort": [{"name": "north", "role": "development", "clini_table": "c.csv"}],
    ...         "clock": {"last_contact": "OSDays"},
    ...         "recorded": [{"type": "death", "when": "OSDays", "occurred": {"Death": ["1"]}}],
    ...     }
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "c.csv")
    ...     _ = path.write_text("PATIENT,OSDays,Death\na,400,1.0\nb,900,0.0\n")
    ...     table, _ = read_table(path)
    >>> courses, problems = read_courses(
    ...     study, study.cohort[0], table, ids=["a", "b"], pseudonymise=str.upper
    ... )
    >>> [len(course.occurrences) for course in courses.values()], problems
    ([1, 0], [])
    """
    names = [pseudonymise(one) for one in ids]
    actual = column_namer(section)
    clock, problems = read_cohort_clock(study, section, clini, names=names)
    last, found = _optional_days(clini, clock, study.clock.last_contact, actual, names)
    problems += found
    if study.clock.last_contact is not None and clock.origins is None:
        unit = study.table_time_unit
        where = clini.where(actual(study.clock.last_contact))
        problems += unit_problems(last / DAYS_PER_UNIT[unit], unit, where)
    entry, found = _optional_days(clini, clock, study.clock.entry, actual, names)
    problems += found
    occurrences: list[list[Occurrence]] = [[] for _ in ids]
    for recorded in study.recorded:
        if recorded.cohorts and section.name not in recorded.cohorts:
            continue
        made, found = read_recorded_columns(
            clini, recorded, clock=clock, words=study.vocabulary, names=names, actual=actual
        )
        problems += found
        _add(occurrences, made)
    if event is not None:
        made, found = read_event_table(
            event,
            patients={one: position for position, one in enumerate(ids)},
            clock=clock,
            words=study.vocabulary,
            pseudonymise=pseudonymise,
            actual=actual,
        )
        problems += found
        _add(occurrences, made)
    if study.clock.entry is not None:
        problems += _missing_entries(clini, actual(study.clock.entry), names)
    courses = {
        one: _course(occurrences[index], last[index], entry[index], int(clini.rows[index]))
        for index, one in enumerate(ids)
    }
    return courses, problems


def read_cohort_clock(
    study: Study, section: CohortSection, clini: Table, *, names: Sequence[str]
) -> tuple[CohortClock, list[Problem]]:
    """Read the time origins of a cohort as its study declares them.

    Parameters
    ----------
    study : Study
        With ``[clock]``.
    section : CohortSection
        The cohort.
    clini : Table
        Its clinical table with one record per patient.
    names : sequence of str
        Pseudonyms of the records.

    Returns
    -------
    clock : CohortClock
        Reads every date and duration of the cohort's tables.
    problems : list of Problem
        As `metastra.cohort.recorded_clock.read_clock` finds them.
    """
    origin = study.clock.origin
    return read_clock(
        clini,
        origin=None if origin is None else column_namer(section)(origin),
        unit=study.table_time_unit,
        names=names,
        data_cut=section.data_cut,
    )


def _optional_days(
    clini: Table,
    clock: CohortClock,
    name: str | None,
    actual: Callable[[str], str],
    names: Sequence[str],
) -> tuple[NDArray[np.float64], list[Problem]]:
    if name is None:
        return np.full(len(clini), np.nan), []
    days, found = clock.days(clini, actual(name))
    return days, with_patients(found, map(int, clini.rows), names)


def _add(occurrences: list[list[Occurrence]], made: list[list[Occurrence]]) -> None:
    for mine, more in zip(occurrences, made, strict=True):
        mine += more


def _missing_entries(clini: Table, column: str, names: Sequence[str]) -> list[Problem]:
    return gather(
        (
            Finding(
                code="EP004",
                headline="the beginning of observation is missing",
                name=name,
                row=int(row),
                file=clini.name,
                column=column,
            )
            for cell, row, name in zip(clini.column(column), clini.rows, names, strict=True)
            if cell is None
        ),
        cohort=clini.cohort,
    )


def _course(occurrences: Sequence[Occurrence], last: float, entry: float, row: int) -> Course:
    procedures = [o.days for o in occurrences if o.type is EventType.METASTASIS_PROCEDURE]
    return Course(
        occurrences=tuple(occurrences),
        last_contact_days=float(last) if np.isfinite(last) else None,
        entry_days=float(entry) if np.isfinite(entry) else 0.0,
        procedure_days=min(procedures, default=None),
        row=row,
    )
