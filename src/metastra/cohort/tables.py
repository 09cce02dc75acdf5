"""A table as it was written: every cell as text, with the line it stands on.

`read_table` never changes a value: it trims nothing, guesses no type, fills no gap and skips no row
that holds anything.  What cannot be read without guessing is a problem with its file and rows.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.catalogue import problem
from metastra.cohort.table_binary import read_parquet, read_workbook
from metastra.cohort.table_format import Grid, TableFormat, at_rows, refuse
from metastra.cohort.table_source import SourceKind, read_source
from metastra.cohort.table_text import read_text
from metastra.errors import Problem, Where

__all__ = ["Table", "TableFormat", "read_table", "require_columns"]

_SPREADSHEET_ERRORS = frozenset(
    {"#REF!", "#N/A", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!"}
)
_DEFAULT_FORMAT = TableFormat()


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Table:
    """One table of a study; cells are text exactly as written, or None where missing.

    Parameters
    ----------
    name : str
        The file's name as the study file gives it.
    cohort : str
        The cohort the table belongs to; empty where it belongs to none.
    path : Path
        Where the file lies.
    format : TableFormat
        How it is written.
    digest : str
        SHA-256 of the file's bytes.
    columns : tuple of str
        The column names as written.
    rows : ndarray of int64, shape (n,)
        1-based line number of each record as an editor shows it; the sheet's row for a workbook,
        the record's number plus one for Parquet.
    cells : tuple of ndarray of object, each of shape (n,)
        The columns, in the order of `columns`.
    words_for_missing : mapping of str to mapping of str to int
        Per column, the texts other than an empty cell that were taken as missing, and how often.
    """

    name: str
    cohort: str
    path: Path
    format: TableFormat
    digest: str
    columns: tuple[str, ...]
    rows: NDArray[np.int64]
    cells: tuple[NDArray[np.object_], ...]
    words_for_missing: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.rows.size)

    def __repr__(self) -> str:
        # neither cells nor the path: a traceback must show no patient
        return f"Table({self.name!r}, {len(self)} rows, {len(self.columns)} columns)"

    def has(self, name: str) -> bool:
        """Whether the table has a column of exactly this name.

        Parameters
        ----------
        name : str
            The column's name as written.

        Returns
        -------
        bool
            True where it has.
        """
        return name in self.columns

    def column(self, name: str) -> NDArray[np.object_]:
        """Cells of one column.

        Parameters
        ----------
        name : str
            The column's name as written.

        Returns
        -------
        ndarray of object, shape (n,)
            ``str`` as written, or None where the cell is missing; read-only.

        Raises
        ------
        KeyError
            If there is no such column; ask `has` or `require_columns` before.
        """
        try:
            return self.cells[self.columns.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def where(self, column: str = "", rows: ArrayLike | None = None) -> Where:
        """Name a place in this table.

        Parameters
        ----------
        column : str
            A column's name; empty for the whole table.
        rows : array_like, optional
            Positions of records, or a mask of shape (n,); the place then has their line numbers.

        Returns
        -------
        Where
            File, cohort, line numbers and column.
        """
        numbers: tuple[int, ...] = ()
        if rows is not None:
            chosen = np.asarray(rows)
            if chosen.size:
                numbers = tuple(int(row) for row in self.rows[chosen])
        return Where(file=self.name, rows=numbers, column=column, cohort=self.cohort)


class _Columns(NamedTuple):
    cells: tuple[NDArray[np.object_], ...]
    words_for_missing: dict[str, dict[str, int]]
    problems: list[Problem]


def read_table(
    path: Path | str,
    *,
    format: TableFormat = _DEFAULT_FORMAT,  # noqa: A002 (the study file's word)
    name: str = "",
    cohort: str = "",
) -> tuple[Table | None, list[Problem]]:
    r"""Read a table: CSV, TSV or TXT, the same packed as .gz or .zip, Parquet or XLSX.

    Parameters
    ----------
    path : Path or str
        The file.
    format : TableFormat
        How it is written, as the study file declares it.
    name : str
        The file's name as the study file gives it; the path's last part when left out.
    cohort : str
        The cohort it belongs to.

    Returns
    -------
    table : Table or None
        None where nothing can be read.  With a refusal beside it, it holds the rows that could be
        read, so that the checks that follow find their problems in the same run.
    problems : list of Problem
        ``CO001`` to ``CO006``, ``CO008`` and ``CO030`` (a spreadsheet's error cell), all at once.

    Raises
    ------
    MissingExtra
        If the table is Parquet or XLSX and the extra is not installed.

    Notes
    -----
    Rows without any text (blank lines, a spreadsheet's empty rows) are not records.  A file packed
    by macOS may hold its ``__MACOSX`` shadow.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "clini.csv")
    ...     _ = path.write_text("PATIENT,age\n007,61\n008,NA\n")
    ...     table, problems = read_table(path)
    >>> table, problems
    (Table('clini.csv', 2 rows, 2 columns), [])
    >>> list(table.column("PATIENT")), list(table.column("age")), table.rows.tolist()
    (['007', '008'], ['61', None], [2, 3])
    """
    path = Path(path)
    place = Where(file=name or path.name, cohort=cohort)
    source, problems = read_source(path, place)
    if source is None:
        return None, problems
    if source.kind is SourceKind.XLSX:
        grid, problems = read_workbook(source.data, format, place)
    elif source.kind is SourceKind.PARQUET:
        grid, problems = read_parquet(source.data, format, place)
    else:
        grid, problems = read_text(source.data, source.suffix, format, place)
    if grid is None:
        return None, problems
    shape_problems = _header_problems(grid, place) + _width_problems(grid, place)
    problems += shape_problems
    if any(one.code in {"CO002", "CO006"} for one in shape_problems):
        return None, problems
    records, rows = _whole_records(grid)
    columns = _columns(grid, records, rows, format, place)
    numbers = np.asarray(rows, dtype=np.int64)
    numbers.setflags(write=False)
    table = Table(
        name=place.file,
        cohort=cohort,
        path=path,
        format=format,
        digest=source.digest,
        columns=tuple(grid.header),
        rows=numbers,
        cells=columns.cells,
        words_for_missing=columns.words_for_missing,
    )
    return table, problems + columns.problems


def require_columns(table: Table, names: Iterable[str]) -> list[Problem]:
    r"""Look for the columns that a study names.

    Parameters
    ----------
    table : Table
        The table.
    names : iterable of str
        The columns it must have.

    Returns
    -------
    list of Problem
        ``CO007`` for each that is missing, with the nearest name.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "clini.csv")
    ...     _ = path.write_text("Patient,age\n007,61\n")
    ...     table, _ = read_table(path)
    >>> print(require_columns(table, ["PATIENT", "age"])[0])
    CO007 clini.csv: there is no column 'PATIENT'; the nearest is 'Patient'
    """
    problems = []
    by_folded = {_folded(column): column for column in reversed(table.columns)}
    for name in dict.fromkeys(names):
        if table.has(name):
            continue
        near = difflib.get_close_matches(_folded(name), by_folded, n=1, cutoff=0.6)
        hint = f"the nearest is {by_folded[near[0]]!r}" if near else None
        if table.columns[0].startswith("#") and table.format.comment is None:
            hint = 'the table begins with "#": declare `comment = "#"`'
        where = table.where()
        problems.append(problem("CO007", f"there is no column {name!r}", where=where, hint=hint))
    return problems


def _folded(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _header_problems(grid: Grid, place: Where) -> list[Problem]:
    if not any(name.strip() for name in grid.header):
        return refuse("CO002", "the table has no header", place)[1]
    if not any(_has_text(record) for record in grid.records):
        return refuse("CO002", "the table has a header and no rows", place)[1]
    written: dict[str, list[str]] = {}
    for name in grid.header:
        written.setdefault(unicodedata.normalize("NFKC", name).strip().casefold(), []).append(name)
    problems = []
    for folded, names in written.items():
        if len(names) > 1:
            spelt = ", ".join(map(repr, dict.fromkeys(names)))
            found = f"{len(names)} columns are called {spelt}"
            hint = None if folded else "Name them, or remove the separators at the end of the rows."
            problems.append(problem("CO006", found, where=place, hint=hint))
    return problems


def _has_text(record: Sequence[str]) -> bool:
    text = "".join(record)
    return bool(text) and not text.isspace()


def _width_problems(grid: Grid, place: Where) -> list[Problem]:
    width = len(grid.header)
    rows_of: dict[int, list[int]] = {}
    if set(map(len, grid.records)) == {width}:
        return []
    for record, row in zip(grid.records, grid.rows, strict=True):
        if len(record) != width and _has_text(record):
            rows_of.setdefault(len(record), []).append(row)
    hint = None
    if len(rows_of.get(width + 1, ())) == len(grid.records):
        hint = (
            "Every row has one field more than the header: name the first column (R writes row "
            "names without one unless col.names = NA), or remove the separator at the row's end."
        )
    return [
        problem(
            "CO005",
            f"{count} field{'s' if count != 1 else ''}",
            where=at_rows(place, rows),
            expected=f"{width}, as in the header",
            hint=hint,
        )
        for count, rows in sorted(rows_of.items())
    ]


def _whole_records(grid: Grid) -> tuple[list[Sequence[str]], list[int]]:
    """Keep the records that have as many fields as the header, and any text."""
    width = len(grid.header)
    if set(map(len, grid.records)) == {width} and all(record[0].strip() for record in grid.records):
        return grid.records, grid.rows
    kept = [
        (record, row)
        for record, row in zip(grid.records, grid.rows, strict=True)
        if len(record) == width and _has_text(record)
    ]
    return [record for record, _ in kept], [row for _, row in kept]


def _columns(
    grid: Grid, records: list[Sequence[str]], rows: list[int], form: TableFormat, place: Where
) -> _Columns:
    """Turn records into columns with None for missing cells."""
    missing = {word.strip() for word in form.missing}
    cells = []
    words_for_missing = {}
    problems = []
    columns = zip(*records, strict=True) if records else ((),) * len(grid.header)
    for name, column in zip(grid.header, columns, strict=True):
        distinct = set(column)
        gone = {text for text in distinct if text.strip() in missing}
        array = np.empty(len(column), dtype=object)
        array[:] = [None if text in gone else text for text in column] if gone else column
        array.setflags(write=False)
        cells.append(array)
        if any(text.strip() for text in gone):
            counts = Counter(text.strip() for text in column if text in gone)
            words_for_missing[name] = {word: n for word, n in sorted(counts.items()) if word}
        if errors := (distinct & _SPREADSHEET_ERRORS) - gone:
            at = [row for text, row in zip(column, rows, strict=True) if text in errors]
            found = f"a spreadsheet's error: {', '.join(sorted(errors))}"
            hint = "Mend the formula and export again, or declare the text as missing."
            problems.append(problem("CO030", found, where=at_rows(place, at, name), hint=hint))
    return _Columns(tuple(cells), words_for_missing, problems)
