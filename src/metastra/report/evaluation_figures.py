"""The figures of a validation, drawn from its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from metastra.evaluation.evaluate import Evaluation
from metastra.report.curve_estimates import incidence_curves
from metastra.report.curves import CurveOptions
from metastra.report.evaluation_drawing import (
    draw_calibration,
    draw_decision,
    draw_distribution,
    draw_roc,
)
from metastra.report.forest_plot import ForestPlot, ForestRow
from metastra.survival.outcome import Outcome
from metastra.units import DAYS_PER_UNIT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ShownFigure", "evaluation_figures"]

_LOWEST_RATIO = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class ShownFigure:
    """A figure with its words.

    Parameters
    ----------
    title : str
        In a few words.
    explanation : str
        What it shows.
    figure : matplotlib.figure.Figure
        Drawn.
    """

    title: str
    explanation: str
    figure: Figure = field(repr=False)


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
        "incidence": lambda: _incidence(evaluation),
        "distribution": lambda: _distribution(document),
        "roc": lambda: _roc(document),
        "calibration": lambda: _calibration(document),
        "decision": lambda: _decision(document),
        "forest-auc": lambda: _forest(document, "auc"),
        "forest-oe": lambda: _forest(document, "oe_ratio"),
    }
    shown = {}
    for name, make in makers.items():
        figure = make()
        if figure is not None:
            shown[name] = figure
    return shown


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
        else f"Groups are cut at {cuts} of the {grouping.scale}."
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
    few = [row for row in rows if row["oe_ratio"]["events"] < 50]
    text = (
        "Observed against given risk. Squares are groups of equal size with 95% intervals; the "
        f"curve is smoothed ({'; '.join(smoothers)}); the broken line is perfect calibration."
    )
    if few:
        text += " With fewer than 50 events a curve is not drawn."
    return ShownFigure(
        title="Calibration at the horizons",
        explanation=text,
        figure=draw_calibration(rows[:4], document["time_unit"]),
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
            f"Net benefit per patient at {last:g} {document['time_unit']} of acting from each "
            "threshold on, against acting on everybody and on nobody. The band is the 95% interval "
            "of the model. Thresholds that nobody would use do not matter."
        ),
        figure=draw_decision(chosen),
    )


def _forest(document: dict[str, Any], measure: str) -> ShownFigure | None:
    rows = list(_forest_rows(document, measure))
    if not any(row.estimate is not None for row in rows):
        return None
    last = f"{document['horizons'][-1]:g} {document['time_unit']}"
    if measure == "auc":
        plot = ForestPlot(
            rows=tuple(rows),
            quantity=f"AUC by {last}",
            scale="linear",
            reference=0.5,
            towards=("worse than chance", "better"),
        )
        title = "AUC by cohort and subgroup"
    else:
        plot = ForestPlot(
            rows=tuple(rows),
            quantity=f"O/E by {last}",
            scale="log",
            reference=1.0,
            towards=("risks too high", "risks too low"),
        )
        title = "Observed over expected by cohort and subgroup"
    return ShownFigure(title=title, explanation=plot.explain(), figure=plot.plot())


def _forest_rows(document: dict[str, Any], measure: str) -> Iterator[ForestRow]:
    yield _row("all patients", _measured(document, measure))
    if document["cohorts"]:
        yield ForestRow(label="cohort", heading=True)
    for name, part in document["cohorts"].items():
        yield _row(name, _measured(part, measure), indent=1)
    column = None
    for part in document["subgroups"]:
        if part["column"] != column:
            column = part["column"]
            yield ForestRow(label=column, heading=True)
        yield _row(part["label"] or "missing", part[measure], indent=1)


def _measured(part: dict[str, Any], measure: str) -> dict[str, Any]:
    if measure == "auc":
        found: dict[str, Any] = part["discrimination"]["auc"][-1]
    else:
        found = part["calibration"][-1][measure]
    return found


def _row(label: str, number: dict[str, Any], *, indent: int = 0) -> ForestRow:
    limits = number["lower"], number["upper"]
    value = number["estimate"]
    ratio_at_zero = any(v is not None and v < _LOWEST_RATIO for v in (value, *limits))
    if ratio_at_zero or value is None or not np.isfinite(value):
        reason = number.get("reason") or "0 has no place on the axis"
        return ForestRow(
            label=label, n=number["n"], events=number["events"], reason=reason, indent=indent
        )
    return ForestRow(
        label=label,
        estimate=value,
        lower=limits[0],
        upper=limits[1],
        n=number["n"],
        events=number["events"],
        indent=indent,
    )
