"""Writing a `CohortPage` as one HTML file that opens offline and runs nothing.

The page prints the values of `CohortPage.to_json` and computes none of its own.  Its content
policy allows no script, no request and no style but the one sheet inside, named by its digest.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from metastra.report.cohort_page import CohortPage
from metastra.report.fold_bars import FoldBars
from metastra.report.pages import render_page
from metastra.report.shown import ShownFigure, inline_figures
from metastra.storage.atomic import write_atomically

__all__ = ["cohort_figures", "render_cohort_page", "write_cohort_page"]

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
    return render_page(
        "cohort.html", page=page.to_json(), figures=inline_figures(cohort_figures(page))
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


def cohort_figures(page: CohortPage) -> dict[str, ShownFigure]:
    """Draw every figure of the page.

    Parameters
    ----------
    page : CohortPage
        What it says.

    Returns
    -------
    dict of str to ShownFigure
        ``flow``, the curves by their names, ``split-1`` and so on, ``metadata``.
    """
    figures = {}
    if page.flows:
        flow = page.flow_diagram()
        figures["flow"] = ShownFigure(
            title="Flow diagram", explanation=flow.explain(), figure=flow.plot()
        )
    for name, curves in page.curves.items():
        figures[name] = ShownFigure(
            title=_CURVE_TITLES[name], explanation=curves.explain(), figure=curves.plot()
        )
    for number, split in enumerate(page.splits, start=1):
        if split.parts:
            bars = FoldBars(parts=split.parts)
            figures[f"split-{number}"] = ShownFigure(
                title="Events in each fold", explanation=bars.explain(), figure=bars.plot()
            )
    if page.metadata_model is not None:
        forest = page.metadata_model.forest()
        title = "Concordance of metadata with the outcome"
        figures["metadata"] = ShownFigure(
            title=title, explanation=forest.explain(), figure=forest.plot()
        )
    return figures
