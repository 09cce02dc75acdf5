"""Tables as values, and how each hospital writes them down."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TypeAlias

from metastra.synthetic.case_mix import Style

__all__ = ["WRITINGS", "Cell", "Parts", "Table", "Writing", "render"]

Cell: TypeAlias = str | int | float | date | None
"""One value; None is missing.  Text is written as it stands, apart from translated words."""

Parts: TypeAlias = "dict[str, Table | bytes]"
"""The files of a study by name: tables that can still be changed, or finished bytes."""


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How tables are written.

    Parameters
    ----------
    suffix : str
        Of the file names.
    delimiter : str
        Between fields.
    decimal : str
        Mark in numbers.
    date_format : str
        As ``strftime`` has it.
    encoding : str
        Of the text; ``utf-8-sig`` writes a byte order mark.
    line_end : str
        Of each row.
    missing : str
        Stands for missing values.
    headers : mapping of str to str
        Column as metastra names it → as it is written.
    words : mapping of str to mapping of str to str
        Column → word → as it is written.
    """

    suffix: str = ".csv"
    delimiter: str = ","
    decimal: str = "."
    date_format: str = "%Y-%m-%d"
    encoding: str = "utf-8"
    line_end: str = "\n"
    missing: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def header(self, column: str) -> str:
        """Name a column as it is written.

        Parameters
        ----------
        column : str
            As metastra names it.

        Returns
        -------
        str
            As the file has it.
        """
        return self.headers.get(column, column)

    def text(self, column: str, cell: Cell) -> str:
        """Write one cell.

        Parameters
        ----------
        column : str
            As metastra names it.
        cell : str, int, float, date or None
            Its value.

        Returns
        -------
        str
            As the file has it, without quotes.

        Examples
        --------
        >>> WRITINGS[Style.GERMAN].text("CEA", 3.5), WRITINGS[Style.ISO].text("CEA", 3.5)
        ('3,5', '3.5')
        """
        if cell is None:
            return self.missing
        if isinstance(cell, date):
            return cell.strftime(self.date_format)
        if isinstance(cell, float):
            return repr(cell).replace(".", self.decimal)
        return self.words.get(column, {}).get(str(cell), str(cell))


@dataclass(frozen=True, kw_only=True)
class Table:
    r"""One table before it is written.

    Parameters
    ----------
    columns : tuple of str
        As metastra names them.
    rows : tuple of tuple of Cell
        One value for each column.
    writing : Writing
        How it is written.

    Examples
    --------
    >>> table = Table(columns=("PATIENT", "age"), rows=(("a", 61.5), ("b", None)))
    >>> table.render()
    b'PATIENT,age\na,61.5\nb,\n'
    >>> table.with_cell(1, "age", 70.0).cell(1, "age")
    70.0
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    writing: Writing = field(default_factory=Writing)

    def __len__(self) -> int:
        return len(self.rows)

    def cell(self, row: int, column: str) -> Cell:
        """Look one value up.

        Parameters
        ----------
        row : int
            Position, from 0.
        column : str
            As metastra names it.

        Returns
        -------
        Cell
            Its value.
        """
        return self.rows[row][self.columns.index(column)]

    def column(self, name: str) -> tuple[Cell, ...]:
        """Take all values of a column.

        Parameters
        ----------
        name : str
            As metastra names it.

        Returns
        -------
        tuple of Cell
            From the first row to the last.
        """
        place = self.columns.index(name)
        return tuple(row[place] for row in self.rows)

    def with_cell(self, row: int, column: str, cell: Cell) -> Table:
        """Change one value.

        Parameters
        ----------
        row : int
            Position, from 0.
        column : str
            As metastra names it.
        cell : Cell
            The new value.

        Returns
        -------
        Table
            A changed copy.
        """
        place = self.columns.index(column)
        changed = (*self.rows[row][:place], cell, *self.rows[row][place + 1 :])
        return replace(self, rows=(*self.rows[:row], changed, *self.rows[row + 1 :]))

    def with_row(self, **cells: Cell) -> Table:
        """Add a row at the end.

        Parameters
        ----------
        **cells : Cell
            Values by column; the others are missing.

        Returns
        -------
        Table
            A longer copy.
        """
        return replace(self, rows=(*self.rows, tuple(cells.get(name) for name in self.columns)))

    def with_column(self, name: str, cells: Sequence[Cell]) -> Table:
        """Add a column at the end, or replace one.

        Parameters
        ----------
        name : str
            As metastra names it.
        cells : sequence of Cell
            One for each row.

        Returns
        -------
        Table
            A changed copy.
        """
        kept = [k for k, column in enumerate(self.columns) if column != name]
        place = self.columns.index(name) if name in self.columns else len(kept)
        rows = []
        for row, cell in zip(self.rows, cells, strict=True):
            values = [row[k] for k in kept]
            rows.append((*values[:place], cell, *values[place:]))
        names = [self.columns[k] for k in kept]
        columns = (*names[:place], name, *names[place:])
        return replace(self, columns=columns, rows=tuple(rows))

    def render(self) -> bytes:
        """Write the table down.

        Returns
        -------
        bytes
            The file.
        """
        buffer = io.StringIO()
        writer = csv.writer(
            buffer, delimiter=self.writing.delimiter, lineterminator=self.writing.line_end
        )
        writer.writerow(self.writing.header(name) for name in self.columns)
        text = self.writing.text
        for row in self.rows:
            writer.writerow(text(name, cell) for name, cell in zip(self.columns, row, strict=True))
        return buffer.getvalue().encode(self.writing.encoding)


_GERMAN_HEADERS = {
    "PATIENT": "Fallnummer",
    "SURGERY_DATE": "OP_Datum",
    "LAST_CONTACT": "Letzter_Kontakt",
    "site": "Standort",
    "age": "Alter",
    "sex": "Geschlecht",
    "stage": "UICC",
    "mets_at_diagnosis": "Fernmetastasen",
    "grade": "Grading",
    "CEA_DATE": "CEA_Datum",
    "location": "Lokalisation",
    "OS_DAYS": "Tage",
    "OS_STATUS": "Status",
    "DATE": "Datum",
    "TYPE": "Ereignis",
    "SITE": "Ort",
    "EVIDENCE": "Nachweis",
    "LAST_NEGATIVE": "Letzter_Normalbefund",
    "FILENAME": "Datei",
    "SCAN_DATE": "Scan_Datum",
}
_GERMAN_WORDS = {
    "TYPE": {
        "metastasis": "Metastase",
        "recurrence": "Rezidiv",
        "death-of-disease": "Tod durch Tumor",
        "death-of-other-cause": "Tod anderer Ursache",
        "metastasis-procedure": "Metastasenresektion",
    },
    "SITE": {"liver": "Leber", "peritoneum": "Bauchfell", "lung": "Lunge", "local": "Anastomose"},
    "EVIDENCE": {
        "imaging": "Bildgebung",
        "histology": "Histologie",
        "clinical": "klinisch",
        "certificate": "Totenschein",
        "operation note": "OP-Bericht",
    },
    "OS_STATUS": {"alive": "lebt", "dead": "verstorben"},
    "mets_at_diagnosis": {"yes": "ja", "no": "nein"},
    "ORGAN": {"colon": "Kolon", "rectum": "Rektum", "liver": "Leber"},
    "PROCEDURE": {"resection": "Resektion"},
    "STAIN": {"H&E": "HE"},
}

WRITINGS: dict[Style, Writing] = {
    Style.ISO: Writing(),
    Style.GERMAN: Writing(
        delimiter=";",
        decimal=",",
        date_format="%d.%m.%Y",
        encoding="cp1252",
        line_end="\r\n",
        missing="k. A.",
        headers=_GERMAN_HEADERS,
        words=_GERMAN_WORDS,
    ),
    Style.TABBED: Writing(
        suffix=".tsv", delimiter="\t", date_format="%d/%m/%Y", encoding="utf-8-sig", missing="NA"
    ),
}
"""How the cohorts of each style write."""


def render(parts: Parts) -> dict[str, bytes]:
    """Write all tables down.

    Parameters
    ----------
    parts : dict of str to (Table or bytes)
        By file name.

    Returns
    -------
    dict of str to bytes
        By file name, in the same order.
    """
    return {
        name: part.render() if isinstance(part, Table) else part for name, part in parts.items()
    }
