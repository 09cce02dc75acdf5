"""The event table: one row per event."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.findings import Finding, gather, with_patients
from metastra.cohort.hierarchy import Occurrence
from metastra.cohort.identifiers import normalise_id
from metastra.cohort.recorded_clock import CohortClock
from metastra.cohort.recorded_words import read_sites, unknown_word
from metastra.cohort.tables import Table
from metastra.errors import Problem
from metastra.study.vocabulary import EventType, Site, Vocabulary, WordNotKnown

__all__ = ["read_event_table"]

_ONE_DAY = 1.0


def read_event_table(
    table: Table,
    *,
    patients: Mapping[str, int],
    clock: CohortClock,
    words: Vocabulary,
    pseudonymise: Callable[[str], str],
    actual: Callable[[str], str],
) -> tuple[list[list[Occurrence]], list[Problem]]:
    """Read PATIENT, DATE or TIME, TYPE, SITE and LAST_NEGATIVE.

    Parameters
    ----------
    table : Table
        The event table.
    patients : mapping of str to int
        Study id in normal form → position of the patient's record in the clinical table.
    clock : CohortClock
        Of the cohort.
    words : Vocabulary
        The study's.
    pseudonymise : callable
        Study id → pseudonym.
    actual : callable
        Name that metastra expects → name in this cohort's table.

    Returns
    -------
    occurrences : list of list of Occurrence
        For each position; one for each site of each row.
    problems : list of Problem
        EP004 for rows without a date or time, EP012 for unknown words, CO023 for rows whose DATE
        and TIME differ, ST003 for dates in a study without an origin, and those of reading dates
        and numbers.

    Notes
    -----
    Rows of patients who are not in the clinical table are passed over here; CO019 counts them.
    """
    ids = [None if c is None else normalise_id(c) for c in table.column(actual("PATIENT"))]
    position = np.array([-1 if i is None else patients.get(i, -1) for i in ids], dtype=np.int64)
    names = ["" if i is None else pseudonymise(i) for i in ids]
    days, filled, problems = _when(table, clock, position, actual, names)
    last_negative = np.full(len(table), np.nan)
    if table.has(actual("LAST_NEGATIVE")):
        last_negative, found = clock.days(table, actual("LAST_NEGATIVE"), position)
        problems += with_patients(found, map(int, table.rows), names)
    site_column = actual("SITE")
    sites = table.column(site_column) if table.has(site_column) else [None] * len(table)
    made: list[list[Occurrence]] = [[] for _ in patients]
    findings: list[Finding] = []
    for index, at in enumerate(position.tolist()):
        if at < 0:
            continue
        row = int(table.rows[index])
        kind, places, words_not_known = _what(
            table.column(actual("TYPE"))[index], sites[index], words
        )
        for column, headline, hint in words_not_known:
            findings.append(
                Finding(
                    code="EP012",
                    headline=headline,
                    name=names[index],
                    row=row,
                    file=table.name,
                    column=actual(column),
                    hint=hint,
                )
            )
        if not filled[index]:
            findings.append(
                Finding(
                    code="EP004",
                    headline="an event has neither date nor time",
                    name=names[index],
                    row=row,
                    file=table.name,
                )
            )
        if kind is None or not np.isfinite(days[index]):
            continue
        seen = float(last_negative[index])
        made[at] += [
            Occurrence(
                type=kind,
                site=site,
                days=float(days[index]),
                last_negative_days=seen if np.isfinite(seen) else None,
                source=table.name,
                row=row,
            )
            for site in places
        ]
    return made, problems + gather(findings, cohort=table.cohort)


def _when(
    table: Table,
    clock: CohortClock,
    position: NDArray[np.int64],
    actual: Callable[[str], str],
    names: list[str],
) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[Problem]]:
    """Give each row's day, whether a date or time stands there, and what is wrong with them."""
    days = np.full(len(table), np.nan)
    filled = np.zeros(len(table), dtype=np.bool_)
    columns = [name for name in (actual("DATE"), actual("TIME")) if table.has(name)]
    if not columns:
        found = f"there is neither a column {actual('DATE')!r} nor {actual('TIME')!r}"
        return days, ~filled, [problem("CO007", found, where=table.where())]
    problems: list[Problem] = []
    rows = list(map(int, table.rows))
    for name in columns:
        read, found_here = clock.days(table, name, position)
        problems += with_patients(found_here, rows, names)
        both = np.isfinite(days) & np.isfinite(read)
        apart = np.zeros(len(table), dtype=np.bool_)
        apart[both] = np.abs(days[both] - read[both]) >= _ONE_DAY
        if apart.any():
            at = np.flatnonzero(apart)
            where = table.where(" and ".join(columns), at)
            found = "the date and the time of an event are different days"
            patients = tuple(names[index] for index in at.tolist())
            problems.append(problem("CO023", found, where=where, patients=patients))
        days = np.where(np.isfinite(days), days, read)
        filled |= np.array([cell is not None for cell in table.column(name)], dtype=np.bool_)
    return days, filled, problems


def _what(
    type_cell: str | None, site_cell: str | None, words: Vocabulary
) -> tuple[EventType | None, tuple[Site, ...], list[tuple[str, str, str]]]:
    """Read type and sites; list (column, headline, hint) for words that are not known."""
    unknown = []
    kind = None
    if type_cell is None:
        hint = "Fill in what happened, or remove the row."
        unknown.append(("TYPE", "the type of an event is missing", hint))
    else:
        try:
            kind = words.event_type(type_cell)
        except WordNotKnown as error:
            unknown.append(("TYPE", *unknown_word(error, "type")))
    places, errors = read_sites(site_cell, words)
    unknown += [("SITE", *unknown_word(error, "site")) for error in errors]
    return kind, places, unknown
