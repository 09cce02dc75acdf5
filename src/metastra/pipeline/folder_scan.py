"""What lies in a folder: tables with a guess of their layout and kind, and slides."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from metastra.cohort.identifiers import normalise_id
from metastra.cohort.tables import Table, TableFormat, read_table
from metastra.errors import MetastraError

__all__ = ["SLIDE_SUFFIXES", "FoundTable", "find_tables", "pick"]

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

PATIENT_NAMES = (
    "PATIENT",
    "patient",
    "patient_id",
    "PATIENT_ID",
    "Patient Identifier",
    "case_id",
    "submitter_id",
    "pid",
    "subject",
    "id",
)
FILE_NAMES = ("FILENAME", "filename", "slide", "slide_id", "SLIDE", "wsi", "image", "file")


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
    layout : dict of str to str
        Settings that differ from the defaults: delimiter, decimal, encoding, comment, date_format.
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
    layout: dict[str, str] = field(default_factory=dict)
    patient: str
    filename: str = ""
    repeated: bool = False


def find_tables(folder: Path) -> tuple[list[FoundTable], list[Path]]:
    """Search a folder for tables and slides, three levels deep.

    Parameters
    ----------
    folder : Path
        Where to look; hidden folders, ``run`` folders and links to folders are passed over.

    Returns
    -------
    tables : list of FoundTable
        By path; tables without a column of patients are left out.
    slides : list of Path
        By path, relative to `folder`.
    """
    tables: list[FoundTable] = []
    slides: list[Path] = []
    for path in _files(folder):
        suffix = path.suffix.lower()
        if suffix in SLIDE_SUFFIXES:
            slides.append(path)
        elif suffix in _TABLE_SUFFIXES and len(tables) < _MAX_TABLES:
            found = _look_at(folder, path)
            if found is not None:
                tables.append(found)
    return tables, slides


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


def _look_at(folder: Path, path: Path) -> FoundTable | None:
    layout = _guess_layout(folder / path)
    if layout is None:
        return None
    try:
        table, _ = read_table(folder / path, format=TableFormat(**layout), name=str(path))  # type: ignore[arg-type]
    except MetastraError:
        return None
    if table is None or len(table) == 0:
        return None
    patient = pick(table.columns, PATIENT_NAMES)
    if patient is None:
        return None
    filename = pick(table.columns, FILE_NAMES) or ""
    kind = _kind(table, filename)
    if kind == "clini" and (mark := _decimal_comma(table)):
        layout["decimal"] = mark
    if date_format := _date_format(table):
        layout["date_format"] = date_format
    ids = [normalise_id(cell) for cell in table.column(patient) if cell is not None]
    return FoundTable(
        path=path,
        kind=kind,
        table=table,
        layout=layout,
        patient=patient,
        filename=filename,
        repeated=len(set(ids)) < len(ids),
    )


def _guess_layout(path: Path) -> dict[str, str] | None:
    """Guess encoding, separator and comment mark from the first lines; None for no table."""
    if path.suffix.lower() in {".xlsx", ".parquet", ".gz"}:
        return {}
    try:
        with path.open("rb") as stream:
            head = stream.read(1 << 16)
    except OSError:
        return None
    if b"\0" in head or not head.strip():
        return None
    layout: dict[str, str] = {}
    cut = head[: head.rfind(b"\n") + 1] or head
    try:
        text = cut.decode("utf-8-sig")
    except UnicodeDecodeError:
        layout["encoding"] = "cp1252"
        text = cut.decode("cp1252", errors="replace")
    lines = text.splitlines()
    if lines and lines[0].startswith("#"):
        layout["comment"] = "#"
        lines = [line for line in lines if not line.startswith("#")]
    if not lines:
        return None
    counts = {mark: len(next(csv.reader([lines[0]], delimiter=mark))) for mark in ",;\t|"}
    best = max(counts, key=lambda mark: counts[mark])
    usual = "\t" if path.suffix.lower() in {".tsv", ".txt"} else ","
    if best != usual and counts[best] > 1:
        layout["delimiter"] = best
    return layout


def _kind(table: Table, filename: str) -> str:
    names = {name.upper() for name in table.columns}
    if "TYPE" in names and names & {"DATE", "TIME"}:
        return "event"
    if "SPECIMEN" in names and names & {"ROLE", "ORGAN", "PROCEDURE"} and not filename:
        return "specimen"
    if filename and len(table.columns) <= 12:
        return "slide"
    return "clini"


def _decimal_comma(table: Table) -> str:
    comma = re.compile(r"-?\d+,\d+")
    cells = (cell for column in table.cells for cell in column[:200] if cell is not None)
    return "," if any(comma.fullmatch(str(cell).strip()) for cell in cells) else ""


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
    """Take the first wanted name that is there; exact spelling first, then without case.

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
    folded = {column.casefold(): column for column in columns}
    return next((folded[name.casefold()] for name in wanted if name.casefold() in folded), None)
