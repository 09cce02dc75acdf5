"""`ShownFigure`: a figure with its words, and the form in which it stands inside a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from metastra.report.svg_inline import inline_svg
from metastra.report.theme import to_svg

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

__all__ = ["ShownFigure", "inline_figures"]


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


def inline_figures(figures: Mapping[str, ShownFigure]) -> dict[str, dict[str, Any]]:
    """Prepare figures for a page.

    Parameters
    ----------
    figures : mapping of str to ShownFigure
        By a name that is unique on the page.

    Returns
    -------
    dict of str to dict
        ``title``, ``explanation`` and ``svg`` of each.
    """
    return {
        name: {
            "title": shown.title,
            "explanation": shown.explanation,
            "svg": Markup(  # noqa: S704 - written by ElementTree, which escapes all text
                inline_svg(
                    to_svg(shown.figure),
                    name=f"f-{name}",
                    title=shown.title,
                    description=shown.explanation,
                )
            ),
        }
        for name, shown in figures.items()
    }
