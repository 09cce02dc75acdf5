"""The figures of a validation, drawn from its numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from metastra.cohort.flow import CohortFlow, FlowStep
from metastra.evaluation.evaluate import Evaluation
from metastra.report.curve_estimates import incidence_curves
from metastra.report.curves import CurveOptions
from metastra.report.evaluation_drawing import (
    FEW_FOR_A_CURVE,
    draw_calibration,
    draw_decision,
    draw_distribution,
    draw_roc,
)
from metastra.report.evaluation_forest import FORESTS, measure_forest
from metastra.report.flow_diagram import FlowDiagram
from metastra.report.shown import ShownFigure
from metastra.survival.outcome import Outcome
from metastra.units import DAYS_PER_UNIT

__all__ = ["evaluation_figures"]

_MOST_COHORTS = 6


def evaluation_figures(evaluation: Evaluation) -> dict[str, ShownFigure]:
    """Draw every figure that the data support.

    Parameters
    ----------
    evaluation : Evaluation
        The numbers, and the patients for the curves over time.

    Returns
    -------
    dict of str to ShownFigure
        By name of the file, in the order of the page.
    """
    document = evaluation.to_json()
    makers: dict[str, Callable[[], ShownFigure | None]] = {
        "flow": lambda: _flow(document),
        "incidence": lambda: _incidence(evaluation),
        "distribution": lambda: _distribution(document),
        "roc": lambda: _roc(document),
        "calibration": lambda: _calibration(document),
        "calibration-cohorts": lambda: _cohort_calibration(document),
        "decision": lambda: _decision(document),
    }
    for name, measure in FORESTS.items():
        makers[f"forest-{name}"] = partial(_forest, document, measure)
    shown = {}
    for name, make in makers.items():
        figure = make()
        if figure is not None:
            shown[name] = figure
    return shown


def _flow(document: dict[str, Any]) -> ShownFigure | None:
    flow = document["flow"]
    if "predicted" not in flow:
        return None
    reasons = {
        "without_outcome": "no outcome in the table of outcomes",
        "not_assessable": "no prediction: not assessable, with a reason",
    }
    steps = tuple(
        FlowStep(reason=text, stage="criterion", n=flow[key])
        for key, text in reasons.items()
        if flow.get(key)
    )
    others = flow["predicted"] - flow["judged"] - sum(step.n for step in steps)
    if others > 0:
        steps += (FlowStep(reason="left out for another reason", stage="criterion", n=others),)
    diagram = FlowDiagram(
        flows=(
            CohortFlow(
                cohort="predictions",
                role="evaluation",
                n_listed=flow["predicted"],
                steps=steps,
                n_analysed=flow["judged"],
                n_events=document["events"],
                n_competing=document["competing"],
            ),
        )
    )
    return ShownFigure(
        title="Flow of patients", explanation=diagram.explain(), figure=diagram.plot()
    )


def _forest(document: dict[str, Any], measure: str) -> ShownFigure | None:
    found = measure_forest(document, measure)
    if found is None:
        return None
    title, plot = found
    return ShownFigure(title=title, explanation=plot.explain(), figure=plot.plot())


def _incidence(evaluation: Evaluation) -> ShownFigure:
    patients, grouping = evaluation.patients, evaluation.grouping
    factor = DAYS_PER_UNIT[patients.time_unit]
    y = patients.outcome
    groups = {}
    for number, name in enumerate(grouping.names):
        mine = grouping.group == number
        if mine.any():
            entry = None if y.entry is None else y.entry[mine] * factor
            groups[name] = Outcome(time=y.time[mine] * factor, event=y.event[mine], entry=entry)
    options = CurveOptions(
        time_unit=patients.time_unit,
        horizons=patients.horizons,
        primary=patients.last_horizon,
    )
    curves = incidence_curves(
        groups, event="the event of interest", competing=patients.competing, options=options
    )
    cuts = ", ".join(f"{cut:.3g}" for cut in grouping.cutpoints)
    source = (
        f"Groups are thirds of these patients by the {grouping.scale} (cut at {cuts}): exploratory."
        if grouping.exploratory
        else f"Groups are cut at {cuts} of the {grouping.scale}"
        f"{', out of fold at each fold’s own cutpoints' if grouping.assigned else ''}."
    )
    return ShownFigure(
        title="Cumulative incidence by risk group",
        explanation=f"{source} {curves.explain()}",
        figure=curves.plot(),
    )


def _distribution(document: dict[str, Any]) -> ShownFigure:
    bins = document["risk_distribution"]
    return ShownFigure(
        title=f"Distribution of the {bins['scale']}",
        explanation=(
            f"Patients in even bins of the {bins['scale']}: upwards those "
            "without, downwards those with an observed event of interest by the last horizon. "
            "Patients censored before it count among those without."
        ),
        figure=draw_distribution(bins),
    )


def _roc(document: dict[str, Any]) -> ShownFigure | None:
    curves = [row for row in document["discrimination"]["roc"] if row["points"]]
    if not curves:
        return None
    areas = {row["horizon"]: row["estimate"] for row in document["discrimination"]["auc"]}
    words = "; ".join(
        f"{areas[row['horizon']]:.3f} by {row['horizon']:g} {document['time_unit']}"
        for row in curves
        if areas[row["horizon"]] is not None
    )
    return ShownFigure(
        title="ROC curves at the horizons",
        explanation=(
            f"Cumulative sensitivity against the dynamic false-positive rate, weighted for "
            f"censoring. Area under the curve: {words}."
        ),
        figure=draw_roc(curves[:6], document["time_unit"]),
    )


def _calibration(document: dict[str, Any]) -> ShownFigure | None:
    rows = [row for row in document["calibration"] if row["groups"] or row["curve"]]
    if not rows:
        return None
    smoothers = sorted({row["curve"]["smoother"] for row in rows if row["curve"]})
    few = [row for row in rows if row["oe_ratio"]["events"] < FEW_FOR_A_CURVE]
    text = (
        "Observed against given risk. Squares are groups of equal size with 95% intervals; the "
        f"curve is smoothed ({'; '.join(smoothers)}); the broken line is perfect calibration."
    )
    if few:
        which = ", ".join(f"{row['horizon']:g}" for row in few)
        text += (
            f" By {which} {document['time_unit']} there are fewer than {FEW_FOR_A_CURVE} events: "
            "no curve is drawn, since it would show chance."
        )
    return ShownFigure(
        title="Calibration at the horizons",
        explanation=text,
        figure=draw_calibration(rows[:4], document["time_unit"]),
    )


def _cohort_calibration(document: dict[str, Any]) -> ShownFigure | None:
    """Draw a panel for each cohort; numbers of cohorts past the most stand in the table."""
    last = {name: part["calibration"][-1] for name, part in document["cohorts"].items()}
    rows = [{**row, "title": name} for name, row in last.items() if row["groups"]]
    if not rows:
        return None
    shown = rows[:_MOST_COHORTS]
    more = f" {len(rows) - len(shown)} further cohorts are not drawn." if rows[len(shown) :] else ""
    return ShownFigure(
        title="Calibration in each cohort",
        explanation=(
            f"Observed against given risk by {document['horizons'][-1]:g} {document['time_unit']}, "
            f"in each cohort by itself, drawn as above; a curve from {FEW_FOR_A_CURVE} events "
            f"on.{more}"
        ),
        figure=draw_calibration(shown, document["time_unit"]),
    )


def _decision(document: dict[str, Any]) -> ShownFigure | None:
    rows = [row for row in document["utility"] if row["net_benefit"]["estimate"] is not None]
    if not rows:
        return None
    last = rows[-1]["horizon"]
    chosen = [row for row in rows if row["horizon"] == last]
    return ShownFigure(
        title="Decision curve",
        explanation=(
            f"Net benefit per 100 patients at {last:g} {document['time_unit']} of acting from each "
            "threshold on, against acting on everybody and on nobody"
            f"{' and by the baseline risk' if 'baseline' in chosen[0] else ''}. The band is the "
            "95% interval of the model. Thresholds that nobody would use do not matter."
        ),
        figure=draw_decision(chosen),
    )
