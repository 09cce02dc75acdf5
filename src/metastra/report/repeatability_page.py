"""The page of a repeatability study: agreement and switched groups by condition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metastra.report.forest_plot import ForestPlot, ForestRow
from metastra.report.pages import render_page
from metastra.report.shown import ShownFigure, inline_figures
from metastra.report.theme import theme

__all__ = ["render_repeatability_page", "repeatability_figures"]


def repeatability_figures(document: Mapping[str, Any]) -> dict[str, ShownFigure]:
    """Draw agreement and switch rates.

    Parameters
    ----------
    document : mapping
        What `metastra.evaluation.repeatability.repeatability` gave.

    Returns
    -------
    dict of str to ShownFigure
        ``icc`` and ``switch-rate``; a figure without an estimate is left out.
    """
    found = {}
    for name, key, quantity in (
        ("icc", "icc", "ICC(2,1)"),
        ("switch-rate", "switch_rate", "Share in another risk group"),
    ):
        rows = tuple(_row(one["condition"], one[key]) for one in document["conditions"])
        if all(row.estimate is None for row in rows):
            continue
        low = min([0.0, *(row.lower for row in rows if row.lower is not None)])
        plot = ForestPlot(
            rows=rows,
            quantity=quantity,
            scale="linear",
            limits=(low, 1.0),
            decimals=3,
        )
        with theme():
            figure = plot.plot()
        title = f"{quantity} against {document['reference']}"
        found[name] = ShownFigure(title=title, explanation=plot.explain(), figure=figure)
    return found


def render_repeatability_page(
    document: Mapping[str, Any], figures: Mapping[str, ShownFigure]
) -> str:
    """Write the page.

    Parameters
    ----------
    document : mapping
        What `metastra.evaluation.repeatability.repeatability` gave.
    figures : mapping of str to ShownFigure
        Drawn by `repeatability_figures`.

    Returns
    -------
    str
        A whole HTML document.
    """
    return render_page("repeatability.html", result=document, figures=inline_figures(figures))


def _row(label: str, number: Mapping[str, Any]) -> ForestRow:
    if number["estimate"] is None:
        return ForestRow(label=label, n=number["n"], reason=str(number.get("reason", "")))
    return ForestRow(
        label=label,
        estimate=number["estimate"],
        lower=number["lower"],
        upper=number["upper"],
        n=number["n"],
    )
