"""The forest plot: an estimate with its interval for each row, with n and events beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from metastra.errors import ConfigError
from metastra.report.wording import NOT_AVAILABLE, count, interval, number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ForestPlot", "ForestRow"]

_WIDTH_MM = 170.0
_ROW_MM = 5.2
_N_MM, _EVENTS_MM = 60.0, 74.0
_AXIS_MM = (81.0, 46.0)
_TEXT_MM = 133.0
_LOG_TICKS = tuple(base * 10.0**power for power in range(-4, 5) for base in (1, 2, 5))


@dataclass(frozen=True, kw_only=True)
class ForestRow:
    """One row of a forest plot, or a heading.

    Parameters
    ----------
    label : str
        What the row is about.
    estimate, lower, upper : float or None
        None where it cannot be estimated; `reason` then says why.
    n, events : int or None
        What it rests on; None on headings.
    reason : str
        Why there is no estimate.
    indent : int
        Steps to the right.
    heading : bool
        Whether the row is only a heading.
    pooled : bool
        Whether the row pools the ones above; drawn as a diamond.
    prediction : tuple of float or None
        Where a new row of the kind is expected, drawn as a thin bar with ends.
    """

    label: str
    estimate: float | None = None
    lower: float | None = None
    upper: float | None = None
    n: int | None = None
    events: int | None = None
    reason: str = ""
    indent: int = 0
    heading: bool = False
    pooled: bool = False
    prediction: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class ForestPlot:
    """Estimates of one quantity in several rows.

    Parameters
    ----------
    rows : tuple of ForestRow
        From top to bottom.
    quantity : str
        What is estimated, for instance ``"Hazard ratio"``.
    level : float
        Confidence level of the intervals.
    scale : {"log", "linear"}
        Of the axis; ratios belong on the log axis.
    reference : float or None
        Value of no effect, drawn as a line.
    decimals : int
        Digits of the printed estimates.
    limits : tuple of float or None
        Ends of the axis; intervals that go on end in an arrow.  From the data when left out.
    towards : tuple of str
        What lies left and right of the reference, for instance ``("lower risk", "higher risk")``.

    Raises
    ------
    ConfigError
        Without rows, and for values at or below 0 on a log axis.

    Examples
    --------
    >>> row = ForestRow(label="north", estimate=2.0, lower=1.2, upper=3.3, n=180, events=31)
    >>> plot = ForestPlot(rows=(row,), quantity="Hazard ratio", scale="log", reference=1.0)
    >>> plot.frame()["estimate"].tolist()
    [2.0]
    """

    rows: tuple[ForestRow, ...]
    quantity: str
    level: float = 0.95
    scale: Literal["log", "linear"] = "log"
    reference: float | None = None
    decimals: int = 2
    limits: tuple[float, float] | None = None
    towards: tuple[str, str] = ("", "")

    def __post_init__(self) -> None:
        if not self.rows:
            raise ConfigError("a forest plot needs at least one row")
        if self.scale == "log":
            values = [v for r in self.rows for v in (r.estimate, r.lower, r.upper)]
            values += [v for r in self.rows for v in r.prediction or ()]
            values += [self.reference, *(self.limits or ())]
            if any(value is not None and value <= 0.0 for value in values):
                raise ConfigError(
                    f"{self.quantity}: a log axis has no place for values of 0 or less; "
                    "use the linear scale"
                )

    def frame(self) -> pd.DataFrame:
        """Give the numbers.

        Returns
        -------
        pandas.DataFrame
            label, n, events, estimate, lower, upper, reason; one row for each row that is not a
            heading.
        """
        import pandas as pd

        names = ("label", "n", "events", "estimate", "lower", "upper", "reason")
        rows = [row for row in self.rows if not row.heading]
        return pd.DataFrame([{name: getattr(row, name) for name in names} for row in rows])

    def plot(self) -> Figure:
        """Draw the plot.

        Returns
        -------
        matplotlib.figure.Figure
            170 mm wide.
        """
        return _draw(self)

    def explain(self) -> str:
        """Say what the plot shows.

        Returns
        -------
        str
            One paragraph.
        """
        given = [row for row in self.rows if row.estimate is not None]
        lacking = [row for row in self.rows if row.estimate is None and not row.heading]
        text = f"{self.quantity} with {100 * self.level:g}% intervals in {len(given)} rows"
        text += " on a log axis" if self.scale == "log" else ""
        if self.reference is not None:
            text += f"; the line at {self.reference:g} is no effect"
        text += ". "
        if given:
            low, high = (number(f(r.estimate for r in given), self.decimals) for f in (min, max))  # type: ignore[type-var]
            text += f"Estimates range from {low} to {high}. "
        if lacking:
            names = ", ".join(row.label for row in lacking)
            text += f"Not estimable: {names}; the reasons stand in the table. "
        if any(row.prediction for row in self.rows):
            text += "Diamonds are pooled; the broken bar shows where a new cohort is expected. "
        return text + "Arrows mark intervals that go on beyond the axis."


def _draw(plot: ForestPlot) -> Figure:
    from metastra.report.theme import INK, RULE, TEXT_PT, new_figure, theme

    n_rows = len(plot.rows)
    foot = 12.0 if any(plot.towards) else 8.0
    height = (n_rows + 1) * _ROW_MM + 3.0 + foot
    with theme():
        figure = new_figure(width_mm=_WIDTH_MM, height_mm=height)
        page = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        page.set_xlim(0.0, _WIDTH_MM)
        page.set_ylim(height, 0.0)
        page.axis("off")
        _headings(page, plot)
        page.plot([1, _WIDTH_MM - 1], [_ROW_MM + 1.0] * 2, color=RULE, lw=0.7)
        low, high = _limits(plot)
        axes = figure.add_axes(
            (
                _AXIS_MM[0] / _WIDTH_MM,
                foot / height,
                _AXIS_MM[1] / _WIDTH_MM,
                n_rows * _ROW_MM / height,
            )
        )
        axes.set_xscale(plot.scale)
        axes.set_xlim(low, high)
        axes.set_ylim(n_rows, 0.0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        _ticks(axes, plot, low, high)
        if plot.reference is not None:
            axes.axvline(plot.reference, color=INK, lw=0.7, ls=(0, (2, 2)))
        for position, row in enumerate(plot.rows):
            y = 3.0 + (position + 1.5) * _ROW_MM
            _row_text(page, plot, row, y)
            if row.estimate is not None:
                _row_marks(axes, row, position + 0.5, (low, high))
        for text, align, x in zip(plot.towards, ("left", "right"), (0.0, 1.0), strict=True):
            axes.annotate(
                text,
                xy=(x, 0.0),
                xycoords="axes fraction",
                xytext=(0, -24),
                textcoords="offset points",
                ha=align,
                va="top",
                fontsize=TEXT_PT - 1,
            )
    return figure


def _headings(page: Axes, plot: ForestPlot) -> None:
    from metastra.report.lettering import drawable

    y = 1.0 + _ROW_MM / 2
    for x, text, align in (
        (_N_MM, "n", "right"),
        (_EVENTS_MM, "events", "right"),
        (_AXIS_MM[0], drawable(plot.quantity, 40), "left"),
        (_TEXT_MM, f"estimate ({100 * plot.level:g}% CI)", "left"),
    ):
        page.text(x, y, text, ha=align, va="center", fontweight="bold")


def _row_text(page: Axes, plot: ForestPlot, row: ForestRow, y: float) -> None:
    from metastra.report.lettering import drawable, wrapped
    from metastra.report.theme import FAINT, TEXT_PT

    x = 1.0 + 3.0 * row.indent
    room = (_N_MM - 9.0 - x) * 72.0 / 25.4
    label = wrapped(drawable(row.label), TEXT_PT, room, most_lines=1)[0]
    page.text(x, y, label, va="center", fontweight="bold" if row.heading else "normal")
    if row.heading:
        return
    page.text(_N_MM, y, count(row.n), va="center", ha="right")
    page.text(_EVENTS_MM, y, count(row.events), va="center", ha="right")
    if row.estimate is None:
        reason = wrapped(drawable(row.reason or NOT_AVAILABLE), TEXT_PT - 1, 104.0, most_lines=1)
        page.text(_TEXT_MM, y, reason[0], va="center", color=FAINT, fontsize=TEXT_PT - 1)
        return
    limits = interval(row.lower, row.upper, plot.decimals)
    text = number(row.estimate, plot.decimals) + (f" ({limits})" if limits else "")
    page.text(_TEXT_MM, y, text, va="center")


def _row_marks(axes: Axes, row: ForestRow, y: float, limits: tuple[float, float]) -> None:
    from metastra.report.theme import STYLES

    low, high = limits
    ink = STYLES[0].colour
    if row.prediction is not None:
        ends = [max(row.prediction[0], low), min(row.prediction[1], high)]
        axes.plot(ends, [y, y], color=STYLES[2].colour, lw=1.0, ls=(0, (2, 1.2)))
        for end in ends:
            axes.plot([end, end], [y - 0.22, y + 0.22], color=STYLES[2].colour, lw=1.0)
    if row.pooled and row.estimate is not None and row.lower is not None and row.upper is not None:
        corners = [max(row.lower, low), row.estimate, min(row.upper, high), row.estimate]
        axes.fill(corners, [y, y - 0.3, y, y + 0.3], facecolor="white", edgecolor=ink, lw=1.2)
        return
    if row.lower is not None and row.upper is not None:
        axes.plot([max(row.lower, low), min(row.upper, high)], [y, y], color=ink, lw=1.2)
        for beyond, x, marker in ((row.lower < low, low, "<"), (row.upper > high, high, ">")):
            if beyond:
                axes.plot([x], [y], marker=marker, color=ink, ms=4.5, clip_on=False)
    if row.estimate is not None and low <= row.estimate <= high:
        axes.plot([row.estimate], [y], marker="s", color=ink, ms=4.8)


def _limits(plot: ForestPlot) -> tuple[float, float]:
    """Find the ends of the axis: what the rows and the reference need, rounded outwards."""
    if plot.limits is not None:
        return plot.limits
    values = [v for r in plot.rows for v in (r.estimate, r.lower, r.upper) if v is not None]
    values += [v for r in plot.rows for v in r.prediction or ()]
    values += [] if plot.reference is None else [plot.reference]
    if not values:
        return (0.5, 2.0) if plot.scale == "log" else (0.0, 1.0)
    low, high = min(values), max(values)
    if plot.scale == "log":
        below = [tick for tick in _LOG_TICKS if tick <= low]
        above = [tick for tick in _LOG_TICKS if tick >= high]
        low, high = (below or [low])[-1], (above or [high])[0]
        return (low, high) if low < high else (low / 2, high * 2)
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-6)))
    return math.floor(low / step) * step, max(math.ceil(high / step), low / step + 1) * step


def _ticks(axes: Axes, plot: ForestPlot, low: float, high: float) -> None:
    from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

    if plot.scale == "log":
        shown = [tick for tick in _LOG_TICKS if low <= tick * (1 + 1e-9) and tick <= high]
        if len(shown) > 7:
            shown = [tick for tick in shown if math.isclose(math.log10(tick) % 1.0, 0.0)]
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        found = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        shown = [float(tick) for tick in np.asarray(found) if low - 1e-9 <= tick <= high + 1e-9]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
