"""Dates and durations of a cohort's tables as days since each patient's time origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.dates import dates
from metastra.cohort.findings import Finding, gather, with_patients
from metastra.cohort.tables import Table
from metastra.cohort.values import numbers
from metastra.errors import Problem
from metastra.units import DAYS_PER_UNIT, TimeUnit

__all__ = ["CohortClock", "read_clock"]

_DAY_NUMBER = "CO035"


@dataclass(frozen=True, kw_only=True, eq=False)
class CohortClock:
    """The time origins of a cohort's patients.

    Parameters
    ----------
    origins : ndarray of datetime64[D], shape (n,), or None
        Each patient's time origin, NaT where it is missing; None where the tables hold durations.
    unit : TimeUnit
        Of durations.
    data_cut : date or None
        Dates after it are refused.
    """

    origins: NDArray[np.datetime64] | None
    unit: TimeUnit
    data_cut: date | None = None

    def days(
        self, table: Table, column: str, patients: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float64], list[Problem]]:
        """Read a column of dates or durations.

        Parameters
        ----------
        table : Table
            Any table of the cohort.
        column : str
            One of its columns, as the table spells it.
        patients : ndarray of shape (m,), optional
            Position of each record's patient among the `origins`, -1 for unknown patients; the
            table's own order when left out.

        Returns
        -------
        days : ndarray of float64, shape (m,)
            Days since the patient's origin; NaN where the cell is missing, refused, or the patient
            has no origin.
        problems : list of Problem
            Those of `metastra.cohort.dates.dates` or `metastra.cohort.values.numbers`; ST003 for a
            column of dates in a study without an origin.

        Notes
        -----
        With an origin, a column whose filled cells are all dates holds dates, and one whose filled
        cells are all numbers holds durations since the origin.  A mixture is read as dates, so
        that the cells that are none are reported.
        """
        stamps, date_problems = dates(table, column, data_cut=self.data_cut)
        durations, number_problems = numbers(table, column)
        if self.origins is None:
            filled = sum(cell is not None for cell in table.column(column))
            if number_problems and filled and not date_problems:
                found = f"{column!r} holds dates, and there is no origin to count from"
                hint = 'Add origin = "…" under [clock]: the column with the date of surgery.'
                lacking = problem("ST003", found, where=table.where(column), hint=hint)
                return np.full(len(table), np.nan), [lacking]
            return durations * DAYS_PER_UNIT[self.unit], number_problems
        day_numbers = any(item.code == _DAY_NUMBER for item in date_problems)
        if date_problems and not number_problems and not day_numbers:
            return durations * DAYS_PER_UNIT[self.unit], []
        at = np.arange(len(table)) if patients is None else patients
        gap = stamps - self.origins[at]
        known = (at >= 0) & ~np.isnat(gap)
        days = np.full(len(table), np.nan)
        days[known] = gap[known].astype("timedelta64[D]").astype(np.float64)
        return days, date_problems


def read_clock(
    clini: Table,
    *,
    origin: str | None,
    unit: TimeUnit,
    names: Sequence[str],
    data_cut: date | None = None,
) -> tuple[CohortClock, list[Problem]]:
    r"""Read the time origins of a clinical table.

    Parameters
    ----------
    clini : Table
        With one record per patient.
    origin : str or None
        Its column with the date of surgery; None where the tables hold durations.
    unit : TimeUnit
        Of durations.
    names : sequence of str
        Pseudonyms of the records.
    data_cut : date, optional
        Dates after it are refused.

    Returns
    -------
    clock : CohortClock
        With which every other date and duration is read.
    problems : list of Problem
        EP004 for missing origins, and those of reading dates.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from metastra.cohort.tables import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "clini.csv")
    ...     _ = path.write_text("PATIENT,surgery,seen\na,2020-01-01,2020-03-01\n")
    ...     table, _ = read_table(path)
    >>> clock, _ = read_clock(table, origin="surgery", unit=TimeUnit.DAYS, names=["P-1"])
    >>> clock.days(table, "seen")[0].tolist()
    [60.0]
    """
    if origin is None:
        return CohortClock(origins=None, unit=unit, data_cut=data_cut), []
    stamps, found = dates(clini, origin, data_cut=data_cut)
    problems = with_patients(found, map(int, clini.rows), names)
    problems += gather(
        (
            Finding(
                code="EP004",
                headline="the date of the time origin is missing",
                name=name,
                row=int(row),
                file=clini.name,
                column=origin,
            )
            for cell, row, name in zip(clini.column(origin), clini.rows, names, strict=True)
            if cell is None
        ),
        cohort=clini.cohort,
    )
    return CohortClock(origins=stamps, unit=unit, data_cut=data_cut), problems
