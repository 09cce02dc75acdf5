"""Dates out of text cells: ISO, or the format the study file declares, never a guess."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Iterable
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.tables import Table
from metastra.cohort.values import quoted
from metastra.errors import Problem

__all__ = ["dates"]

_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
    r"(?: ?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?))?)?"
)
_PARTS = re.compile(r"[0-9]{1,2}([./-])[0-9]{1,2}\1(?:[0-9]{4}|[0-9]{2})")
_PACKED = re.compile(r"%[A-Za-z]%[A-Za-z]")
_DAY_NUMBER = re.compile(r"([0-9]{5})(?:\.[0-9]+)?")
_DAY_NUMBERS = range(20_000, 60_001)
_FIRST_POSSIBLE = dt.date(1900, 1, 1)
_LAST_POSSIBLE = dt.date(2100, 1, 1)


class _Fault(StrEnum):
    TEXT = "text"
    NO_SUCH_DAY = "no such day"
    AMBIGUOUS = "ambiguous"
    DAY_NUMBER = "day number"


def dates(
    table: Table, column: str, *, data_cut: dt.date | None = None
) -> tuple[NDArray[np.datetime64], list[Problem]]:
    r"""Read a column of dates in the table's declared format.

    Parameters
    ----------
    table : Table
        The table.
    column : str
        One of its columns.
    data_cut : date, optional
        The day on which the data were cut; nothing can be recorded after it.

    Returns
    -------
    values : ndarray of datetime64[D], shape (n,)
        NaT where the cell is missing or refused.  A time of day after an ISO date is dropped; the
        day is the one written, whatever the time zone.
    problems : list of Problem
        With the form of the cells, not their digits: dates of birth stay out of messages.
        ``CO032`` no date, ``CO033`` day and month could be exchanged, ``CO034`` before 1900 or
        after the data cut, ``CO035`` a spreadsheet's day number.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from metastra.cohort.tables import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "clini.csv")
    ...     _ = path.write_text("PATIENT,surgery\na,2021-03-02\nb,2023-02-30\nc,\n")
    ...     table, _ = read_table(path)
    >>> values, problems = dates(table, "surgery", data_cut=dt.date(2024, 1, 1))
    >>> values.astype(str).tolist()
    ['2021-03-02', 'NaT', 'NaT']
    >>> print(problems[0].where, "|", problems[0].found)
    clini.csv, row 3, column 'surgery' | 1 cell names a day that does not exist: '9999-99-99'
    """
    cells = table.column(column)
    parsed = {
        text: _parse(text.strip(), table.format.date_format)
        for text in dict.fromkeys(cells)
        if text is not None
    }
    values = np.full(len(table), np.datetime64("NaT", "D"))
    rows: dict[_Fault, list[int]] = {fault: [] for fault in _Fault}
    outside: list[int] = []
    last = min(data_cut or _LAST_POSSIBLE, _LAST_POSSIBLE)
    for index, text in enumerate(cells):
        if text is None:
            continue
        found = parsed[text]
        if isinstance(found, _Fault):
            rows[found].append(index)
        elif not _FIRST_POSSIBLE <= found <= last:
            outside.append(index)
        else:
            values[index] = np.datetime64(found, "D")
    return values, _problems(table, column, rows, outside, last)


def _parse(text: str, date_format: str | None) -> dt.date | _Fault:
    if date_format is not None:
        try:
            fields = time.strptime(text, date_format)
        except ValueError:
            return _fault_of_declared(text)
        # "1122021" would be read as 11 February although its first zero is lost
        if _PACKED.search(date_format) and time.strftime(date_format, fields) != text:
            return _Fault.TEXT
        return dt.date(fields.tm_year, fields.tm_mon, fields.tm_mday)
    iso = _ISO.fullmatch(text)
    if iso:
        try:
            return dt.date.fromisoformat(iso[1])
        except ValueError:
            return _Fault.NO_SUCH_DAY
    return _Fault.AMBIGUOUS if _PARTS.fullmatch(text) else _fault_of_declared(text)


def _fault_of_declared(text: str) -> _Fault:
    number = _DAY_NUMBER.fullmatch(text)
    return _Fault.DAY_NUMBER if number and int(number[1]) in _DAY_NUMBERS else _Fault.TEXT


def _problems(
    table: Table, column: str, rows: dict[_Fault, list[int]], outside: list[int], last: dt.date
) -> list[Problem]:
    problems = []
    declared = table.format.date_format
    expected = f"{declared!r}" if declared else "an ISO date such as 2021-03-02"

    def add(code: str, at: list[int], what: str, wanted: str, hint: str | None = None) -> None:
        if at:
            cells = f"{len(at)} cell{'s' if len(at) > 1 else ''} {what}"
            found = cells + quoted(table, column, at, masked=True)
            where = table.where(column, at)
            problems.append(problem(code, found, where=where, expected=wanted, hint=hint))

    many = {fault: len(at) > 1 for fault, at in rows.items()}
    text = "are no dates" if many[_Fault.TEXT] else "is no date"
    if declared:
        text += " of the declared format"
    add("CO032", rows[_Fault.TEXT], text, expected)
    verb = "name days that do" if many[_Fault.NO_SUCH_DAY] else "names a day that does"
    add("CO032", rows[_Fault.NO_SUCH_DAY], f"{verb} not exist", expected)
    texts = [str(table.column(column)[index]).strip() for index in rows[_Fault.AMBIGUOUS]]
    add(
        "CO033",
        rows[_Fault.AMBIGUOUS],
        "may have day and month exchanged",
        expected,
        _order_hint(texts),
    )
    add("CO034", outside, f"outside {_FIRST_POSSIBLE} to {last}", "")
    add("CO035", rows[_Fault.DAY_NUMBER], "with a spreadsheet's day number", expected)
    return problems


def _order_hint(texts: Iterable[str]) -> str | None:
    """Say which orders of day and month fit every cell; the choice stays with the study file."""
    texts = list(texts)
    if not texts:
        return None
    marks = {match[1] for text in texts if (match := _PARTS.fullmatch(text))}
    if len(marks) > 1 or any(re.search(r"\D[0-9]{2}$", text) for text in texts):
        return "Export the dates in ISO form: they differ in separator or have two-digit years."
    mark = marks.pop()
    orders = (f"%d{mark}%m{mark}%Y", f"%m{mark}%d{mark}%Y")
    fitting = [f'"{order}"' for order in orders if _all_fit(texts, order)]
    if len(fitting) == 1:
        return f"Declare `date_format`; of the two usual orders only {fitting[0]} fits every cell."
    return f'Declare `date_format`: "{orders[0]}" or "{orders[1]}".'


def _all_fit(texts: list[str], order: str) -> bool:
    return all(isinstance(_parse(text, order), dt.date) for text in texts)
