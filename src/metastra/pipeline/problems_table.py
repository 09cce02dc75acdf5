"""The problems as a table with study ids, for the person who mends the tables."""

from __future__ import annotations

from pathlib import Path

from metastra.cohort.check import CheckReport
from metastra.storage import csv_bytes, write_bytes

__all__ = ["write_problems_table"]

_COLUMNS = (
    "code",
    "severity",
    "cohort",
    "file",
    "row",
    "column",
    "PATIENT",
    "pseudonym",
    "found",
    "expected",
    "hint",
)


def write_problems_table(report: CheckReport, path: Path) -> None:
    """Write one record for each row and patient that a problem names.

    Parameters
    ----------
    report : CheckReport
        Of a check.
    path : Path
        Of the CSV; a table with study ids that the user asked for, readable by the user alone.
    """
    records = []
    for item in report.problems:
        paired = len(item.patients) == len(item.where.rows)
        count = max(len(item.where.rows), len(item.patients), 1)
        for index in range(count):
            row = item.where.rows[index] if index < len(item.where.rows) else None
            name = item.patients[index] if index < len(item.patients) else None
            if not paired and len(item.where.rows) > 1 and name is not None:
                row = None
            records.append(
                (
                    item.code,
                    item.severity.value,
                    item.where.cohort,
                    item.where.file,
                    row,
                    item.where.column,
                    report.ids.get((item.where.cohort, name)) if name else None,
                    name,
                    item.found,
                    item.expected,
                    item.hint,
                )
            )
    write_bytes(path, csv_bytes(_COLUMNS, records))
