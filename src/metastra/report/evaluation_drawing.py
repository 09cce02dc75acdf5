"""Drawing calibration, ROC and decision curves and the distribution of the risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metastra.report.theme import FAINT, RULE, STYLES, TEXT_PT, new_figure, styles_for, theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FEW_FOR_A_CURVE", "draw_calibration", "draw_decision", "draw_distribution", "draw_roc"]

FEW_FOR_A_CURVE = 50
"""Below about 50 events a smooth calibration curve shows chance."""

_Row = Mapping[str, Any]


def draw_calibration(rows: Sequence[_Row], time_unit: str) -> Figure:
    """Draw observed against given risk, one panel for each horizon.

    Parameters
    ----------
    rows : sequence of mapping
        Entries of ``calibration``, at most six; one with a ``title`` is headed by it.
    time_unit : str
        Of the horizons.

    Returns
    -------
    matplotlib.figure.Figure
        170 mm wide; 90 mm for one panel.
    """
    count = len(rows)
    columns = min(count, 2)
    lines = -(-count // 2)
    with theme():
        figure = new_figure(width_mm=88.0 if count == 1 else 170.0, height_mm=84.0 * lines)
        for number, row in enumerate(rows, start=1):
            axes = figure.add_subplot(lines, columns, number)
            _one_calibration(axes, row, time_unit)
        figure.tight_layout(pad=0.8)
    return figure


def _one_calibration(axes: Axes, row: _Row, time_unit: str) -> None:
    points = row["curve"]["points"] if row["curve"] else []
    drawn = row["oe_ratio"]["events"] >= FEW_FOR_A_CURVE
    reach = [point["risk"] for point in points] + [0.02]
    if drawn:
        reach += [point["observed"] for point in points]
    for group in row["groups"]:
        reach += [group["mean_risk"], group["observed"], group["upper"] or 0.0]
    top = min(1.0, float(np.ceil(max(reach) * 1.05 * 20.0) / 20.0))
    axes.plot([0, top], [0, top], color=FAINT, lw=0.8, ls=(0, (4, 3)))
    if points and drawn:
        axes.plot(
            [p["risk"] for p in points],
            [min(max(p["observed"], 0.0), 1.0) for p in points],
            color=STYLES[0].colour,
        )
    for group in row["groups"]:
        if group["lower"] is not None:
            at = [group["mean_risk"]] * 2
            axes.plot(at, [group["lower"], group["upper"]], color=STYLES[2].colour, lw=1.0)
        axes.plot(
            [group["mean_risk"]],
            [group["observed"]],
            marker="s",
            color=STYLES[2].colour,
            ms=4.2,
            clip_on=False,
        )
    axes.set_xlim(0.0, top)
    axes.set_ylim(0.0, top)
    axes.set_aspect("equal")
    axes.set_xlabel("Given risk")
    axes.set_ylabel("Observed risk")
    axes.set_title(row.get("title") or f"By {row['horizon']:g} {time_unit}")
    words = []
    for name, key in (("O/E", "oe_ratio"), ("slope", "slope"), ("ICI", "ici")):
        number = row[key]
        if number["estimate"] is not None:
            limits = ""
            if number["lower"] is not None:
                limits = f" ({number['lower']:.2f} to {number['upper']:.2f})"
            words.append(f"{name} {number['estimate']:.2f}{limits}")
    axes.text(
        0.03,
        0.97,
        "\n".join(words),
        transform=axes.transAxes,
        va="top",
        fontsize=TEXT_PT - 1,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.0},
        zorder=4,
    )


def draw_roc(rows: Sequence[_Row], time_unit: str) -> Figure:
    """Draw sensitivity against the false-positive rate.

    Parameters
    ----------
    rows : sequence of mapping
        Entries of ``discrimination.roc``, at most six.
    time_unit : str
        Of the horizons.

    Returns
    -------
    matplotlib.figure.Figure
        90 mm wide.
    """
    with theme():
        figure = new_figure(width_mm=90.0, height_mm=86.0)
        axes = figure.add_subplot(1, 1, 1)
        axes.plot([0, 1], [0, 1], color=FAINT, lw=0.8, ls=(0, (4, 3)))
        for row, style in zip(rows, styles_for(len(rows)), strict=True):
            x = [point["false_positive_rate"] for point in row["points"]]
            y = [point["sensitivity"] for point in row["points"]]
            label = f"by {row['horizon']:g} {time_unit}"
            axes.plot(x, y, color=style.colour, ls=style.line, label=label)
        axes.set_xlim(0.0, 1.0)
        axes.set_ylim(0.0, 1.0)
        axes.set_aspect("equal")
        axes.set_xlabel("False-positive rate")
        axes.set_ylabel("Sensitivity")
        axes.legend(loc="lower right")
        figure.tight_layout(pad=0.8)
    return figure


def draw_decision(rows: Sequence[_Row]) -> Figure:
    """Draw the net benefit over thresholds.

    Parameters
    ----------
    rows : sequence of mapping
        Entries of ``utility`` of one horizon.

    Returns
    -------
    matplotlib.figure.Figure
        170 mm wide.
    """
    x = [row["threshold"] for row in rows]
    model = [100.0 * row["net_benefit"]["estimate"] for row in rows]
    with theme():
        figure = new_figure(width_mm=170.0, height_mm=84.0)
        axes = figure.add_subplot(1, 1, 1)
        banded = [row for row in rows if row["net_benefit"]["lower"] is not None]
        axes.fill_between(
            [row["threshold"] for row in banded],
            [100.0 * row["net_benefit"]["lower"] for row in banded],
            [100.0 * row["net_benefit"]["upper"] for row in banded],
            color=STYLES[0].colour,
            alpha=0.15,
            lw=0,
        )
        lines: list[tuple[str, list[float]]] = [("model", model)]
        if "baseline" in rows[0]:
            lines.append(("baseline", [100.0 * row["baseline"]["estimate"] for row in rows]))
        lines.append(("everybody", [100.0 * row["treat_all"]["estimate"] for row in rows]))
        for (label, values), style in zip(lines, STYLES, strict=False):
            axes.plot(x, values, color=style.colour, ls=style.line, label=label)
        axes.axhline(0.0, color=FAINT, lw=0.8, label="nobody")
        highest = max([*model, 100.0 * rows[0]["treat_all"]["estimate"], 1.0])
        axes.set_ylim(-0.25 * highest, 1.15 * highest)
        axes.set_xlim(min(x), max(x))
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
        axes.set_xlabel("Threshold of the risk from which on a patient is treated")
        axes.set_ylabel("Net benefit per 100 patients")
        # above the lines: wherever it stands among them, some study's curve runs through it
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4)
        figure.tight_layout(pad=0.8)
    return figure


def draw_distribution(bins: _Row) -> Figure:
    """Draw how many patients have which risk, mirrored by outcome.

    Parameters
    ----------
    bins : mapping
        The entry ``risk_distribution``.

    Returns
    -------
    matplotlib.figure.Figure
        170 mm wide.
    """
    edges = np.asarray(bins["edges"])
    width = np.diff(edges)
    without, with_event = np.asarray(bins["without_event"]), np.asarray(bins["with_event"])
    with theme():
        figure = new_figure(width_mm=170.0, height_mm=70.0)
        axes = figure.add_subplot(1, 1, 1)
        for heights, style, label in (
            (without, STYLES[0], "no event seen by the last horizon"),
            (-with_event, STYLES[1], "event by the last horizon"),
        ):
            axes.bar(
                edges[:-1],
                heights,
                width=width,
                align="edge",
                color="white",
                edgecolor=style.colour,
                hatch=style.hatch or None,
                lw=0.9,
                label=label,
            )
        axes.axhline(0.0, color=RULE, lw=0.8)
        axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
        axes.set_xlim(float(edges[0]), float(edges[-1]))
        axes.set_xlabel(bins["scale"][0].upper() + bins["scale"][1:])
        axes.set_ylabel("Patients")
        axes.legend(loc="upper right")
        figure.tight_layout(pad=0.8)
    return figure
