"""The cohort page of a check, and its problems as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metastra.cohort.check import CheckReport
from metastra.cohort.split import Split
from metastra.errors import Problem
from metastra.report.check_page import check_page
from metastra.report.cohort_html import render_cohort_page
from metastra.report.page_parts import PageSettings
from metastra.storage import write_bytes

__all__ = ["page_bytes", "problem_records", "write_page"]


def page_bytes(report: CheckReport, split: Split | None = None) -> bytes:
    """Write the cohort page of a check.

    Parameters
    ----------
    report : CheckReport
        What the check found.
    split : Split, optional
        The stored folds; by default the ones the check made.

    Returns
    -------
    bytes
        One HTML file; equal inputs give equal bytes.
    """
    alone = PageSettings(checks_href="")
    return render_cohort_page(check_page(report, split=split, settings=alone)).encode()


def write_page(report: CheckReport, path: Path) -> None:
    """Write the cohort page to a file.

    Parameters
    ----------
    report : CheckReport
        What the check found.
    path : Path
        Of the HTML file.
    """
    write_bytes(path, page_bytes(report))


def problem_records(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """Write problems as plain values.

    Parameters
    ----------
    problems : sequence of Problem
        As found.

    Returns
    -------
    list of dict
        code, severity, cohort, file, rows, column, found, expected, hint, patients (pseudonyms).
    """
    return [
        {
            "code": item.code,
            "severity": item.severity.value,
            "cohort": item.where.cohort or None,
            "file": item.where.file or None,
            "rows": list(item.where.rows),
            "column": item.where.column or None,
            "found": item.found,
            "expected": item.expected or None,
            "hint": item.hint or None,
            "patients": list(item.patients),
        }
        for item in problems
    ]
