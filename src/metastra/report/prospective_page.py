"""Writing the analysis of a prospective study as one HTML file that opens offline.

The page prints the values of ``prospective.json`` and computes none of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metastra.catalogue import all_checks
from metastra.report.pages import render_page
from metastra.report.shown import ShownFigure, inline_figures

__all__ = ["render_prospective_page"]

_SIMULATED = "SIMULATED STUDY: no patient took part; times were stated, not taken from a clock. "
_SECONDARY = {
    "oe_ratio": "O/E at the horizon (1 is right)",
    "slope": "Calibration slope (1 is right)",
    "ipa": "IPA (above 0 is better than the marginal risk)",
    "brier": "Brier score (lower is better)",
    "harrell": "Harrell's concordance",
    "uno": "Uno's concordance",
}


def render_prospective_page(
    document: Mapping[str, Any], figures: Mapping[str, ShownFigure], *, evaluation_href: str
) -> str:
    """Write the analysis as HTML text.

    Parameters
    ----------
    document : mapping
        The content of ``prospective.json``.
    figures : mapping of str to ShownFigure
        ``flow``, and those of the judge that are shown.
    evaluation_href : str
        Where the page with everything else lies.

    Returns
    -------
    str
        A whole document; equal analyses give equal text.
    """
    return render_page(
        "prospective.html",
        label=(_SIMULATED if document["simulated"] else "") + document["research_use"],
        result=document,
        protocol=document["protocol"],
        unit=document["protocol"]["endpoint"]["time_unit"],
        secondary=_SECONDARY,
        titles={code: check.title for code, check in all_checks().items()},
        evaluation_href=evaluation_href,
        figures=inline_figures(figures),
    )
