"""What lies in a folder: tables with a guess of their layout and kind, and slides."""

from __future__ import annotations

import csv
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from metastra.cohort.identifiers import normalise_id
from metastra.cohort.table_format import DEFAULT_MISSING
from metastra.cohort.tables import Table, TableFormat, read_table
from metastra.errors import MetastraError

__all__ = ["SLIDE_SUFFIXES", "FoundFolder", "FoundTable", "find_tables", "pick"]

SLIDE_SUFFIXES = frozenset(
    [
        ".svs",
        ".ndpi",
        ".mrxs",
        ".scn",
        ".bif",
        ".vms",
        ".vmu",
        ".czi",
        ".dcm",
        ".tif",
        ".tiff",
        ".qptiff",
        ".isyntax",
        ".h5",
    ]
)
_TABLE_SUFFIXES = frozenset([".csv", ".tsv", ".txt", ".xlsx", ".parquet", ".gz"])
_MAX_DEPTH = 3
_MAX_FILES = 200_000
_MAX_TABLES = 200
_MAX_SLIDE_COLUMNS = 12
_MOSTLY = 0.8
_MAX_TABLE_BYTES = 200 << 20
"""Larger tables (expression matrices) are named and not read."""

PATIENT_NAMES = (
    "PATIENT",
    "patient_id",
    "Patient Identifier",
    "case_id",
    "submitter_id",
    "bcr_patient_barcode",
    "pid",
    "subject",
    "subject_id",
    "Fallnummer",
    "Patientennummer",
    "id",
)
FILE_NAMES = (
    "FILENAME",
    "file_name",
    "slide_id",
    "slide",
    "wsi",
    "image",
    "file",
    "Datei",
    "Dateiname",
)
EVENT_NAMES = {
    "TYPE": ("TYPE", "event_type", "Ereignis"),
    "DATE": ("DATE", "Datum"),
    "TIME": ("TIME",),
    "SITE": ("SITE", "Ort"),
    "EVIDENCE": ("EVIDENCE", "Nachweis"),
    "LAST_NEGATIVE": ("LAST_NEGATIVE", "Letzter_Normalbefund"),
}
SPECIMEN_NAMES = {
    "SPECIMEN": ("SPECIMEN", "specimen_id"),
    "ORGAN": ("ORGAN",),
    "ROLE": ("ROLE",),
    "PROCEDURE": ("PROCEDURE",),
    "DATE": ("DATE", "Datum"),
    "NEOADJUVANT": ("NEOADJUVANT",),
}
_MISSING_WORDS = frozenset(
    [
        "k. A.",
        "k.A.",
        "n. a.",
        "n/a",
        "[Not Available]",
        "[Not Applicable]",
        "[Not Evaluated]",
        "[Unknown]",
    ]
)


@dataclass(frozen=True, kw_only=True)
class FoundTable:
    """A table that was found, with what it seems to be.

    Parameters
    ----------
    path : Path
        Relative to the folder that was searched.
    kind : str
        ``"clini"``, ``"slide"``, ``"specimen"`` or ``"event"``.
    table : Table
        As it was read.
    layout : dict of str to (str or list of str)
        Settings that differ from the defaults: delimiter, decimal, encoding, comment, date_format,
        missing.
    patient : str
        The column that seems to hold the patient's id.
    filename : str
        The column that seems to hold slide names; empty when there is none.
    repeated : bool
        Whether patients stand in several rows.
    """

    path: Path
    kind: str
    table: Table
    layout: dict[str, str | list[str]] = field(default_factory=dict)
    patient: str
    filename: str = ""
    repeated: bool = False


@dataclass(frozen=True, kw_only=True)
class FoundFolder:
    """What lies in a folder.

    Parameters
    ----------
    tables : list of FoundTable
        By path.
    slides : list of Path
        Slides and feature files by path, relative to the folder.
    passed_over : list of (Path, str)
        Files that may be tables and were not used, each with the reason.
    """

    tables: list[FoundTable]
    slides: list[Path]
    passed_over: list[tuple[Path, str]]


def find_tables(folder: Path) -> FoundFolder:
    """Search a folder for tables and slides, three levels deep.

    Parameters
    ----------
    folder : Path
        Where to look; hidden folders, ``run`` folders and links to folders are passed over.

    Returns
    -------
    FoundFolder
        Tables without a column of patients are among those passed over.
    """
    found = FoundFolder(tables=[], slides=[], passed_over=[])
    for path in _files(folder):
        suffix = path.suffix.lower()
        if suffix in SLIDE_SUFFIXES:
            found.slides.append(path)
        elif suffix in _TABLE_SUFFIXES:
            if len(found.tables) >= _MAX_TABLES:
                found.passed_over.append((path, f"more than {_MAX_TABLES} tables"))
                continue
            table = _look_at(folder, path)
            if isinstance(table, FoundTable):
                found.tables.append(table)
            else:
                found.passed_over.append((path, table))
    return found


def _files(folder: Path) -> Iterator[Path]:
    seen = 0
    for root, names, files in os.walk(folder, followlinks=False):
        here = Path(root).relative_to(folder)
        names[:] = sorted(n for n in names if not n.startswith(".") and n != "run")
        if len(here.parts) >= _MAX_DEPTH:
            names.clear()
        for name in sorted(files):
            seen += 1
            if seen > _MAX_FILES:
                return
            if not name.startswith("."):
                yield here / name


def _look_at(folder: Path, path: Path) -> FoundTable | str:
    """Read what may be a table; the reason where it is none that can be used."""
    try:
        str(path).encode()
        layout = _guess_layout(folder / path)
        if isinstance(layout, str):
            return layout
        table, problems = read_table(
            folder / path,
            format=TableFormat(**layout),  # type: ignore[arg-type]
            name=str(path),
        )
    except UnicodeEncodeError:
        return "the file name is not valid UTF-8"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except MetastraError as error:
        return str(error).splitlines()[0]
    if table is None:
        return problems[0].found if problems else "no table"
    patient = pick(table.columns, PATIENT_NAMES)
    if patient is None:
        return "no column of patients was recognised"
    return _describe(path, table, patient, layout)


def _describe(
    path: Path, table: Table, patient: str, layout: dict[str, str | list[str]]
) -> FoundTable | str:
    filename = pick(table.columns, FILE_NAMES) or ""
    if _decimal_comma(table):
        layout["decimal"] = ","
    if date_format := _date_format(table):
        layout["date_format"] = date_format
    cells = {str(cell) for column in table.cells for cell in column if cell is not None}
    if words := sorted(cells & _MISSING_WORDS):
        layout["missing"] = [*DEFAULT_MISSING, *words]
    ids = [normalise_id(cell) for cell in table.column(patient) if cell is not None]
    if not ids:
        return "it has no patients"
    return FoundTable(
        path=path,
        kind=_kind(table, filename),
        table=table,
        layout=layout,
        patient=patient,
        filename=filename,
        repeated=len(set(ids)) < len(ids),
    )


def _guess_layout(path: Path) -> dict[str, str | list[str]] | str:
    """Guess encoding, separator and comment mark; the reason where it can be no table."""
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        return "it is not a file"
    if state.st_size > _MAX_TABLE_BYTES:
        return f"larger than {_MAX_TABLE_BYTES >> 20} MiB"
    if path.suffix.lower() in {".xlsx", ".parquet", ".gz"}:
        return {}
    data = path.read_bytes()
    layout: dict[str, str | list[str]] = {}
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        layout["encoding"] = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "cp1252"
        text = data.decode(str(layout["encoding"]), errors="replace")
    if not text.strip() or "\0" in text:
        return "it is empty" if not text.strip() else "it is not text"
    lines = text.splitlines()
    if lines[0].startswith("#"):
        layout["comment"] = "#"
        lines = [line for line in lines if not line.startswith("#")]
    if not lines:
        return "it holds only comments"
    counts = {mark: _fields(lines[0], mark) for mark in ",;\t|"}
    best = max(counts, key=lambda mark: counts[mark])
    usual = "\t" if path.suffix.lower() in {".tsv", ".txt"} else ","
    if best != usual and counts[best] > 1:
        layout["delimiter"] = best
    mark = best if counts[best] > 1 else usual
    header = next(csv.reader([lines[0]], delimiter=mark))
    # asked before the rows are read: most text files of a folder are no tables of patients
    return layout if pick(header, PATIENT_NAMES) else "no column of patients was recognised"


def _fields(line: str, mark: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=mark), []))
    except csv.Error:
        return 0


def _kind(table: Table, filename: str) -> str:
    def has(name: str, names: dict[str, tuple[str, ...]]) -> bool:
        return pick(table.columns, names[name]) is not None

    if has("TYPE", EVENT_NAMES) and (has("DATE", EVENT_NAMES) or has("TIME", EVENT_NAMES)):
        return "event"
    of_specimens = any(has(name, SPECIMEN_NAMES) for name in ("ROLE", "ORGAN", "PROCEDURE"))
    if has("SPECIMEN", SPECIMEN_NAMES) and of_specimens and not filename:
        return "specimen"
    if filename and len(table.columns) <= _MAX_SLIDE_COLUMNS:
        return "slide"
    return "clini"


def _decimal_comma(table: Table) -> bool:
    """Whether a column holds numbers with a decimal comma and none with a point."""
    number = re.compile(r"-?\d+([.,]\d+)?")
    for column in table.cells:
        seen = (str(cell).strip() for cell in column[:500] if cell is not None)
        cells = [cell for cell in seen if cell not in _MISSING_WORDS]
        with_comma = sum("," in cell for cell in cells if number.fullmatch(cell))
        numbers = sum(number.fullmatch(cell) is not None for cell in cells)
        points = any("." in cell for cell in cells if number.fullmatch(cell))
        if with_comma and not points and numbers >= _MOSTLY * len(cells):
            return True
    return False


def _date_format(table: Table) -> str:
    """Guess a date format only where a day above 12 decides it."""
    pattern = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})")
    for column in table.cells:
        found = [pattern.fullmatch(str(cell).strip()) for cell in column[:500] if cell is not None]
        dates = [match for match in found if match]
        if len(dates) < 3 or len(dates) < len(found) // 2:
            continue
        mark = dates[0].group(2)
        if any(int(match.group(1)) > 12 for match in dates):
            return f"%d{mark}%m{mark}%Y"
        if any(int(match.group(3)) > 12 for match in dates):
            return f"%m{mark}%d{mark}%Y"
    return ""


def pick(columns: Sequence[str], wanted: Sequence[str]) -> str | None:
    """Take the first wanted name that is there; exact spelling first, then without case and marks.

    Parameters
    ----------
    columns : sequence of str
        What is there.
    wanted : sequence of str
        In the order of preference.

    Returns
    -------
    str or None
        As it is spelled in `columns`.

    Examples
    --------
    >>> pick(["Age", "pid"], ["patient", "PID"])
    'pid'
    """
    for name in wanted:
        if name in columns:
            return name
    folded = {_folded(column): column for column in reversed(columns)}
    return next((folded[_folded(name)] for name in wanted if _folded(name) in folded), None)


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
