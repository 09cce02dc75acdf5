"""The flow diagram: who was listed, who left and why, who is analysed, for each cohort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metastra.cohort.flow import CohortFlow
from metastra.errors import ConfigError
from metastra.report.wording import count, plural

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FlowDiagram"]

_PT_PER_MM = 72.0 / 25.4
_GAP_MM = 8.0
_PAD_MM = 1.8
_LINE_MM = 3.6


@dataclass(frozen=True, kw_only=True)
class FlowDiagram:
    """Boxes with counts, one column of boxes for each cohort.

    Parameters
    ----------
    flows : tuple of CohortFlow
        One for each cohort.
    counts_events : bool
        Whether the endpoint has events; otherwise they are not shown.

    Examples
    --------
    >>> flow = CohortFlow(cohort="a", role="development", n_listed=9, steps=(), n_analysed=9)
    >>> FlowDiagram(flows=(flow,)).frame()["patients"].tolist()
    [9, 9]
    """

    flows: tuple[CohortFlow, ...]
    counts_events: bool = True

    def frame(self) -> pd.DataFrame:
        """Give the counts.

        Returns
        -------
        pandas.DataFrame
            cohort, role, step, stage, patients: from listed over every reason to analysed.
        """
        import pandas as pd

        rows = []
        for flow in self.flows:
            head = {"cohort": flow.cohort, "role": flow.role}
            rows.append(head | {"step": "listed", "stage": "", "patients": flow.n_listed})
            rows += [
                head | {"step": step.reason, "stage": step.stage, "patients": step.n}
                for step in flow.steps
            ]
            rows.append(head | {"step": "analysed", "stage": "", "patients": flow.n_analysed})
        return pd.DataFrame(rows)

    def plot(self) -> Figure:
        """Draw the diagram, two cohorts side by side.

        Returns
        -------
        matplotlib.figure.Figure
            170 mm wide, or 110 mm for a single cohort.

        Raises
        ------
        ConfigError
            If there is no cohort at all.
        """
        if not self.flows:
            raise ConfigError("a flow diagram needs at least one cohort")
        return _draw(self)

    def explain(self) -> str:
        """Say what the diagram shows.

        Returns
        -------
        str
            One paragraph; every patient of the tables is in it.
        """
        parts = []
        for flow in self.flows:
            left = flow.n_listed - flow.n_analysed
            text = (
                f"in {flow.cohort} ({flow.role}) {count(flow.n_analysed)} of "
                f"{plural(flow.n_listed, 'listed patient')} are analysed and {count(left)} are not"
            )
            if self.counts_events:
                text += (
                    f"; {plural(flow.n_events, 'event')} and "
                    f"{plural(flow.n_competing, 'competing event')} occurred"
                )
            parts.append(text)
        sentence = "; ".join(parts)
        text = f"{sentence[:1].upper()}{sentence[1:]}. "
        text += "Each patient counts once, under the first reason that applies, so that listed "
        text += "equals analysed plus left out."
        return text


@dataclass(frozen=True, kw_only=True)
class _Text:
    """Lines of a box; a count that stands apart from its reason has its own column."""

    lines: tuple[tuple[str, str, bool], ...]

    @property
    def height_mm(self) -> float:
        return len(self.lines) * _LINE_MM + 2 * _PAD_MM


def _draw(diagram: FlowDiagram) -> Figure:
    from metastra.report.theme import new_figure, theme

    single = len(diagram.flows) == 1
    cell_mm = 108.0 if single else 81.0
    width_mm = 110.0 if single else 170.0
    cells = [_cell(flow, cell_mm, counts_events=diagram.counts_events) for flow in diagram.flows]
    rows = [cells[i : i + 2] for i in range(0, len(cells), 2)]
    tops = [_tops(row) for row in rows]
    heights = [shared["foot"] for shared in tops]
    height_mm = sum(heights) + _GAP_MM * (len(rows) - 1) + 2.0
    with theme():
        figure = new_figure(width_mm=width_mm, height_mm=height_mm)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(0.0, width_mm)
        axes.set_ylim(height_mm, 0.0)
        axes.axis("off")
        y = 1.0
        for row, shared in zip(rows, tops, strict=True):
            at = {name: y + top for name, top in shared.items()}
            for place, cell in enumerate(row):
                _draw_cell(axes, cell, at, x=1.0 + place * 87.0, width=cell_mm)
            y += shared["foot"] + _GAP_MM
    return figure


def _cell(flow: CohortFlow, cell_mm: float, *, counts_events: bool) -> dict[str, _Text]:
    """Make the boxes of one cohort, their text broken into lines."""
    from metastra.report.lettering import drawable, wrapped
    from metastra.report.theme import TEXT_PT

    main = _main_width(cell_mm)
    room = (cell_mm - main - 6.0 - 2 * _PAD_MM - 8.0) * _PT_PER_MM
    left_out = flow.n_listed - flow.n_analysed
    heading = f"{count(left_out)} left out" if left_out else "Nobody left out"
    side: list[tuple[str, str, bool]] = [("", heading, True)]
    for step in flow.steps:
        lines = wrapped(drawable(step.reason), TEXT_PT - 1, room, most_lines=3)
        side.append((count(step.n), lines[0], False))
        side += [("", line, False) for line in lines[1:]]
    listed = [("", "Listed in the tables", False), ("", plural(flow.n_listed, "patient"), True)]
    analysed = [("", "Analysed", False), ("", plural(flow.n_analysed, "patient"), True)]
    if flow.n_slides_listed:
        listed.append(("", plural(flow.n_slides_listed, "slide"), False))
        analysed.append(("", plural(flow.n_slides_used, "slide"), False))
    boxes = {
        "head": _Text(lines=(("", drawable(f"{flow.cohort} ({flow.role})", 48), True),)),
        "listed": _Text(lines=tuple(listed)),
        "side": _Text(lines=tuple(side)),
        "analysed": _Text(lines=tuple(analysed)),
    }
    if counts_events:
        censored = flow.n_analysed - flow.n_events - flow.n_competing
        ends = [
            ("", plural(flow.n_events, "event"), True),
            ("", f"{count(flow.n_competing)} competing", False),
            ("", f"{count(censored)} censored", False),
        ]
        boxes["ends"] = _Text(lines=tuple(ends))
    return boxes


def _main_width(cell_mm: float) -> float:
    return 36.0 if cell_mm > 100.0 else 31.0


def _tops(row: list[dict[str, _Text]]) -> dict[str, float]:
    """Upper edge of each box in millimetres, common to the cohorts side by side."""
    tops, y = {"head": 0.0}, 6.0
    for name, gap in (("listed", 3.0), ("side", 3.0), ("analysed", 5.0), ("ends", 0.0)):
        heights = [cell[name].height_mm for cell in row if name in cell]
        if heights:
            tops[name] = y
            y += max(heights) + gap
    return tops | {"foot": y}


def _draw_cell(
    axes: Axes, cell: dict[str, _Text], tops: dict[str, float], *, x: float, width: float
) -> None:
    from metastra.report.theme import INK, TEXT_PT

    main = _main_width(width)
    axes.text(x, tops["head"], cell["head"].lines[0][1], fontsize=TEXT_PT + 1, fontweight="bold",
              va="top", ha="left")  # fmt: skip
    for name in ("listed", "analysed", "ends"):
        if name in cell:
            _box(axes, cell[name], x=x, y=tops[name], width=main, strong=name == "analysed")
    side_x = x + main + 6.0
    _box(axes, cell["side"], x=side_x, y=tops["side"], width=width - main - 6.0, small=True)
    spine = x + main / 2
    style = {"arrowstyle": "-|>", "color": INK, "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
    style["mutation_scale"] = 7
    ends = [("listed", "analysed")] + ([("analysed", "ends")] if "ends" in cell else [])
    for start, end in ends:
        foot = tops[start] + cell[start].height_mm
        axes.annotate("", xy=(spine, tops[end]), xytext=(spine, foot), arrowprops=style)
    middle = tops["side"] + cell["side"].height_mm / 2
    axes.annotate("", xy=(side_x, middle), xytext=(spine, middle), arrowprops=style)


def _box(
    axes: Axes,
    text: _Text,
    *,
    x: float,
    y: float,
    width: float,
    small: bool = False,
    strong: bool = False,
) -> None:
    from matplotlib.patches import Rectangle

    from metastra.report.theme import FAINT, INK, TEXT_PT

    axes.add_patch(
        Rectangle(
            (x, y),
            width,
            text.height_mm,
            facecolor="#f2f2f2" if small else "white",
            edgecolor=FAINT if small else INK,
            linewidth=1.2 if strong else 0.7,
        )
    )
    line_y = y + _PAD_MM + _LINE_MM / 2
    for number, words, bold in text.lines:
        size = TEXT_PT - 1 if small else TEXT_PT
        weight = "bold" if bold else "normal"
        if small:
            axes.text(x + _PAD_MM + 6.5, line_y, number, fontsize=size, va="center", ha="right")
            indent = 0.0 if bold else 8.0
            axes.text(x + _PAD_MM + indent, line_y, words, fontsize=size, fontweight=weight,
                      va="center", ha="left")  # fmt: skip
        else:
            axes.text(x + width / 2, line_y, words, fontsize=size, fontweight=weight,
                      va="center", ha="center")  # fmt: skip
        line_y += _LINE_MM
