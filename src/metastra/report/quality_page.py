"""The contact sheet: every slide with its tissue and artefacts drawn, numbers and codes beside."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from metastra.report.pages import render_page

__all__ = ["SheetCode", "SheetKey", "SheetSlide", "render_quality_page"]


@dataclass(frozen=True, kw_only=True)
class SheetCode:
    """One code on a slide.

    Parameters
    ----------
    code, title : str
        As in the catalogue.
    """

    code: str
    title: str


@dataclass(frozen=True, kw_only=True)
class SheetKey:
    """One line of the legend.

    Parameters
    ----------
    letter : str
        Drawn on the picture; empty for outlines without one.
    word : str
        What it means.
    colour : str
        Of the outline, as ``#rrggbb``.
    """

    letter: str
    word: str
    colour: str


@dataclass(frozen=True, kw_only=True)
class SheetSlide:
    """One slide of the sheet.

    Parameters
    ----------
    name : str
        A name that is not the patient's.
    row : int
        Of the table; the header is row 1.
    status : str
        ``assessed``, ``not assessable`` or ``failed``.
    use : bool
        Whether it goes on.
    picture : bytes
        JPEG; empty where there is none.
    facts : tuple of (str, str)
        Numbers with their names.
    codes : tuple of SheetCode
        What was found.
    review : str
        A reviewer's decision in words; empty without one.
    """

    name: str
    row: int
    status: str
    use: bool
    picture: bytes
    facts: tuple[tuple[str, str], ...]
    codes: tuple[SheetCode, ...]
    review: str

    @property
    def source(self) -> str:
        """The picture as a data address."""
        return "data:image/jpeg;base64," + base64.b64encode(self.picture).decode()


def render_quality_page(slides: Sequence[SheetSlide], keys: Sequence[SheetKey]) -> str:
    """Write the contact sheet.

    Parameters
    ----------
    slides : sequence of SheetSlide
        In the order of the table.
    keys : sequence of SheetKey
        The legend.

    Returns
    -------
    str
        A whole HTML document that opens offline; equal inputs give equal text.
    """
    groups = [
        (title, [slide for slide in slides if slide.status == status])
        for title, status in (
            ("Failed", "failed"),
            ("Not assessable", "not assessable"),
            ("Assessed", "assessed"),
        )
    ]
    return render_page(
        "quality.html",
        pictures=True,
        groups=[(title, found) for title, found in groups if found],
        keys=keys,
        n=len(slides),
        used=sum(slide.use for slide in slides),
        reviewed=sum(bool(slide.review) for slide in slides),
    )
