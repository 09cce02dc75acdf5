"""Writing a `CohortPage` as one HTML file that opens offline and runs nothing.

The page prints the values of `CohortPage.to_json` and computes none of its own.  Its content
policy allows no script, no request and no style but the one sheet inside, named by its digest.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from markupsafe import Markup

from metastra.report.cohort_page import CohortPage
from metastra.report.fold_bars import FoldBars
from metastra.report.pages import page_environment
from metastra.report.svg_inline import inline_svg
from metastra.report.theme import to_svg
from metastra.storage.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["render_cohort_page", "write_cohort_page"]

_CURVE_TITLES = {
    "incidence": "Cumulative incidence by cohort",
    "competing": "Cumulative incidence of competing events by cohort",
    "follow-up": "Length of follow-up by cohort",
}


def render_cohort_page(page: CohortPage) -> str:
    """Write a page as HTML text.

    Parameters
    ----------
    page : CohortPage
        What it says.

    Returns
    -------
    str
        A whole document; equal pages give equal text.

    Examples
    --------
    >>> from metastra.report.cohort_page_build import cohort_page_from
    >>> "Research use only" in render_cohort_page(cohort_page_from(None))
    True
    """
    loader = page_environment().loader
    if loader is None:
        raise RuntimeError("the page templates are not where the package keeps them")
    sheet = loader.get_source(page_environment(), "page.css")[0].strip()
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        page_environment()
        .get_template("cohort.html")
        .render(
            page=page.to_json(),
            figures=_figures(page),
            style=Markup(sheet),  # noqa: S704 - our own file, named by its digest in the policy
            policy=policy,
        )
    )


def write_cohort_page(page: CohortPage, target: Path | BinaryIO) -> None:
    """Write a page as one HTML file.

    Parameters
    ----------
    page : CohortPage
        What it says.
    target : Path or binary stream
        A path is written whole or not at all; a stream is written to and left open.

    Raises
    ------
    ResourceError
        If the disk is full.
    ConfigError
        If the place cannot be written to.

    Examples
    --------
    >>> import io
    >>> from metastra.report.cohort_page_build import cohort_page_from
    >>> stream = io.BytesIO()
    >>> write_cohort_page(cohort_page_from(None), stream)
    >>> stream.getvalue()[:15]
    b'<!doctype html>'
    """
    data = render_cohort_page(page).encode("utf-8")
    if isinstance(target, Path):

        def write(stream: BinaryIO) -> None:
            stream.write(data)

        write_atomically(target, write)
    else:
        target.write(data)


def _figures(page: CohortPage) -> dict[str, Markup]:
    """Draw every figure of the page, as SVG that may stand in it."""
    figures = {}
    if page.flows:
        flow = page.flow_diagram()
        figures["flow"] = _inline("flow", "Flow diagram", flow.explain(), flow.plot())
    for name, curves in page.curves.items():
        figures[name] = _inline(name, _CURVE_TITLES[name], curves.explain(), curves.plot())
    for number, split in enumerate(page.splits, start=1):
        if split.parts:
            bars = FoldBars(parts=split.parts)
            name = f"split-{number}"
            figures[name] = _inline(name, "Events in each fold", bars.explain(), bars.plot())
    if page.metadata_model is not None:
        forest = page.metadata_model.forest()
        title = "Concordance of metadata with the outcome"
        figures["metadata"] = _inline("metadata", title, forest.explain(), forest.plot())
    return figures


def _inline(name: str, title: str, description: str, figure: Figure) -> Markup:
    svg = inline_svg(to_svg(figure), name=f"f-{name}", title=title, description=description)
    return Markup(svg)  # noqa: S704 - written by ElementTree, which escapes all text
