"""Parquet tables and XLSX workbooks: typed cells become the text a person would have written.

Numbers take the declared decimal mark and dates the declared format (ISO without one), so that one
study file describes a table whichever way it was exported.
"""

from __future__ import annotations

import datetime as dt
import importlib
import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from metastra.catalogue import problem
from metastra.cohort import table_format
from metastra.cohort.table_format import Grid, TableFormat, at_rows, refuse
from metastra.errors import MissingExtra, Problem, Where

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["read_parquet", "read_workbook"]

_EXACT_INTEGERS = 10**15
"""A spreadsheet keeps 15 digits; longer whole numbers have lost some."""
_ZERO_PADDED = re.compile(r"0{2,}")
_ROW_REFERENCE = re.compile(r"\$?[A-Z]{1,3}\$?([0-9]{1,7})")
_MAX_ROWS = 1 << 20
"""Rows of a sheet by the file format (ECMA-376)."""
_DAMAGED = (
    # what zipfile, the XML parser (SyntaxError) and openpyxl raise on damaged files
    zipfile.BadZipFile,
    zlib.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
)


def read_parquet(data: bytes, form: TableFormat, place: Where) -> tuple[Grid | None, list[Problem]]:
    """Read a Parquet table.

    Parameters
    ----------
    data : bytes
        The whole file.
    form : TableFormat
        Decimal mark and date format of the text that is made.
    place : Where
        The file, for the problems.

    Returns
    -------
    grid : Grid or None
        The first record is row 2, as if the names were row 1.
    problems : list of Problem
        ``CO001`` for a damaged file, one that is too large, or a column that is no plain value.

    Raises
    ------
    MissingExtra
        If pyarrow is not installed.

    Examples
    --------
    >>> import pyarrow, pyarrow.parquet
    >>> stream = io.BytesIO()
    >>> pyarrow.parquet.write_table(pyarrow.table({"id": ["007"], "age": [61.5]}), stream)
    >>> grid, _ = read_parquet(stream.getvalue(), TableFormat(), Where(file="t.parquet"))
    >>> grid.records, grid.rows
    ([('007', '61.5')], [2])
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra("pyarrow", extra="parquet", what_for="reading Parquet") from error
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        meta = file.metadata
        groups = range(meta.num_row_groups)
        unpacked = sum(meta.row_group(index).total_byte_size for index in groups)
        if _over_limits(unpacked, meta.num_rows * meta.num_columns):
            return refuse("CO001", "the table is larger than the limit", place)
        table = file.read()
        columns = [_arrow_texts(column, form) for column in table.columns]
    except (pa.ArrowException, ArithmeticError, OSError, ValueError) as error:
        return refuse("CO001", f"the Parquet file is damaged: {_first_line(error)}", place)
    types = pa.types
    nested = [
        field.name
        for field in table.schema
        if types.is_nested(field.type)
        or types.is_binary(field.type)
        or types.is_large_binary(field.type)
    ]
    if nested:
        found = f"columns hold lists or bytes, not plain values: {', '.join(map(repr, nested))}"
        return refuse("CO001", found, place, hint="Leave them out or write them as text.")
    records: list[Sequence[str]] = list(zip(*columns, strict=True))
    rows = list(range(2, len(records) + 2))
    return Grid(header=tuple(table.schema.names), records=records, rows=rows), []


def read_workbook(
    data: bytes, form: TableFormat, place: Where
) -> tuple[Grid | None, list[Problem]]:
    """Read one sheet of an XLSX workbook, formulas by the values last computed.

    Parameters
    ----------
    data : bytes
        The whole file.
    form : TableFormat
        Sheet, decimal mark, date format and comment.
    place : Where
        The file, for the problems.

    Returns
    -------
    grid : Grid or None
        Rows are the sheet's.
    problems : list of Problem
        ``CO001`` for a damaged or too large file or an open choice of sheet, ``CO005`` for merged
        cells, ``CO030`` for formulas that were never computed.

    Raises
    ------
    MissingExtra
        If openpyxl or defusedxml is not installed.

    Notes
    -----
    Whole numbers lose a trailing ``.0``, booleans become TRUE and FALSE, and a number that the
    sheet shows with leading zeros (format ``00000``) keeps them, as in a CSV exported from it.
    Hidden rows and columns are read like all others.

    Examples
    --------
    >>> import openpyxl
    >>> book, stream = openpyxl.Workbook(), io.BytesIO()
    >>> book.active.append(["PATIENT", "age"])
    >>> book.active.append(["007", 61])
    >>> book.save(stream)
    >>> grid, _ = read_workbook(stream.getvalue(), TableFormat(), Where(file="t.xlsx"))
    >>> grid.records, grid.rows
    ([('007', '61')], [2])
    """
    try:
        import openpyxl

        safe_xml = importlib.import_module("defusedxml.ElementTree")
    except ImportError as error:
        name = error.name or "openpyxl"
        raise MissingExtra(name, extra="xlsx", what_for="reading XLSX") from error
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if _over_limits(sum(member.file_size for member in archive.infolist()), 0):
                return refuse("CO001", "the workbook unpacks to more than the limit", place)
            sheets = _sheet_parts(archive, safe_xml.fromstring)
            sheet, problems = _choose_sheet(list(sheets), form.sheet, place)
            if sheet is None:
                return None, problems
            part = archive.read(sheets[sheet])
        with warnings.catch_warnings():
            # openpyxl warns of styles and rules it does not know; no value depends on them
            warnings.simplefilter("ignore", UserWarning)
            book = openpyxl.load_workbook(
                io.BytesIO(data), read_only=True, data_only=True, keep_links=False
            )
            grid, problems = _read_sheet(book[sheet], form, place)
        structure = _structure_problems(part, safe_xml.iterparse, place)
    except _DAMAGED as error:
        return refuse("CO001", f"the workbook is damaged: {_first_line(error)}", place)
    return grid, problems if grid is None else problems + structure


def _arrow_texts(column: Any, form: TableFormat) -> list[str]:
    values = column.to_pylist()
    kind = str(column.type)
    if kind in {"float", "halffloat"}:
        # the shortest decimal that is this single: 0.1, not 0.10000000149011612
        single = np.float32 if kind == "float" else np.float16
        values = [None if value is None else float(str(single(value))) for value in values]
    return [_as_text(value, form) for value in values]


def _over_limits(unpacked_bytes: int, cells: int) -> bool:
    return unpacked_bytes > table_format.MAX_TABLE_BYTES or cells > table_format.MAX_CELLS


def _first_line(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__} {text[:120]}".strip()


def _sheet_parts(archive: zipfile.ZipFile, parse: Callable[[bytes], Element]) -> dict[str, str]:
    """List the sheets by name, with the archive member that holds each."""
    relations = {
        relation.get("Id", ""): relation.get("Target", "")
        for relation in parse(archive.read("xl/_rels/workbook.xml.rels"))
    }
    parts = {}
    for element in parse(archive.read("xl/workbook.xml")).iter():
        if element.tag.endswith("}sheet"):
            ids = [text for key, text in element.attrib.items() if key.endswith("}id")]
            target = relations.get(ids[0], "") if ids else ""
            if "worksheet" in target:
                path = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
                parts[element.get("name", "")] = path
    return parts


def _choose_sheet(
    sheets: list[str], declared: str | None, place: Where
) -> tuple[str | None, list[Problem]]:
    named = ", ".join(map(repr, sheets))
    if declared is not None and declared in sheets:
        return declared, []
    if declared is not None:
        found = f"the workbook has no sheet {declared!r}; it has {named}"
        return refuse("CO001", found, place, hint="Correct `sheet`.")
    if len(sheets) == 1:
        return sheets[0], []
    found = f"the workbook has {len(sheets)} sheets: {named}"
    return refuse("CO001", found, place, hint="Declare `sheet`.")


def _read_sheet(sheet: Any, form: TableFormat, place: Where) -> tuple[Grid | None, list[Problem]]:
    sheet.reset_dimensions()  # the declared extent may be wrong and would cut rows off
    header: list[str] = []
    records: list[Sequence[str]] = []
    rows: list[int] = []
    room = table_format.MAX_CELLS
    for row, cells in enumerate(sheet.iter_rows(), start=1):
        room -= len(cells)
        if row > _MAX_ROWS or room < 0:
            return refuse("CO001", "the sheet is larger than the limit", place)
        texts = [_as_text(cell.value, form, cell) for cell in cells]
        while texts and not texts[-1].strip():
            texts.pop()
        if not texts or (not header and form.comment and texts[0].startswith(form.comment)):
            continue
        if not header:
            header = texts
        else:
            records.append((*texts, *[""] * (len(header) - len(texts))))
            rows.append(row)
    if not header:
        return refuse("CO002", "the sheet is empty", place)
    return Grid(header=header, records=records, rows=rows), []


def _as_text(value: object, form: TableFormat, cell: Any = None) -> str:
    """Write a typed value as a person would; `cell` is the workbook's, None for Parquet."""
    if value is None or value != value:  # NaN of any float type
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and cell is not None and value.is_integer():
        value = int(value) if abs(value) < _EXACT_INTEGERS else value
    if isinstance(value, int):
        padded = cell is not None and _ZERO_PADDED.fullmatch(cell.number_format or "")
        return str(value).zfill(len(padded[0])) if padded else str(value)
    if isinstance(value, float | Decimal):
        return str(value).replace(".", form.decimal)
    if isinstance(value, dt.datetime):
        return _date_text(value, form)
    if isinstance(value, dt.date):
        return value.strftime(form.date_format) if form.date_format else value.isoformat()
    return str(value)


def _date_text(value: dt.datetime, form: TableFormat) -> str:
    if form.date_format:
        return value.strftime(form.date_format)
    midnight = value.tzinfo is None and value.time() == dt.time()
    return value.date().isoformat() if midnight else value.isoformat(sep=" ")


def _structure_problems(
    part: bytes, iterparse: Callable[..., Iterable[tuple[str, Element]]], place: Where
) -> list[Problem]:
    """Find what a list of values cannot show: merged cells, formulas never computed."""
    merged: list[str] = []
    uncomputed: list[int] = []
    if b"mergeCell" in part or b"<f" in part or b":f>" in part:
        for _, element in iterparse(io.BytesIO(part)):
            if element.tag.endswith("}mergeCell"):
                merged.append(element.get("ref", ""))
            elif element.tag.endswith("}c"):
                kinds = {child.tag.rpartition("}")[2]: child for child in element}
                if "f" in kinds and ("v" not in kinds or not kinds["v"].text):
                    uncomputed.append(_row_of(element.get("r", "")))
            elif element.tag.endswith("}row"):
                element.clear()
    problems = []
    if merged:
        found = f"merged cells ({', '.join(merged[:8])}): only the first of them holds the value"
        rows = sorted({_row_of(extent) for extent in merged})
        hint = "Unmerge them and fill in every cell."
        problems.append(problem("CO005", found, where=at_rows(place, rows), hint=hint))
    if uncomputed:
        hint = "Open the workbook in a spreadsheet program, let it compute, and save it."
        where = at_rows(place, sorted(set(uncomputed)))
        problems.append(
            problem("CO030", "formulas that were never computed", where=where, hint=hint)
        )
    return problems


def _row_of(reference: str) -> int:
    match = _ROW_REFERENCE.match(reference)
    return int(match[1]) if match else 0
