"""The figures of a surveillance page: when patients are scanned, and what it trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metastra.report.theme import new_figure, styles_for, theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_schedules", "draw_trade"]

_Row = Mapping[str, Any]
_ROW_MM = 7.0
_LETTER_MM = 1.65
_LONGEST = 48
_WIDTH_MM = 170.0


def draw_schedules(policies: Sequence[_Row], horizon: float, time_unit: str) -> Figure:
    """Draw the dates of the scans, a line for each policy and risk group.

    Parameters
    ----------
    policies : sequence of mapping
        ``policies`` of the document.
    horizon : float
        End of surveillance.
    time_unit : str
        Of the times.

    Returns
    -------
    matplotlib.figure.Figure
        170 mm wide.
    """
    rows = [row for policy in policies for row in _schedules(policy)]
    left_mm = _LETTER_MM * max(len(label) for label, _ in rows) + 3.0
    with theme():
        height = _ROW_MM * (len(rows) + 2.5)
        figure = new_figure(width_mm=_WIDTH_MM, height_mm=height)
        left = left_mm / _WIDTH_MM
        axes = figure.add_axes((left, 12.0 / height, 0.97 - left, 1.0 - 15.0 / height))
        for position, (_, times) in enumerate(rows):
            axes.plot([0.0, horizon], [position, position], color="0.75", linewidth=0.8, zorder=1)
            axes.plot(times, [position] * len(times), "o", color="black", markersize=5, zorder=2)
        axes.set_yticks(range(len(rows)), [label for label, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0.0, horizon * 1.02)
        axes.set_xlabel(f"Time since the origin ({time_unit})")
        axes.tick_params(axis="y", length=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
    return figure


def _schedules(policy: _Row) -> list[tuple[str, list[float]]]:
    """One line for each risk group, or one for everybody where all have the same."""
    groups = policy["groups"]
    if all(group["scans_at"] == groups[0]["scans_at"] for group in groups):
        return [(_short(policy["policy"]), groups[0]["scans_at"])]
    return [
        (_short(f"{policy['policy']}: {group['group']}"), group["scans_at"]) for group in groups
    ]


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"


def draw_trade(policies: Sequence[_Row], time_unit: str) -> Figure | None:
    """Draw each policy's mean delay against its scans, with intervals of both.

    Parameters
    ----------
    policies : sequence of mapping
        ``policies`` of the document.
    time_unit : str
        Of the delay.

    Returns
    -------
    matplotlib.figure.Figure or None
        None where no policy finds anything.
    """
    shown = [row for row in policies if row["mean_delay"]["estimate"] is not None]
    if not shown:
        return None
    with theme():
        figure = new_figure(width_mm=120.0, height_mm=80.0)
        axes = figure.add_axes((0.15, 0.17, 0.8, 0.78))
        for row, style in zip(shown, styles_for(len(shown)), strict=True):
            x, y = row["scans"], row["mean_delay"]
            axes.errorbar(
                x["estimate"],
                y["estimate"],
                xerr=_bars(x),
                yerr=_bars(y),
                fmt="none",
                color=style.colour,
                capsize=2,
                linewidth=1.0,
            )
            # a line of its own: the legend then has the mark without the bars
            axes.plot(
                [x["estimate"]],
                [y["estimate"]],
                ls="none",
                marker=style.marker,
                color=style.colour,
                markersize=6,
                label=row["policy"],
            )
        axes.set_xlabel("Scans per 1,000 patients")
        axes.set_ylabel(f"Mean delay to detection ({time_unit})")
        axes.set_xlim(left=0.0)
        axes.set_ylim(bottom=0.0)
        axes.legend(frameon=False, loc="best")
    return figure


def _bars(number: _Row) -> list[list[float]] | None:
    if number["lower"] is None:
        return None
    low = max(number["estimate"] - number["lower"], 0.0)
    return [[low], [max(number["upper"] - number["estimate"], 0.0)]]
