"""The page of surveillance policies: decision support as tables, never as advice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metastra.report.pages import render_page
from metastra.report.shown import ShownFigure, inline_figures
from metastra.report.surveillance_drawing import draw_schedules, draw_trade

__all__ = ["render_surveillance_page", "surveillance_figures"]


def surveillance_figures(document: Mapping[str, Any]) -> dict[str, ShownFigure]:
    """Draw schedules and the trade between scans and delay.

    Parameters
    ----------
    document : mapping
        The content of ``surveillance.json``.

    Returns
    -------
    dict of str to ShownFigure
        ``schedules``, and ``trade`` where a policy finds something.
    """
    policies, unit = document["policies"], document["time_unit"]
    found = {
        "schedules": ShownFigure(
            title="Dates of the scans",
            explanation="Dates of the scans of each policy and risk group; each dot is a scan.",
            figure=draw_schedules(policies, document["horizon"], unit),
        )
    }
    trade = draw_trade(policies, unit)
    if trade is not None:
        found["trade"] = ShownFigure(
            title="Delay against scans",
            explanation="Mean time from onset to the scan that finds the metastasis, against the "
            "number of scans; lower left is better. Bars are 95% intervals.",
            figure=trade,
        )
    return found


def render_surveillance_page(
    document: Mapping[str, Any], figures: Mapping[str, ShownFigure]
) -> str:
    """Write the page.

    Parameters
    ----------
    document : mapping
        The content of ``surveillance.json``.
    figures : mapping of str to ShownFigure
        Drawn by `surveillance_figures`.

    Returns
    -------
    str
        A whole HTML document.
    """
    return render_page("surveillance.html", result=document, figures=inline_figures(figures))
