"""The flow diagram of a prospective study: from screening to analysis, with who left and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metastra.report.lettering import drawable, wrapped
from metastra.report.theme import FAINT, INK, TEXT_PT, new_figure, theme
from metastra.report.wording import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_study_flow"]

_WIDTH_MM, _MAIN_MM, _SIDE_MM, _GAP_MM = 150.0, 44.0, 92.0, 5.0
_LINE_MM, _PAD_MM = 3.7, 1.8
_PT_PER_MM = 72.0 / 25.4


def draw_study_flow(boxes: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw boxes from top to bottom, and beside each who left after it.

    Parameters
    ----------
    boxes : sequence of mapping
        ``name``, ``n`` and ``left`` (``reason``, ``n``), as ``prospective.json`` has them.

    Returns
    -------
    matplotlib.figure.Figure
        150 mm wide.
    """
    sides = [_side_lines(box["left"]) for box in boxes]
    heights = [2 * _LINE_MM + 2 * _PAD_MM] * len(boxes)
    steps = []
    for height, side in zip(heights, sides, strict=True):
        beside = len(side) * _LINE_MM + 2 * _PAD_MM if side else 0.0
        steps.append(height + (beside + 2 * _GAP_MM if side else _GAP_MM))
    total = sum(steps[:-1]) + heights[-1] + 2.0
    with theme():
        figure = new_figure(width_mm=_WIDTH_MM, height_mm=total)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(0.0, _WIDTH_MM)
        axes.set_ylim(total, 0.0)
        axes.axis("off")
        y = 1.0
        for position, (box, side) in enumerate(zip(boxes, sides, strict=True)):
            last = position == len(boxes) - 1
            _draw_box(axes, box, y, strong=last)
            if not last:
                _draw_arrow(axes, y + heights[position], y + steps[position])
            if side:
                _draw_side(axes, side, y + heights[position] + _GAP_MM)
            y += steps[position]
    return figure


def _side_lines(left: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Break the reasons into lines; the number stands in the first."""
    room = (_SIDE_MM - 2 * _PAD_MM - 9.0) * _PT_PER_MM
    lines: list[tuple[str, str]] = []
    for item in left:
        words = wrapped(drawable(str(item["reason"])), TEXT_PT - 1, room, most_lines=3)
        lines.append((count(int(item["n"])), words[0]))
        lines += [("", word) for word in words[1:]]
    return lines


def _draw_box(axes: Axes, box: Mapping[str, Any], y: float, *, strong: bool) -> None:
    from matplotlib.patches import Rectangle

    height = 2 * _LINE_MM + 2 * _PAD_MM
    axes.add_patch(
        Rectangle(
            (1.0, y),
            _MAIN_MM,
            height,
            facecolor="white",
            edgecolor=INK,
            linewidth=1.3 if strong else 0.8,
        )
    )
    middle = 1.0 + _MAIN_MM / 2
    name = str(box["name"])
    axes.text(middle, y + _PAD_MM + _LINE_MM / 2, name[:1].upper() + name[1:], ha="center",
              va="center", fontsize=TEXT_PT)  # fmt: skip
    axes.text(middle, y + _PAD_MM + 1.5 * _LINE_MM, count(int(box["n"])), ha="center",
              va="center", fontsize=TEXT_PT, fontweight="bold")  # fmt: skip


def _draw_arrow(axes: Axes, start: float, end: float) -> None:
    style = {"arrowstyle": "-|>", "color": INK, "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
    middle = 1.0 + _MAIN_MM / 2
    arrow: Any = style | {"mutation_scale": 7}
    axes.annotate("", xy=(middle, end), xytext=(middle, start), arrowprops=arrow)


def _draw_side(axes: Axes, lines: Sequence[tuple[str, str]], y: float) -> None:
    from matplotlib.patches import Rectangle

    height = len(lines) * _LINE_MM + 2 * _PAD_MM
    x = _WIDTH_MM - _SIDE_MM - 1.0
    axes.add_patch(
        Rectangle((x, y), _SIDE_MM, height, facecolor="#f2f2f2", edgecolor=FAINT, linewidth=0.7)
    )
    middle = y + height / 2
    style: Any = {"arrowstyle": "-|>", "color": INK, "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
    style["mutation_scale"] = 7
    axes.annotate("", xy=(x, middle), xytext=(1.0 + _MAIN_MM / 2, middle), arrowprops=style)
    for row, (number, words) in enumerate(lines):
        line = y + _PAD_MM + (row + 0.5) * _LINE_MM
        axes.text(x + _PAD_MM + 6.0, line, number, ha="right", va="center", fontsize=TEXT_PT - 1)
        axes.text(x + _PAD_MM + 8.0, line, words, ha="left", va="center", fontsize=TEXT_PT - 1)
