"""The stage ``report``: everything that the run has made, on one page."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metastra.pipeline.report_extremes import extreme_patients
from metastra.pipeline.report_slides import slide_quality
from metastra.report.check_page import check_page
from metastra.report.page_parts import PageSettings
from metastra.report.report_page import ReportPage, RiskGroupOutcomes, render_report
from metastra.report.study_words import event_in_words
from metastra.storage import (
    Recipe,
    csv_rows,
    product_names,
    product_parent,
    read_product_bytes,
    read_record,
)
from metastra.survival.outcome import Outcome
from metastra.units import TimeUnit, to_days
from metastra.version import VERSION

if TYPE_CHECKING:
    from metastra.pipeline.workshop import Workshop

__all__ = ["SHOWN_PRODUCTS", "report_files", "report_recipe"]

SHOWN_PRODUCTS = (
    "qc",
    "features",
    "bundle",
    "predictions",
    "evaluation",
    "explanation",
    "reference",
    "truth",
)
"""Products that the report shows where a run has them, beside cohort and splits."""


def report_recipe(work: Workshop) -> Recipe:
    """State what the report is made from.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    Recipe
        With every product that is shown and there.
    """
    run_dir = work.opened.run_dir
    there = [name for name in SHOWN_PRODUCTS if read_record(run_dir, name) is not None]
    parents = {name: product_parent(run_dir, name) for name in ("cohort", "splits", *there)}
    settings = {"metastra": VERSION, "layout": 2, "no_model": _why_no_model(work)}
    return Recipe(kind="report", parents=parents, settings=settings)


def report_files(work: Workshop) -> dict[str, bytes]:
    """Write the report.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    dict of str to bytes
        ``report/index.html``, which opens offline; equal runs give equal bytes.
    """
    run_dir, study = work.opened.run_dir, work.opened.study
    evaluation = _stored(work, "evaluation")
    cohort = check_page(work.report, split=work.split, settings=PageSettings(checks_href=""))
    survival = study.endpoint.kind == "survival"
    page = ReportPage(
        cohort=cohort,
        event=event_in_words(study) if survival else "the event",
        primary_model=study.primary_model,
        evaluation=evaluation,
        no_model=_why_no_model(work),
        risk_groups=() if evaluation is None else _risk_groups(work, evaluation),
        quality=slide_quality(work),
        reference=_stored(work, "reference"),
        truth=_stored(work, "truth"),
        patients=extreme_patients(work),
        products=tuple(
            (name, record.digest)
            for name in product_names(run_dir)
            if "/" not in name
            and name != "report"
            and (record := read_record(run_dir, name)) is not None
        ),
    )
    return {"report/index.html": render_report(page).encode()}


def _stored(work: Workshop, product: str) -> Mapping[str, Any] | None:
    """Read the JSON of a product; None where the run has none."""
    if read_record(work.opened.run_dir, product) is None:
        return None
    data = read_product_bytes(work.opened.run_dir, product, f"{product}.json")
    document: Mapping[str, Any] = json.loads(data)
    return document


def _why_no_model(work: Workshop) -> str:
    """Say why nothing was judged, as the first stage that gave nothing said it."""
    for stage in ("bundle", "predictions", "evaluation"):
        if stage in work.not_made and read_record(work.opened.run_dir, stage) is None:
            return work.not_made[stage]
    return ""


def _risk_groups(work: Workshop, evaluation: Mapping[str, Any]) -> tuple[RiskGroupOutcomes, ...]:
    """Gather outcomes by risk group: development together, every other cohort by itself."""
    unit = work.opened.study.endpoint.time_unit
    roles = {section.name: section.role for section in work.opened.study.cohort}
    names = [group["name"] for group in evaluation["risk_groups"]["groups"]]
    rows: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    inside = [name for name, role in roles.items() if role == "development"]
    together = inside[0] if len(inside) == 1 else "all development cohorts"
    header, cells = csv_rows(
        read_product_bytes(work.opened.run_dir, "predictions", "predictions.csv")
    )
    horizon = evaluation["horizons"][0]
    for cell in cells:
        row = dict(zip(header, cell, strict=True))
        if row["risk_group"] and float(row["horizon"]) == horizon:
            name = together if row["cohort"] in inside else row["cohort"]
            rows[name, row["risk_group"]].append(row)
    found = []
    for name in (together, *(name for name in roles if name not in inside)):
        groups = {group: _outcome(rows[name, group], unit) for group in names if rows[name, group]}
        if groups:
            role = "development, out of fold" if name == together else roles[name]
            competing = any(2 in outcome.causes for outcome in groups.values())
            found.append(
                RiskGroupOutcomes(name=name, role=role, groups=groups, competing=competing)
            )
    return tuple(found)


def _outcome(rows: list[dict[str, str]], unit: TimeUnit) -> Outcome:
    def days(column: str) -> list[float]:
        return [to_days(float(row[column]), unit) for row in rows]

    entry = days("entry") if "entry" in rows[0] else None
    return Outcome(time=days("time"), event=[int(row["event"]) for row in rows], entry=entry)
