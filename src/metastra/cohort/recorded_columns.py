"""Events that stand in columns of the clinical table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.findings import Finding, gather, with_patients
from metastra.cohort.hierarchy import Occurrence
from metastra.cohort.recorded_clock import CohortClock
from metastra.cohort.recorded_words import read_sites, unknown_word
from metastra.cohort.tables import Table
from metastra.cohort.values import word_key
from metastra.errors import Problem
from metastra.study.sections import RecordedEvent
from metastra.study.vocabulary import Site, Vocabulary

__all__ = ["read_recorded_columns"]

_NO, _YES, _UNKNOWN = 0, 1, 2


def read_recorded_columns(
    clini: Table,
    recorded: RecordedEvent,
    *,
    clock: CohortClock,
    words: Vocabulary,
    names: Sequence[str],
    actual: Callable[[str], str],
) -> tuple[list[list[Occurrence]], list[Problem]]:
    """Read one kind of event from columns of the clinical table.

    Parameters
    ----------
    clini : Table
        With one record per patient.
    recorded : RecordedEvent
        As the study file has it.
    clock : CohortClock
        Of the cohort.
    words : Vocabulary
        The study's.
    names : sequence of str
        Pseudonyms of the records.
    actual : callable
        Name that the study uses → name in this cohort's table.

    Returns
    -------
    occurrences : list of list of Occurrence
        For each record, one for each site; empty where the event did not happen.
    problems : list of Problem
        EP001 for declared values none of which occurs, EP002 where it is not recorded whether the
        event happened, EP004 where it happened at an unknown time, EP012 for unknown sites, and
        those of reading dates and numbers.

    Notes
    -----
    With several columns in ``occurred`` each must hold one of its values.  Values are compared
    without regard to case, and as numbers where they are numbers.  An empty cell says neither yes
    nor no.
    """
    kind = words.event_type(recorded.type)
    column = actual(recorded.when)
    days, found = clock.days(clini, column)
    happened, problems = _happened(clini, recorded, column, actual)
    problems += with_patients(found, map(int, clini.rows), names)
    places, site_findings = _sites(clini, recorded, happened, words, names, actual)
    findings: list[Finding] = []
    when = clini.column(column)
    made: list[list[Occurrence]] = []
    for index, (state, day) in enumerate(zip(happened, days, strict=True)):
        row = int(clini.rows[index])
        headline, code, at = "", "", column
        if state == _UNKNOWN:
            at = ", ".join(map(actual, recorded.occurred))
            headline, code = f"it is not recorded whether {kind} happened", "EP002"
        elif state == _YES and when[index] is None:
            headline, code = f"{kind} happened at an unknown time", "EP004"
        if code:
            findings.append(
                Finding(
                    code=code,
                    headline=headline,
                    name=names[index],
                    row=row,
                    file=clini.name,
                    column=at,
                )
            )
        sites = places[index] if state == _YES and np.isfinite(day) else ()
        made.append(
            [
                Occurrence(type=kind, site=site, days=float(day), source=clini.name, row=row)
                for site in sites
            ]
        )
    return made, problems + gather([*findings, *site_findings], cohort=clini.cohort)


def _happened(
    clini: Table, recorded: RecordedEvent, when: str, actual: Callable[[str], str]
) -> tuple[NDArray[np.int64], list[Problem]]:
    """Say of each record whether the event happened: no, yes, or not recorded."""
    if not recorded.occurred:
        filled = [cell is not None for cell in clini.column(when)]
        return np.array(filled, dtype=np.int64), []
    state = np.full(len(clini), _YES, dtype=np.int64)
    problems = []
    for name, values in recorded.occurred.items():
        column = actual(name)
        yes = {word_key(value) for value in values}
        keys = [None if cell is None else word_key(cell) for cell in clini.column(column)]
        here = np.array([_UNKNOWN if key is None else int(key in yes) for key in keys])
        # one column that says no settles it, whatever is missing in the others
        state = np.where((state == _NO) | (here == _NO), _NO, np.maximum(state, here))
        problems += _never_occurs(clini, column, values, {key for key in keys if key is not None})
    return state, problems


def _never_occurs(
    clini: Table, column: str, values: Sequence[str], present: set[str]
) -> list[Problem]:
    """Refuse declared values that never occur where other words would have to mean yes and no."""
    if len(present) < 2 or present & {word_key(value) for value in values}:
        return []
    near = get_close_matches(
        word_key(values[0]) if values else "", sorted(present), n=1, cutoff=0.5
    )
    return [
        problem(
            "EP001",
            f"none of the declared values {', '.join(map(repr, values))} occurs, but "
            f"{len(present)} others do",
            where=clini.where(column),
            hint=f"Did you mean {near[0]!r}?" if near else "Declare the values that mean yes.",
        )
    ]


def _sites(
    clini: Table,
    recorded: RecordedEvent,
    happened: NDArray[np.int64],
    words: Vocabulary,
    names: Sequence[str],
    actual: Callable[[str], str],
) -> tuple[list[tuple[Site, ...]], list[Finding]]:
    """Read the sites of the events that happened."""
    if recorded.site is None:
        fixed = words.site(recorded.fixed_site) if recorded.fixed_site else Site.UNKNOWN
        return [(fixed,)] * len(clini), []
    column = actual(recorded.site)
    places: list[tuple[Site, ...]] = []
    findings = []
    for index, cell in enumerate(clini.column(column)):
        if happened[index] != _YES:
            places.append(())
            continue
        sites, unknown = read_sites(cell, words)
        places.append(sites)
        for error in unknown:
            headline, hint = unknown_word(error, "site")
            findings.append(
                Finding(
                    code="EP012",
                    headline=headline,
                    name=names[index],
                    row=int(clini.rows[index]),
                    file=clini.name,
                    column=column,
                    hint=hint,
                )
            )
    return places, findings
