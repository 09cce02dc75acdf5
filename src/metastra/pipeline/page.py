"""The cohort page of a check, as a file that travels alone."""

from __future__ import annotations

from pathlib import Path

from metastra.cohort.check import CheckReport
from metastra.cohort.split import Split
from metastra.report.check_page import check_page
from metastra.report.cohort_html import render_cohort_page
from metastra.report.page_parts import PageSettings
from metastra.storage import write_bytes

__all__ = ["page_bytes", "write_page"]


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
