"""Outcomes out of text cells: codes, times, and everything that can be wrong with them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.tables import Table
from metastra.cohort.values import numbers, quoted
from metastra.errors import Problem, Severity
from metastra.evaluation.request import Request
from metastra.units import to_days

__all__ = ["OutcomeCells", "read_outcome_cells", "read_times"]

_CODE = re.compile(r"([0-9]{1,3})(?:\.0*)?")
_DATE = re.compile(
    r"[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}(?:[T ].*)?|[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{2,4}"
)
_LONGEST_DAYS = 60 * 365.25
_UNKNOWN = frozenset({8, 9, 77, 88, 98, 99, 777, 888, 998, 999})
"""Codes that registries write where the status or the cause is not known."""
_HINTS = {
    "true": "Write 1 for the event and 0 for censored.",
    "false": "Write 1 for the event and 0 for censored.",
    "censored": "Write 0 for censored.",
    "alive": "Write 0 for censored.",
    "dead": "Write 1, or 2 where death competes with the event of interest.",
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OutcomeCells:
    """Columns of outcomes, one entry per row of their table.

    Parameters
    ----------
    time, entry, last_negative : ndarray of shape (m,)
        NaN where missing or refused; zeros of `entry` where there is no such column.
    event : ndarray of shape (m,), int64
        0 censored, 1 the event of interest, 2 competing; -1 where refused.
    """

    time: NDArray[np.float64]
    event: NDArray[np.int64]
    entry: NDArray[np.float64] | None
    last_negative: NDArray[np.float64] | None


def read_outcome_cells(table: Table, request: Request) -> tuple[OutcomeCells, list[Problem]]:
    """Read the columns of the outcome.

    Parameters
    ----------
    table : Table
        With the columns of the request.
    request : Request
        Names of columns, cause and unit.

    Returns
    -------
    cells : OutcomeCells
        By row.
    problems : list of Problem
        ``EP001`` to ``EP008``, ``EP019``, ``EV012``, ``EV015``, ``CO030``, ``CO031``,
        ``CO036``: all of them.
    """
    time, problems = read_times(table, request.time)
    problems += _time_problems(table, request, time)
    event, event_problems = _events(table, request)
    problems += event_problems
    entry = last_negative = None
    if request.entry is not None:
        entry, found = read_times(table, request.entry)
        problems += found
        bad = ~(entry < time) & np.isfinite(time)
        if bad.any() and not found:
            text = f"{int(bad.sum())} rows where observation begins at or after its end"
            problems.append(problem("EP007", text, where=table.where(request.entry, bad)))
    if request.last_negative is not None:
        last_negative, found = read_times(table, request.last_negative)
        problems += found
        bad = (event == 1) & ((last_negative > time) | (last_negative < 0.0))
        if bad.any():
            text = f"{int(bad.sum())} last negative examinations after the event or below 0"
            where = table.where(request.last_negative, bad)
            problems.append(problem("EP019", text, where=where))
    return OutcomeCells(time=time, event=event, entry=entry, last_negative=last_negative), problems


def read_times(table: Table, column: str) -> tuple[NDArray[np.float64], list[Problem]]:
    """Read durations; dates are told apart from other text.

    Parameters
    ----------
    table : Table
        The table.
    column : str
        One of its columns.

    Returns
    -------
    values : ndarray of shape (m,)
        NaN where missing or refused.
    problems : list of Problem
        ``EV012``, and those of `metastra.cohort.values.numbers`.
    """
    cells = table.column(column)
    dates = np.array([cell is not None and bool(_DATE.fullmatch(cell.strip())) for cell in cells])
    if not dates.any():
        return numbers(table, column)
    # the form only: a date may be one of birth
    shown = quoted(table, column, np.flatnonzero(dates).tolist(), masked=True)
    text = f"{int(dates.sum())} cells are dates{shown}"
    problems = [problem("EV012", text, where=table.where(column, dates))]
    rest = np.flatnonzero(~dates)
    values = np.full(len(table), np.nan)
    if rest.size:
        part = replace(
            table, rows=table.rows[rest], cells=tuple(cells[rest] for cells in table.cells)
        )
        values[rest], others = numbers(part, column)
        problems += others
    return values, problems


def _time_problems(table: Table, request: Request, time: NDArray[np.float64]) -> list[Problem]:
    column = request.time
    missing = np.array([cell is None for cell in table.column(column)])
    found = []
    for code, bad, text in (
        ("EP004", missing, "rows without a time"),
        ("EP005", time < 0.0, "times below 0"),
    ):
        if bad.any():
            found.append(problem(code, f"{int(bad.sum())} {text}", where=table.where(column, bad)))
    if (zero := time == 0.0).any():
        text = f"{int(zero.sum())} times of exactly 0"
        hint = "Give half a day in --time-unit if the patient counts, or leave the patient out."
        found.append(problem("EP006", text, where=table.where(column, zero), hint=hint))
    longest = float(np.nanmax(time)) if np.isfinite(time).any() else 0.0
    if to_days(longest, request.time_unit) > _LONGEST_DAYS:
        text = f"the longest time is {longest:g} {request.time_unit}: over 60 years"
        hint = "Correct --time-unit: days, months or years."
        where = table.where(column, time == longest)
        found.append(problem("EP008", text, where=where, hint=hint))
    return found


def _events(table: Table, request: Request) -> tuple[NDArray[np.int64], list[Problem]]:
    column = request.event
    codes = np.full(len(table), -1, dtype=np.int64)
    missing, unknown = [], []
    for position, cell in enumerate(table.column(column)):
        match = None if cell is None else _CODE.fullmatch(cell.strip())
        if cell is None:
            missing.append(position)
        elif match is None:
            unknown.append(position)
        else:
            codes[position] = int(match[1])
    problems = []
    if missing:
        text = f"{len(missing)} rows without a status: a missing status is not a censoring"
        problems.append(problem("EP002", text, where=table.where(column, missing)))
    if unknown:
        problems.append(_unknown(table, column, unknown))
    seen = set(codes[codes >= 0].tolist())
    if seen == {1, 2} and not unknown:
        text = "every code is 1 or 2 and none is 0: some registries write 1 for censored"
        hint = "Write 0 for censored; if really nobody is censored, add --accept EP003."
        severity = Severity.WARN if "EP003" in request.accept else None
        where = table.where(column)
        problems.append(problem("EP003", text, where=where, hint=hint, severity=severity))
    if request.cause not in _UNKNOWN and "EV015" not in request.accept:
        problems += _perhaps_unknown(table, column, codes)
    kind = np.where(codes == request.cause, 1, np.where(codes > 0, 2, codes))
    return kind.astype(np.int64), problems


def _perhaps_unknown(table: Table, column: str, codes: NDArray[np.int64]) -> list[Problem]:
    """Find codes that registries write for "unknown", where lower codes do not lead up to them."""
    seen = set(codes[codes >= 0].tolist())
    odd = sorted(code for code in seen & _UNKNOWN if code - 1 not in seen)
    if not odd:
        return []
    chosen = np.isin(codes, odd)
    words = ", ".join(str(code) for code in odd)
    text = f"{int(chosen.sum())} rows with the code {words}, which often means unknown"
    return [problem("EV015", text, where=table.where(column, chosen))]


def _unknown(table: Table, column: str, rows: list[int]) -> Problem:
    text = f"{len(rows)} codes are no whole numbers of 0 or more{quoted(table, column, rows)}"
    cells = {str(table.column(column)[row]).strip().casefold() for row in rows}
    hints = [hint for word, hint in _HINTS.items() if word in cells]
    hint = hints[0] if hints else "Write 0 for censored, 1 for the event, 2 and up for others."
    expected = "0 censored, 1 event, 2, 3, … competing events"
    where = table.where(column, rows)
    return problem("EP001", text, where=where, expected=expected, hint=hint)
