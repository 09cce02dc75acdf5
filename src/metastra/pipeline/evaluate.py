"""Judging anybody's predictions: read the tables, compute, write numbers, figures and a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from metastra.errors import Problem
from metastra.evaluation.checks import input_checks
from metastra.evaluation.declared import with_plan
from metastra.evaluation.evaluate import Evaluation, evaluate
from metastra.evaluation.patients import Settings
from metastra.evaluation.reading import Reading, read_patients
from metastra.evaluation.request import Request
from metastra.pipeline.report_folder import write_report_folder
from metastra.storage import json_bytes

__all__ = ["Judged", "evaluation_pages", "judge", "write_judged"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Judged:
    """A validation and what was noticed while reading.

    Parameters
    ----------
    evaluation : Evaluation
        The numbers.
    problems : tuple of Problem
        Warnings about the tables.
    """

    evaluation: Evaluation
    problems: tuple[Problem, ...]


def judge(request: Request, settings: Settings) -> Judged:
    """Read predictions and outcomes and judge them.

    Parameters
    ----------
    request : Request
        Which columns of which tables.
    settings : Settings
        Draws, cutpoints and thresholds.

    Returns
    -------
    Judged
        Nothing is written.

    Raises
    ------
    DataError
        With every refusal, each with its rows.
    """
    if settings.plan is not None:
        request, settings = with_plan(request, settings, settings.plan)
    reading: Reading = read_patients(request)
    checks = input_checks(
        reading.problems,
        risks=bool(request.risks),
        score=request.risk_score is not None,
        joined=request.outcomes is not None,
        is_long=reading.is_long,
        covariates=bool(request.adjust or request.describe),
        timed=bool(request.known_at),
    )
    evaluation = evaluate(
        reading.patients,
        settings,
        bundle=reading.bundle,
        predictions_sha256=reading.predictions_sha256,
        flow=reading.flow,
        input_checks=tuple(checks),
    )
    return Judged(evaluation=evaluation, problems=reading.problems)


def evaluation_pages(evaluation: Evaluation) -> dict[str, bytes]:
    """Write the pages of a validation that stands inside a run.

    Parameters
    ----------
    evaluation : Evaluation
        The numbers, and the patients for the curves over time.

    Returns
    -------
    dict of str to bytes
        ``validation.html``, ``reporting.html`` and ``reporting.json``.
    """
    from metastra.report.evaluation_figures import evaluation_figures
    from metastra.report.evaluation_page import render_evaluation_page, render_reporting_page
    from metastra.report.reporting import reporting

    document = evaluation.to_json()
    page = render_evaluation_page(evaluation, evaluation_figures(evaluation))
    listed = render_reporting_page(document, report="validation.html")
    return {
        "validation.html": page.encode(),
        "reporting.html": listed.encode(),
        "reporting.json": json_bytes(reporting(document)),
    }


def write_judged(judged: Judged, folder: Path, *, pdf: bool = False) -> tuple[str, ...]:
    """Write ``evaluation.json``, the figures, ``report.html`` and ``reporting.html``.

    Parameters
    ----------
    judged : Judged
        What was judged.
    folder : Path
        Made when it is missing.
    pdf : bool
        Whether to write ``report.pdf`` from the same page.

    Returns
    -------
    tuple of str
        Names of the files, relative to the folder.

    Raises
    ------
    ConfigError, ResourceError
        If the folder cannot be written to.
    MissingExtra
        If a PDF is asked for and its extra is not installed.
    """
    from metastra.report.evaluation_figures import evaluation_figures
    from metastra.report.evaluation_page import render_evaluation_page, render_reporting_page
    from metastra.report.reporting import reporting

    document = judged.evaluation.to_json()
    figures = evaluation_figures(judged.evaluation)
    page = render_evaluation_page(judged.evaluation, figures)
    further = {
        "reporting.json": json_bytes(reporting(document)),
        "reporting.html": render_reporting_page(document).encode(),
    }
    if pdf:
        from metastra.report.pdf import page_pdf

        further["report.pdf"] = page_pdf(page)
    return write_report_folder(folder, "evaluation.json", document, figures, page, further)
