"""How curves are drawn: steps, bands, marks where few are at risk, and the table underneath."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from metastra.report.curve_data import CurveData, CurveKind
from metastra.report.curve_line import CurveLine
from metastra.report.lettering import drawable, width_pt, wrapped
from metastra.report.theme import (
    FAINT,
    INK,
    RULE,
    TEXT_PT,
    GroupStyle,
    new_figure,
    styles_for,
    theme,
)
from metastra.report.wording import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_curves"]

_WIDTH_MM = 170.0
_RIGHT_MM = 6.0
_TOP_MM = 10.0
_PLOT_MM = 66.0
_AXIS_MM = 13.0
_ROW_MM = 4.2
_PT_PER_MM = 72.0 / 25.4


def draw_curves(curves: CurveData) -> Figure:
    """Draw curves and, below them, how many are at risk and had the event.

    Parameters
    ----------
    curves : Curves
        Of at most six groups.

    Returns
    -------
    matplotlib.figure.Figure
        170 mm wide, as high as the table needs.

    Raises
    ------
    ConfigError
        If there are more groups than can be told apart in grey print.
    """
    styles = styles_for(len(curves.lines))
    n_rows = 2 * (len(curves.lines) + 1)
    height = _TOP_MM + _PLOT_MM + _AXIS_MM + n_rows * _ROW_MM + 3.0
    left = _left_margin(curves)
    last = _last_time(curves)
    with theme():
        figure = new_figure(width_mm=_WIDTH_MM, height_mm=height)
        box = (left / _WIDTH_MM, 1 - (_TOP_MM + _PLOT_MM) / height)
        size = (1 - (left + _RIGHT_MM) / _WIDTH_MM, _PLOT_MM / height)
        axes = figure.add_axes((*box, *size))
        axes.set_xlim(0.0, last)
        _draw_horizons(axes, curves)
        for line, style in zip(curves.lines, styles, strict=True):
            _draw_line(axes, curves, line, style)
        _dress(axes, curves)
        table_mm = n_rows * _ROW_MM
        table = figure.add_axes((box[0], 3.0 / height, size[0], table_mm / height))
        table.set_xlim(0.0, last)
        table.set_ylim(n_rows, 0.0)
        table.axis("off")
        _draw_table(table, curves, styles, left)
    return figure


def _left_margin(curves: CurveData) -> float:
    """Room for the longest name, within reason."""
    names = [width_pt(drawable(line.label), TEXT_PT) for line in curves.lines]
    return float(min(max(max(names) / _PT_PER_MM + 17.0, 27.0), 52.0))


def _last_time(curves: CurveData) -> float:
    return float(max([*(line.times[-1] for line in curves.lines), *curves.options.horizons]))


def _draw_horizons(axes: Axes, curves: CurveData) -> None:
    for horizon in curves.options.horizons:
        decides = horizon == curves.options.primary
        axes.axvline(horizon, color=FAINT if decides else RULE, lw=0.7, ls=(0, (2, 2)), zorder=0.5)
    if curves.options.primary is not None:
        axes.annotate(
            f"{curves.options.primary:g} {curves.options.time_unit}",
            xy=(curves.options.primary, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=FAINT,
            fontsize=TEXT_PT - 1,
        )


def _draw_line(axes: Axes, curves: CurveData, line: CurveLine, style: GroupStyle) -> None:
    firm, weak = _segments(line, curves.options.min_at_risk)
    axes.plot(
        *firm,
        color=style.colour,
        ls=style.line,
        zorder=3,
        dash_capstyle="butt",
        solid_joinstyle="miter",
    )
    axes.plot(*weak, color=style.colour, ls="solid", lw=0.6, zorder=2)
    times, lower, upper = _band(line, curves.options.min_at_risk)
    shade = 0.14 if len(curves.lines) < 3 else 0.09
    axes.fill_between(
        times, lower, upper, step="post", color=style.colour, alpha=shade, lw=0, zorder=1
    )
    marks = [
        (tick, value)
        for tick, n in zip(curves.ticks[1:], line.at_risk[1:], strict=True)
        if n >= curves.options.min_at_risk and (value := line.at(tick)[0]) is not None
    ]
    axes.plot(
        [tick for tick, _ in marks],
        [value for _, value in marks],
        ls="none",
        marker=style.marker,
        color=style.colour,
        markeredgecolor="white",
        markeredgewidth=0.5,
        ms=4.6,
        zorder=4,
    )


def _segments(
    line: CurveLine, min_at_risk: int
) -> tuple[tuple[NDArray[np.float64], ...], tuple[NDArray[np.float64], ...]]:
    """Points of the steps where enough are at risk, and where not; NaN lifts the pen.

    The stretch that ends at a time rests on the patients at risk just before it.
    """
    enough = line.n_risk >= min_at_risk
    start = np.concatenate([[line.before], line.value[:-1]])
    moves = line.value != start
    turns = np.concatenate([enough[1:] != enough[:-1], [True]])
    kept = moves | turns
    to_time, to_value, firm = line.times[kept], line.value[kept], enough[kept]
    from_time = np.concatenate([[0.0], to_time[:-1]])
    from_value = np.concatenate([[line.before], to_value[:-1]])
    x = np.stack([from_time, to_time, to_time], axis=1)
    y = np.stack([from_value, from_value, to_value], axis=1)

    def path(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
        shown = np.where(mask[:, None], y, np.nan)
        return x.ravel(), shown.ravel()

    return path(firm), path(~firm)


def _band(
    line: CurveLine, min_at_risk: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Limits from each time to the next, where enough are at risk during that stretch."""
    following = np.concatenate([line.n_risk[1:] >= min_at_risk, [False]])
    same = (line.value[1:] == line.value[:-1]) & (following[1:] == following[:-1])
    kept = np.concatenate([[True], ~same])
    kept[-1] = True
    # With step="post" the value at the end of the firm stretch closes the band there.
    ends = np.concatenate([[False], following[:-1] & ~following[1:]])
    shown = following | ends
    lower = np.where(shown, line.lower, np.nan)
    upper = np.where(shown, line.upper, np.nan)
    return line.times[kept], lower[kept], upper[kept]


def _dress(axes: Axes, curves: CurveData) -> None:
    label = {
        CurveKind.INCIDENCE: "Cumulative incidence",
        CurveKind.SURVIVAL: "Event-free",
        CurveKind.FOLLOW_UP: "Under follow-up",
    }[curves.kind]
    axes.set_ylim(0.0, _top(curves))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    axes.set_ylabel(label)
    axes.set_xticks(list(curves.ticks), [f"{tick:g}" for tick in curves.ticks])
    axes.set_xlabel(f"Time ({curves.options.time_unit})")
    title = {
        CurveKind.INCIDENCE: _sentence(curves.event),
        CurveKind.SURVIVAL: f"Free of {curves.event}",
        CurveKind.FOLLOW_UP: "Length of follow-up (reverse Kaplan–Meier)",
    }[curves.kind]
    axes.annotate(
        wrapped(drawable(title), TEXT_PT + 1, 380.0, most_lines=1)[0],
        xy=(0.0, 1.0),
        xycoords="axes fraction",
        xytext=(0, 14),
        textcoords="offset points",
        ha="left",
        va="bottom",
        fontsize=TEXT_PT + 1,
        fontweight="bold",
    )
    if any(_is_weak(line, curves.options.min_at_risk) for line in curves.lines):
        axes.annotate(
            f"thin line: fewer than {curves.options.min_at_risk} at risk",
            xy=(1.0, 1.0),
            xycoords="axes fraction",
            xytext=(0, 14),
            textcoords="offset points",
            ha="right",
            va="bottom",
            color=FAINT,
            fontsize=TEXT_PT - 1,
        )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _is_weak(line: CurveLine, min_at_risk: int) -> bool:
    return bool((line.n_risk < min_at_risk).any())


def _top(curves: CurveData) -> float:
    """Upper end of the axis: 100 % for curves that fall, a round share for curves that rise."""
    if curves.kind is not CurveKind.INCIDENCE:
        return 1.0
    tops = []
    for line in curves.lines:
        _, _, upper = _band(line, curves.options.min_at_risk)
        tops += [np.nanmax(upper)] if np.isfinite(upper).any() else []
        # the last patients at risk would stretch the axis to the end; the table has their numbers
        firm = line.value[line.n_risk >= curves.options.min_at_risk]
        tops.append(firm.max() if firm.size else line.value.max())
    steps = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
    return next((step for step in steps if max(tops) <= step), 1.0)


def _draw_table(
    axes: Axes, curves: CurveData, styles: tuple[GroupStyle, ...], left_mm: float
) -> None:
    """Write the counts below their ticks, and each group's sample of line before its name."""
    lost = curves.kind is CurveKind.FOLLOW_UP
    blocks = (
        ("At risk", [line.at_risk for line in curves.lines]),
        ("Censored so far" if lost else "Events so far", [x.events_so_far for x in curves.lines]),
    )
    in_x = axes.get_xlim()[1] / (_WIDTH_MM - left_mm - _RIGHT_MM)
    row = 0.0
    for heading, counts in blocks:
        axes.text(
            -(left_mm - 2.0) * in_x, row + 0.55, heading, fontweight="bold", va="center", ha="left"
        )
        row += 1.0
        for line, style, numbers in zip(curves.lines, styles, counts, strict=True):
            middle = row + 0.5
            x = np.array([2.0, 8.0]) - left_mm
            axes.plot(
                x * in_x, [middle] * 2, color=style.colour, ls=style.line, lw=1.3, clip_on=False
            )
            axes.plot(
                [x.mean() * in_x],
                [middle],
                marker=style.marker,
                color=style.colour,
                markeredgecolor="white",
                markeredgewidth=0.5,
                ms=4.6,
                clip_on=False,
            )
            room = (left_mm - 15.0) * _PT_PER_MM
            name = wrapped(drawable(line.label), TEXT_PT, room, most_lines=1)[0]
            axes.text((x[1] + 1.5) * in_x, middle, name, va="center", ha="left", color=INK)
            for tick, n in zip(curves.ticks, numbers, strict=True):
                axes.text(tick, middle, count(n), va="center", ha="center")
            row += 1.0
