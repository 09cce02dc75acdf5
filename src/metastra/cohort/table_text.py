"""Text tables: decode strictly, find the separator, split into records, keep line numbers right.

Splitting is Python's `csv` reader in strict mode (RFC 4180 quoting).  A record's row is the line
on which it begins as an editor shows it: skipped comment lines count, and so do line breaks inside
quotes.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from itertools import islice

import numpy as np

from metastra.catalogue import problem
from metastra.cohort import table_format
from metastra.cohort.table_format import Grid, TableFormat, at_rows, refuse
from metastra.errors import Problem, Where

__all__ = ["read_text"]

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t", ".maf": "\t"}
_CANDIDATES = ",;\t|"
_SAMPLE_RECORDS = 200
_MAX_NAMED = 1000
"""Places searched for one kind of damage; a binary file has one per byte."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_LINE_END_BYTES = re.compile(rb"\r\n|\r|\n")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?')
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(
    data: bytes, suffix: str, form: TableFormat, place: Where
) -> tuple[Grid | None, list[Problem]]:
    r"""Split a text table into records.

    Parameters
    ----------
    data : bytes
        The whole table.
    suffix : str
        The file's extension, which gives the separator where none is declared.
    form : TableFormat
        How the table is written.
    place : Where
        The file, for the problems.

    Returns
    -------
    grid : Grid or None
        None where the text cannot be split at all.
    problems : list of Problem
        ``CO001`` to ``CO005`` and ``CO008``.

    Examples
    --------
    >>> grid, _ = read_text(b'a,b\n1,"x\ny"\n2,z\n', ".csv", TableFormat(), Where(file="t.csv"))
    >>> grid.records, grid.rows
    ([['1', 'x\ny'], ['2', 'z']], [2, 4])
    """
    delimiter = form.delimiter or _DELIMITERS.get(suffix)
    if delimiter is None:
        found = f"the extension {suffix!r} does not say how fields are separated"
        return refuse("CO001", found, place, hint='Declare `delimiter`, for instance ",".')
    text, problems = _decode(data, form.encoding, place)
    if text is None:
        return None, problems
    problems += _character_problems(text, form.encoding, place)
    begin, first_row = _skip_preamble(text, form.comment)
    if excel := _SEPARATOR_LINE.fullmatch(_LINE_END.split(text[begin : begin + 9], maxsplit=1)[0]):
        hint = f'Declare `delimiter = "{excel[1]}"` and `comment = "sep"`, or remove the line.'
        found = "the first line is a spreadsheet's separator line"
        return None, problems + refuse("CO004", found, at_rows(place, [first_row]), hint=hint)[1]
    body = text[begin:]
    if better := _better_delimiter(body, delimiter):
        found = f"the header and rows split evenly at {_named(better)}, not at {_named(delimiter)}"
        shown = "\\t" if better == "\t" else better
        hint = f'Declare `delimiter = "{shown}"`.'
        where = at_rows(place, [first_row])
        return None, problems + refuse("CO004", found, where, hint=hint)[1]
    grid, split_problems = _split(body, delimiter, first_row, place)
    return grid, problems + split_problems


def _named(delimiter: str) -> str:
    return {"\t": "tabs", ",": "commas", ";": "semicolons"}.get(delimiter, repr(delimiter))


def _decode(data: bytes, encoding: str, place: Where) -> tuple[str | None, list[Problem]]:
    name = codecs.lookup(encoding).name
    marked = next((known for bom, known in _BOMS if data.startswith(bom)), None)
    if marked is not None and not name.startswith(marked):
        found = f"the file begins with the byte-order mark of {marked}"
        hint = f'Declare `encoding = "{marked}"`.'
        return refuse("CO003", found, place, expected=encoding, hint=hint)
    try:
        text = data.decode("utf-8-sig" if name == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        return None, [_undecodable(data, error, encoding, place)]
    if not name.startswith("utf") and not data.isascii() and _is_utf8(data):
        found = f"the bytes are valid UTF-8; read as {encoding} its letters would be replaced"
        return refuse("CO003", found, place, hint='Declare `encoding = "utf-8"`.')
    return text, []


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _undecodable(data: bytes, error: UnicodeDecodeError, encoding: str, place: Where) -> Problem:
    """Name every line that fails, where lines can be told apart before decoding."""
    first = data[error.start : error.start + 4]
    shown = " ".join(f"{byte:02X}" for byte in first)
    rows: list[int] = []
    if error.encoding.startswith(("utf-16", "utf-32", "utf_16", "utf_32")):
        return problem("CO003", f"bytes {shown} cannot be decoded", where=place, expected=encoding)
    for number, line in enumerate(_LINE_END_BYTES.split(data), start=1):
        if not line.isascii() and not _decodes(line, encoding):
            rows.append(number)
    hint = None
    if _decodes(data, "cp1252"):
        hint = 'Declare the encoding (`encoding = "cp1252"` would fit) or save the table as UTF-8.'
    found = f"bytes {shown} cannot be decoded"
    return problem("CO003", found, where=at_rows(place, rows), expected=encoding, hint=hint)


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _character_problems(text: str, encoding: str, place: Where) -> list[Problem]:
    problems = []
    if rows := _rows_with(text, _CONTROL):
        latin = codecs.lookup(encoding).name.startswith("iso8859")
        hint = 'If letters are wrong, declare `encoding = "cp1252"`.' if latin else None
        found = "null bytes or control characters"
        problems.append(problem("CO008", found, where=at_rows(place, rows), hint=hint))
    if rows := _rows_with(text, re.compile("\ufffd")):
        found = "the replacement character \ufffd: an earlier program lost letters here"
        where = at_rows(place, rows)
        problems.append(problem("CO003", found, where=where, hint="Export the table again."))
    return problems


def _rows_with(text: str, pattern: re.Pattern[str]) -> list[int]:
    positions = [match.start() for match in islice(pattern.finditer(text), _MAX_NAMED)]
    if not positions:
        return []
    ends = np.fromiter((match.end() for match in _LINE_END.finditer(text)), dtype=np.int64)
    lines = np.searchsorted(ends, positions, side="right") + 1
    return [int(line) for line in np.unique(lines)]


def _skip_preamble(text: str, comment: str | None) -> tuple[int, int]:
    """Where the header begins, and its line number: past blank lines and declared comments."""
    begin, row = 0, 1
    for end in _LINE_END.finditer(text):
        line = text[begin : end.start()]
        if line.strip() and not (comment and line.startswith(comment)):
            break
        begin, row = end.end(), row + 1
    return begin, row


def _better_delimiter(body: str, delimiter: str) -> str:
    """Another separator that splits the table evenly while the one in use does not."""
    width, even = _fit(body, delimiter)
    if width > 1 and even:
        return ""
    fits = {other: _fit(body, other) for other in _CANDIDATES if other != delimiter}
    good = [
        other for other, (columns, evenly) in fits.items() if evenly and columns > max(width, 1)
    ]
    return max(good, key=lambda other: fits[other][0], default="")


def _fit(body: str, delimiter: str) -> tuple[int, bool]:
    """Columns of the header, and whether the first rows have as many."""
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
    widths: list[int] = []
    try:
        widths.extend(
            len(record)
            for record in islice(reader, _SAMPLE_RECORDS)
            if any(cell.strip() for cell in record)
        )
    except csv.Error:
        return (widths[0] if widths else 0), False
    return (widths[0] if widths else 0), len(set(widths)) == 1


def _split(
    body: str, delimiter: str, first_row: int, place: Where
) -> tuple[Grid | None, list[Problem]]:
    """Collect every record with the line on which it begins; after a broken one, go on."""
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
    records: list[Sequence[str]] = []
    rows: list[int] = []
    broken: dict[str, list[int]] = {}
    row, room, ended = first_row, table_format.MAX_CELLS, False
    while not ended:
        try:
            for record in reader:
                if record:
                    records.append(record)
                    rows.append(row)
                    room -= len(record)
                    if room < 0:
                        return _too_many_cells(place)
                row = first_row + reader.line_num
            ended = True
        except csv.Error as error:
            broken.setdefault(_reason(error), []).append(row)
            row = first_row + reader.line_num
    problems = [
        problem(
            "CO005",
            f"quotes are broken: {reason}",
            where=at_rows(place, at),
            hint="Close the quote, or double a quote that belongs to the text.",
        )
        for reason, at in broken.items()
    ]
    if not records:
        return None, problems or refuse("CO002", "the table has no header", place)[1]
    return Grid(header=records[0], records=records[1:], rows=rows[1:]), problems


def _too_many_cells(place: Where) -> tuple[None, list[Problem]]:
    found = f"the table has more than {table_format.MAX_CELLS:,} cells, the limit"
    return refuse("CO001", found, place, hint="Split the table.")


def _reason(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "a quote that opens here is never closed"
    if "field limit" in str(error):
        return "a field of over 100,000 characters; a quote that opens here may not be closed"
    return "text follows a closing quote"
