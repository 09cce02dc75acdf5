"""The report of a run: the answer first, what it rests on, and all that a reader may ask next.

The page prints values of stored products and computes none of its own; pictures come as bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from metastra.catalogue import all_checks
from metastra.report.cohort_html import cohort_figures
from metastra.report.cohort_page import CohortPage
from metastra.report.curve_estimates import incidence_curves
from metastra.report.curves import CurveOptions
from metastra.report.evaluation_drawing import draw_calibration, draw_decision
from metastra.report.extreme_patients import ExtremePatient, flipping_figure
from metastra.report.pages import render_page
from metastra.report.report_answer import Answer, answer_of, deciding_groups
from metastra.report.report_models import (
    JudgedGroup,
    judged_groups,
    model_words,
    models_in,
    number_at,
)
from metastra.report.shown import ShownFigure, inline_figures
from metastra.report.slide_quality import SlideQuality
from metastra.survival.outcome import Outcome
from metastra.units import TimeUnit

__all__ = ["ReportPage", "RiskGroupOutcomes", "render_report"]

_MEASURES = ("harrell", "uno")
_MOST_PANELS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskGroupOutcomes:
    """Outcomes by risk group in one cohort, for the curves.

    Parameters
    ----------
    name, role : str
        Of the cohort.
    groups : mapping of str to Outcome
        Times in days; from the lowest risk to the highest.
    competing : bool
        Whether competing events occur.
    """

    name: str
    role: str
    groups: Mapping[str, Outcome]
    competing: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportPage:
    """Everything that the report shows.

    Parameters
    ----------
    cohort : CohortPage
        Who is in, who is out, endpoint, splits, problems.
    event : str
        The endpoint's event in words.
    primary_model : str
        Declared beforehand: clinical, slides or combined.
    evaluation : mapping or None
        The content of ``evaluation.json``.
    no_model : str
        Why there is no evaluation.
    risk_groups : tuple of RiskGroupOutcomes
        For the curves.
    quality : SlideQuality or None
        None for a study without slides.
    reference : mapping or None
        The content of ``reference.json``: scores for which nothing is fitted.
    truth : mapping or None
        The content of ``truth.json`` of a synthetic study.
    patients : tuple of ExtremePatient
        Explained ones.
    products : tuple of (str, str)
        Name and digest of every product of the run.
    """

    cohort: CohortPage
    event: str = "the event"
    primary_model: str = "clinical"
    evaluation: Mapping[str, Any] | None = None
    no_model: str = ""
    risk_groups: tuple[RiskGroupOutcomes, ...] = ()
    quality: SlideQuality | None = None
    reference: Mapping[str, Any] | None = None
    truth: Mapping[str, Any] | None = None
    patients: tuple[ExtremePatient, ...] = ()
    products: tuple[tuple[str, str], ...] = field(default=())

    @property
    def horizon(self) -> float:
        """The primary horizon, in the study's unit."""
        return self.cohort.study.primary or 0.0

    def groups(self) -> list[JudgedGroup]:
        """List whom the models are judged in; empty without an evaluation."""
        if self.evaluation is None:
            return []
        roles = {flow.cohort: flow.role for flow in self.cohort.flows}
        return judged_groups(self.evaluation, roles)

    def answer(self) -> Answer:
        """Answer the study's question."""
        if self.evaluation is None:
            why = self.no_model or "no model was fitted"
            return Answer(kind="none", head="No answer.", text=f"Nothing could be judged: {why}.")
        return answer_of(
            self.groups(),
            primary=self.primary_model,
            event=self.event,
            horizon=self.horizon,
            time_unit=self.cohort.study.time_unit,
        )


def render_report(page: ReportPage) -> str:
    """Write the report as HTML text.

    Parameters
    ----------
    page : ReportPage
        What it shows.

    Returns
    -------
    str
        One document that opens offline; equal pages give equal text.
    """
    groups = page.groups()
    cohort_drawn = cohort_figures(page.cohort)
    drawn = cohort_drawn | {f"m-{name}": shown for name, shown in _figures(page, groups).items()}
    result = page.evaluation
    return render_page(
        "report.html",
        pictures=True,
        page=page.cohort.to_json(),
        report=page,
        answer=page.answer(),
        rows=[_rows(group, page.horizon) for group in groups],
        unjudged=[
            flow.cohort
            for flow in page.cohort.flows
            if groups and flow.cohort not in {group.name for group in groups}
        ],
        models=[(name, model_words(name)) for name in models_in(result)] if result else [],
        result=result,
        decider=deciding_groups(groups)[0] if groups else None,
        titles={code: check.title for code, check in all_checks().items()},
        one_panel=len(_calibrated(page, groups)) == 1,
        figures=inline_figures(drawn),
    )


def _rows(group: JudgedGroup, horizon: float) -> dict[str, Any]:
    """Lay out one group's models for the table."""
    return {
        "name": group.name,
        "role": group.role,
        "outside": group.outside,
        "n": group.document["n"],
        "events": number_at(group.document["discrimination"]["auc"], horizon),
        "models": [
            {"model": name, **_measures(document, horizon)}
            for name, document in group.models.items()
        ],
    }


def _measures(document: Mapping[str, Any], horizon: float) -> dict[str, Any]:
    if "reason" in document:
        return {"reason": document["reason"]}
    pairs = document.get("added_value", {}).get("differences", [])
    found = {name: document["discrimination"][name] for name in _MEASURES}
    return {
        **found,
        "auc": number_at(document["discrimination"]["auc"], horizon),
        "brier": number_at(document["overall"]["brier"], horizon),
        "ipa": number_at(document["overall"]["ipa"], horizon),
        "difference": number_at([row for row in pairs if row["measure"] == "auc"], horizon),
    }


def _figures(page: ReportPage, groups: list[JudgedGroup]) -> dict[str, ShownFigure]:
    found: dict[str, ShownFigure | None] = {}
    if groups:
        found["calibration"] = _calibration(page, groups)
        found["decision"] = _decision(page, deciding_groups(groups)[0])
    for number, outcomes in enumerate(page.risk_groups, start=1):
        found[f"incidence-{number}"] = _incidence(page, outcomes)
    found["flipping"] = flipping_figure(page.patients)
    return {name: shown for name, shown in found.items() if shown is not None}


def _calibrated(page: ReportPage, groups: list[JudgedGroup]) -> list[dict[str, Any]]:
    """Choose what the calibration plot shows: at most four groups, the deciding ones last."""
    rows = []
    for group in groups:
        row = number_at(group.document["calibration"], page.horizon)
        if row is not None and (row["groups"] or row["curve"]):
            how = "external" if group.outside else "out of fold"
            rows.append({**row, "title": f"{group.name} ({how})"})
    return rows[-_MOST_PANELS:]


def _calibration(page: ReportPage, groups: list[JudgedGroup]) -> ShownFigure | None:
    unit = page.cohort.study.time_unit
    shown = _calibrated(page, groups)
    if not shown:
        return None
    return ShownFigure(
        title="Calibration",
        explanation=(
            f"Observed against given risk of the primary model by {page.horizon:g} {unit}. Squares "
            "are groups of equal size with 95% intervals; the broken line is perfect calibration. "
            "A curve is drawn from 50 events on; below, it would show chance. O/E: observed over "
            "expected events, 1 is right; slope: 1 is right, below 1 the risks are too extreme."
        ),
        figure=draw_calibration(shown, unit),
    )


def _decision(page: ReportPage, group: JudgedGroup) -> ShownFigure | None:
    rows = [
        row
        for row in group.document["utility"]
        if row["horizon"] == page.horizon and row["net_benefit"]["estimate"] is not None
    ]
    if not rows:
        return None
    against = ", on nobody and by the clinical baseline" if "baseline" in rows[0] else " and nobody"
    return ShownFigure(
        title="Decision curve",
        explanation=(
            f"Net benefit per 100 patients of {group.name} by {page.horizon:g} "
            f"{page.cohort.study.time_unit} of acting from each threshold on, against acting on "
            f"everybody{against}. The band is the 95% interval of the model; where it "
            "holds the other lines, no gain is shown."
        ),
        figure=draw_decision(rows),
    )


def _incidence(page: ReportPage, outcomes: RiskGroupOutcomes) -> ShownFigure | None:
    if not outcomes.groups:
        return None
    study = page.cohort.study
    options = CurveOptions(
        time_unit=TimeUnit(study.time_unit), horizons=study.horizons, primary=study.primary
    )
    curves = incidence_curves(
        outcomes.groups, event=page.event, competing=outcomes.competing, options=options
    )
    return ShownFigure(
        title=f"Cumulative incidence by risk group in {outcomes.name}",
        explanation=(
            "By the risk group that the primary model gave; the groups were cut in development. "
            f"{curves.explain()}"
        ),
        figure=curves.plot(),
    )
