"""Repeatability of anybody's predictions: read, compute, write numbers, figures and a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metastra.digest import digest_file
from metastra.errors import Problem
from metastra.evaluation.repeatability import repeatability
from metastra.evaluation.repeated_reading import RepeatedRequest, read_repeated
from metastra.pipeline.report_folder import write_report_folder

__all__ = ["Compared", "compare_repeated", "write_compared"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Compared:
    """A repeatability study and what was noticed while reading.

    Parameters
    ----------
    document : dict
        The content of ``repeatability.json``.
    problems : tuple of Problem
        Warnings about the table.
    """

    document: dict[str, Any]
    problems: tuple[Problem, ...]


def compare_repeated(request: RepeatedRequest) -> Compared:
    """Read predictions under several conditions and compare them.

    Parameters
    ----------
    request : RepeatedRequest
        Which columns hold what.

    Returns
    -------
    Compared
        Nothing is written.

    Raises
    ------
    DataError
        With every refusal, each with its rows.
    """
    repeated, problems = read_repeated(request)
    document = repeatability(repeated)
    document["predictions_sha256"] = digest_file(request.predictions)
    document["research_use"] = "Research use only. Not for diagnosis or treatment."
    return Compared(document=document, problems=problems)


def write_compared(compared: Compared, folder: Path) -> tuple[str, ...]:
    """Write ``repeatability.json``, the figures and ``report.html``.

    Parameters
    ----------
    compared : Compared
        What was compared.
    folder : Path
        Made when it is missing.

    Returns
    -------
    tuple of str
        Names of the files, relative to the folder.
    """
    from metastra.report.repeatability_page import render_repeatability_page, repeatability_figures

    figures = repeatability_figures(compared.document)
    page = render_repeatability_page(compared.document, figures)
    return write_report_folder(folder, "repeatability.json", compared.document, figures, page)
