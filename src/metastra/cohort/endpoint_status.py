"""An endpoint from the finished time and status columns of a clinical table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import nan

import numpy as np
from numpy.typing import NDArray

from metastra.cohort.endpoint_built import BuiltEndpoint, NotIncluded
from metastra.cohort.endpoint_notes import never_competing, not_at_risk_notes
from metastra.cohort.endpoint_plausible import (
    recorded_facts,
    swapped_by_facts,
    swapped_by_shape,
    unit_problems,
)
from metastra.cohort.endpoint_words import sentences
from metastra.cohort.findings import Finding, gather, with_patients
from metastra.cohort.tables import Table
from metastra.cohort.values import numbers
from metastra.errors import Problem
from metastra.study.endpoints import Endpoint
from metastra.study.sections import EndpointSection
from metastra.units import DAYS_PER_UNIT, TimeUnit, to_days

__all__ = ["status_endpoint"]

_MEANING = {"censored": 0, "event": 1, "competing": 2}
_UNKNOWN, _MISSING = -2, -3
_HALF_DAY = 0.5
_BY_WINDOW_END = {
    0: NotIncluded.LOST_BEFORE,
    1: NotIncluded.EVENT_BEFORE,
    2: NotIncluded.COMPETING_BEFORE,
}


def status_endpoint(
    table: Table,
    *,
    time: str,
    event: str,
    codes: Mapping[str, str],
    unit: TimeUnit,
    names: Sequence[str],
    settings: EndpointSection | None = None,
    definition: Endpoint | None = None,
    entry_days: NDArray[np.float64] | None = None,
    has_events: bool = False,
) -> BuiltEndpoint:
    r"""Take an endpoint from finished columns.

    Parameters
    ----------
    table : Table
        Clinical table with one record per patient.
    time, event : str
        Its columns of follow-up time since surgery (or the procedure) and of status.
    codes : mapping of str to {"censored", "event", "competing"}
        Every value of `event`, as written.
    unit : TimeUnit
        Of `time`.
    names : sequence of str
        Pseudonyms of the records.
    settings : EndpointSection, optional
        Day zero, synchronous window, and the statement that nothing competes.
    definition : Endpoint, optional
        What the columns are said to hold.
    entry_days : ndarray of shape (n,), optional
        Delayed entry in days since the origin of `time`.
    has_events : bool
        Whether recorded events will be compared with the status: `compare_status` then judges
        swapped codes, and nothing is guessed here.

    Returns
    -------
    BuiltEndpoint
        In the order of the records.  Problems: EP001 unknown code, EP002 missing status, EP003
        codes look swapped, EP004 missing, EP005 negative, EP006 zero time, EP007 entry after the
        end, EP008 unit, EP011 nothing competes, EP018 not at risk, and those of reading numbers.

    Notes
    -----
    A missing status is never censored, and a code that is not declared is never guessed.  With a
    synchronous window the finished times count from surgery and time zero moves to surgery + k.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from metastra.cohort.tables import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "clini.csv")
    ...     _ = path.write_text("PATIENT,T,S\na,100,1\nb,900,0\nc,400,\n")
    ...     table, _ = read_table(path)
    >>> built = status_endpoint(
    ...     table,
    ...     time="T",
    ...     event="S",
    ...     codes={"0": "censored", "1": "event"},
    ...     unit=TimeUnit.DAYS,
    ...     names=["P-1", "P-2", "P-3"],
    ... )
    >>> built.event.tolist(), [item.code for item in built.problems]
    ([1, 0, -1], ['EP002'])
    """
    settings = settings or EndpointSection()
    values, found = numbers(table, time)
    problems = with_patients(found, map(int, table.rows), names)
    status = _read_codes(table.column(event), codes)
    findings = _cell_findings(table, time, event, codes, names, values, status)
    problems += unit_problems(values, unit, table.where(time))
    known = (status >= 0) & np.isfinite(values)
    if not has_events:
        problems += _swapped(table, time, event, values, status, known)
    zero = _window_days(settings, definition)
    entry = np.zeros(len(table)) if entry_days is None else entry_days
    days = np.where(known, values * DAYS_PER_UNIT[unit], np.nan)
    placed = [
        _place(float(day), int(code), float(start), zero, settings)
        for day, code, start in zip(days, status, np.maximum(entry, zero), strict=True)
    ]
    findings += _clock_findings(table, time, names, placed)
    end = np.array([one.end for one in placed])
    starts = np.maximum(entry - zero, 0.0)
    late = bool((starts > 0).any())
    built = BuiltEndpoint(
        name=definition.name if definition else time,
        definition=definition,
        time_days=end - zero,
        event=np.where(np.isfinite(end), status, -1),
        entry_days=starts if late else None,
        interval_left_days=np.full(len(table), np.nan),
        not_included=tuple(one.reason for one in placed),
        sentences=sentences(definition, settings),
        unknown_site=np.zeros(len(table), dtype=np.bool_),
        unknown_cause=np.zeros(len(table), dtype=np.bool_),
        decided_by=(None,) * len(table),
        names=tuple(names),
        rows=table.rows,
        file=table.name,
        step_days=_step(values[known]) * DAYS_PER_UNIT[unit],
    )
    problems += gather(findings, cohort=table.cohort)
    problems += not_at_risk_notes(built, table.where())
    problems += never_competing(built, settings, table.where(), column=event)
    return replace(built, problems=tuple(problems))


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """The end of one follow-up in days since the origin, or why there is none."""

    end: float = nan
    reason: NotIncluded | None = None
    code: str = ""
    headline: str = ""
    detail: str = ""


def _read_codes(cells: NDArray[np.object_], codes: Mapping[str, str]) -> NDArray[np.int64]:
    meaning = {code.strip(): _MEANING[word] for code, word in codes.items()}
    return np.array(
        [_MISSING if cell is None else meaning.get(cell.strip(), _UNKNOWN) for cell in cells],
        dtype=np.int64,
    )


def _cell_findings(
    table: Table,
    time: str,
    event: str,
    codes: Mapping[str, str],
    names: Sequence[str],
    values: NDArray[np.float64],
    status: NDArray[np.int64],
) -> list[Finding]:
    """Find what is wrong with single cells: missing or unknown status, missing or negative time."""
    findings = []

    def add(index: int, code: str, column: str, headline: str, hint: str | None = None) -> None:
        findings.append(
            Finding(
                code=code,
                headline=headline,
                name=names[index],
                row=int(table.rows[index]),
                file=table.name,
                column=column,
                hint=hint,
            )
        )

    time_cells, event_cells = table.column(time), table.column(event)
    for index, word in enumerate(event_cells):
        if status[index] == _MISSING:
            add(index, "EP002", event, "the status is missing, which is not the same as censored")
            continue
        if status[index] == _UNKNOWN:
            known = ", ".join(map(repr, codes))
            headline = f"the code {word.strip()!r} is not declared; declared are {known}"
            add(index, "EP001", event, headline, _code_hint(word.strip(), codes))
        if time_cells[index] is None:
            add(index, "EP004", time, "the time of a patient with a status is missing")
        elif values[index] < 0:
            add(index, "EP005", time, "follow-up ends before it begins")
    return findings


def _code_hint(word: str, codes: Mapping[str, str]) -> str | None:
    """Name the nearest declared code."""
    try:
        same = [code for code in codes if float(code) == float(word)]
    except ValueError:
        same = []
    if same:
        return (
            f"It is the number {same[0]!r}, and codes are compared as written: add "
            f'"{word}" = "{codes[same[0]]}" to the code map if it means the same.'
        )
    folded = {code.strip().casefold(): code for code in codes}
    near = get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    if near:
        return (
            f"The nearest declared code is {folded[near[0]]!r}; correct it, or add it to the map."
        )
    return None


def _swapped(
    table: Table,
    time: str,
    event: str,
    values: NDArray[np.float64],
    status: NDArray[np.int64],
    known: NDArray[np.bool_],
) -> list[Problem]:
    """Judge whether the codes are swapped: by recorded facts, else by the shape of follow-up."""
    where = table.where(event)
    facts = recorded_facts(table, without=(time, event))
    if facts is not None:
        decided, problems = swapped_by_facts(status[known], facts[known], where)
        if decided:
            return problems
    return swapped_by_shape(values[known], status[known], where)


def _window_days(settings: EndpointSection, definition: Endpoint | None) -> float:
    if definition is None or not definition.synchronous_window:
        return 0.0
    return to_days(settings.synchronous_window_months, TimeUnit.MONTHS)


def _place(day: float, code: int, start: float, zero: float, settings: EndpointSection) -> _Placed:
    """Compare the end of a follow-up with time zero and with the start of observation."""
    refused = NotIncluded.REFUSED
    if not start >= 0:
        return _Placed(reason=refused, code="EP004", headline="the entry is missing")
    if not day >= 0:
        return _Placed(reason=refused)  # missing, negative or unreadable: its cell is reported
    if zero and day <= zero:
        return _Placed(reason=_BY_WINDOW_END[code])
    if day < start:
        detail = f"from day {start:g} to day {day:g}"
        headline = "observation begins after its end"
        return _Placed(reason=refused, code="EP007", headline=headline, detail=detail)
    if day > start:
        return _Placed(end=day)
    if settings.day_zero == "half-day":
        return _Placed(end=day + _HALF_DAY)
    if settings.day_zero == "exclude":
        return _Placed(reason=NotIncluded.DAY_ZERO)
    return _Placed(reason=refused, code="EP006", headline="follow-up ends on the day it begins")


def _clock_findings(
    table: Table, time: str, names: Sequence[str], placed: Sequence[_Placed]
) -> list[Finding]:
    return [
        Finding(
            code=one.code,
            headline=one.headline,
            name=name,
            row=int(row),
            file=table.name,
            column=time,
            detail=one.detail,
        )
        for one, name, row in zip(placed, names, table.rows, strict=True)
        if one.code
    ]


def _step(values: NDArray[np.float64]) -> float:
    """Give the smallest step on which all values lie: 1, 0.1, 0.01, or 0 for finer."""
    for decimals in range(3):
        if np.allclose(values, np.round(values, decimals), rtol=0.0, atol=1e-9):
            return float(10.0**-decimals)
    return 0.0
