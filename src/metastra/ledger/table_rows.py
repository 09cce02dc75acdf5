"""The rows of a centre's table, with pseudonyms in the place of ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.dates import dates
from metastra.cohort.identifiers import id_problems
from metastra.cohort.tables import Table, TableFormat, read_table, require_columns
from metastra.errors import DataError, Problem, Severity
from metastra.ledger.entry import Entry
from metastra.pseudonyms import Pseudonyms

__all__ = [
    "DATE",
    "EVENT",
    "LAST_NEGATIVE",
    "PATIENT",
    "REASON",
    "Recorded",
    "Source",
    "TableRows",
]

PATIENT, DATE, EVENT = "PATIENT", "DATE", "EVENT"
LAST_NEGATIVE, REASON = "LAST_NEGATIVE", "NOT_ENROLLED"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A table of one centre.

    Parameters
    ----------
    path : Path
        Of the table.
    centre : str
        Whose patients.
    names : Pseudonyms
        Under the centre's key.
    format : TableFormat
        How the table is written.
    """

    path: Path
    centre: str
    names: Pseudonyms
    format: TableFormat = field(default_factory=TableFormat)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a table led to.

    Parameters
    ----------
    entries : tuple of Entry
        New ones, in the order of the rows.
    unchanged : int
        Rows that were recorded before, word for word.
    problems : tuple of Problem
        Warnings.
    """

    entries: tuple[Entry, ...]
    unchanged: int
    problems: tuple[Problem, ...] = ()


class TableRows:
    """The rows of a table with pseudonyms, gathering what is wrong with them.

    Parameters
    ----------
    source : Source
        The table.
    columns : tuple of str
        It must have, besides PATIENT.
    unique : bool
        Whether a patient may have one row only.

    Raises
    ------
    DataError
        If the table or a column cannot be read at all.
    """

    def __init__(self, source: Source, columns: tuple[str, ...], *, unique: bool = True) -> None:
        table, problems = read_table(source.path, format=source.format)
        self.problems = list(problems)
        if table is not None:
            self.problems += require_columns(table, [PATIENT, *columns])
        if table is None or any(p.severity is Severity.REFUSE for p in self.problems):
            raise DataError(f"{source.path.name} cannot be recorded", self.problems)
        self.table: Table = table
        ids = table.column(PATIENT)
        pseudonym = source.names.patient
        found = id_problems(table, PATIENT, ids, pseudonym, unique=unique)
        self.problems += [one for one in found if one.code != "CO018"]
        self.patients = [None if i is None or not i.strip() else pseudonym(i) for i in ids]
        self._wrong: dict[tuple[str, str, str], list[int]] = {}

    def days(self, column: str, *, until: date | None) -> NDArray[np.datetime64]:
        """Read dates; a missing one is a fault where the column is DATE.

        Parameters
        ----------
        column : str
            One of the table's.
        until : date or None
            Nothing can be dated later.

        Returns
        -------
        ndarray of datetime64[D]
            NaT where there is none.
        """
        values, problems = dates(self.table, column, data_cut=until)
        self.problems += problems
        if column == DATE:
            for row, cell in enumerate(self.table.column(column)):
                if cell is None:
                    self.wrong("PR011", row, "there is no date", column)
        return values

    def wrong(self, code: str, row: int, found: str, column: str = PATIENT) -> None:
        """Note a fault; rows with the same fault are told together.

        Parameters
        ----------
        code : str
            Of the catalogue.
        row : int
            Position of the record.
        found : str
            What stands there.
        column : str
            Where.
        """
        self._wrong.setdefault((code, found, column), []).append(row)

    def cell(self, column: str, row: int) -> str | None:
        """Give a cell without white space around it.

        Parameters
        ----------
        column : str
            Present or not.
        row : int
            Position of the record.

        Returns
        -------
        str or None
            None where cell or column is missing.
        """
        if not self.table.has(column):
            return None
        cell = self.table.column(column)[row]
        return None if cell is None or not cell.strip() else str(cell).strip()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        for row, patient in enumerate(self.patients):
            if patient is not None:
                yield row, patient

    def refuse(self) -> tuple[Problem, ...]:
        """Raise when any row is refused, with everything.

        Returns
        -------
        tuple of Problem
            The warnings, otherwise.

        Raises
        ------
        DataError
            With every fault.
        """
        for (code, found, column), rows in self._wrong.items():
            patients = tuple(str(self.patients[row]) for row in rows)
            where = self.table.where(column, rows)
            self.problems.append(problem(code, found, where=where, patients=patients))
        if any(one.severity is Severity.REFUSE for one in self.problems):
            raise DataError(
                f"{self.table.name} cannot be recorded; nothing was written", self.problems
            )
        return tuple(self.problems)
