"""Writing the analysis of a prospective study as one HTML file that opens offline.

The page prints the values of ``prospective.json`` and computes none of its own.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from metastra.report.evaluation_figures import ShownFigure
from metastra.report.pages import page_environment
from metastra.report.svg_inline import inline_svg
from metastra.report.theme import to_svg

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
    environment = page_environment()
    loader = environment.loader
    if loader is None:
        raise RuntimeError("the page templates are not where the package keeps them")
    sheet = loader.get_source(environment, "page.css")[0].strip()
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    label = document["research_use"]
    return environment.get_template("prospective.html").render(
        page={"research_use_only": (_SIMULATED if document["simulated"] else "") + label},
        result=document,
        protocol=document["protocol"],
        unit=document["protocol"]["endpoint"]["time_unit"],
        secondary=_SECONDARY,
        evaluation_href=evaluation_href,
        figures={name: _inline(name, shown) for name, shown in figures.items()},
        style=Markup(sheet),  # noqa: S704 - our own file, named by its digest in the policy
        policy=policy,
    )


def _inline(name: str, shown: ShownFigure) -> dict[str, Any]:
    svg = inline_svg(
        to_svg(shown.figure), name=f"f-{name}", title=shown.title, description=shown.explanation
    )
    return {
        "explanation": shown.explanation,
        "svg": Markup(svg),  # noqa: S704 - written by ElementTree, which escapes all text
    }
