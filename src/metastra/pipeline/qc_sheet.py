"""The contact sheet of a run: plain values for the page that `metastra.report` draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metastra.catalogue import check
from metastra.pipeline.qc_table import SlideRow
from metastra.report.quality_page import SheetCode, SheetKey, SheetSlide, render_quality_page
from metastra.tissue.drawing import COLOURS, LETTERS
from metastra.tissue.quality import ARTEFACTS

__all__ = ["sheet_bytes"]

_WORDS = {
    "tissue": "tissue",
    "region": "drawn region",
    "blur": "out of focus",
    "pen": "pen",
    "fold": "fold",
    "bubble": "edge or bubble",
    "fading": "pale",
    "dark": "black fill",
    "blank": "white fill",
}


def sheet_bytes(rows: Sequence[SlideRow]) -> bytes:
    """Write the contact sheet.

    Parameters
    ----------
    rows : sequence of SlideRow
        Of the run.

    Returns
    -------
    bytes
        One HTML file with everything in it; slides are named by their content, not by file.
    """
    keys = [
        SheetKey(letter=LETTERS.get(name, ""), word=_WORDS[name], colour="#" + bytes(colour).hex())
        for name, colour in COLOURS.items()
        if name != "blank"
    ]
    return render_quality_page([_slide(row) for row in rows], keys).encode()


def _slide(row: SlideRow) -> SheetSlide:
    return SheetSlide(
        name=row.slide,
        row=row.number + 1,
        status=row.status,
        use=row.use,
        picture=row.picture,
        facts=tuple(_facts(row.found)) if row.found else (),
        codes=tuple(_codes(row)),
        review=_review(row),
    )


def _facts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    fractions, measures = found["fractions"], found["measures"]
    facts = []
    if fractions.get("tissue") is not None:
        area = measures.get("tissue_mm2")
        more = "" if area is None else f", {area:.3g} mm²"
        facts.append(("tissue", f"{fractions['tissue']:.1%}{more}"))
    shown = [name for name in ARTEFACTS if fractions.get(name)]
    facts += [(_WORDS[name], _percent(fractions[name])) for name in shown]
    if measures.get("blur_um") is not None:
        facts.append(("median blur", f"{measures['blur_um']:.2g} µm"))
    scale = found["mpp_x"]
    facts.append(("scale", "not known" if scale is None else f"{scale:.4g} µm per pixel"))
    if found["not_assessable"]:
        names = (_WORDS.get(name, name) for name in found["not_assessable"])
        facts.append(("not assessable", ", ".join(names)))
    return facts


def _percent(share: float) -> str:
    return "below 0.1%" if share < 0.001 else f"{share:.1%}"


def _codes(row: SlideRow) -> list[SheetCode]:
    if row.error:
        return [SheetCode(code=row.error.split()[0], title="could not be read; qc.csv says why")]
    return [SheetCode(code=code, title=check(code).title) for code in row.codes]


def _review(row: SlideRow) -> str:
    if row.decision is None:
        return ""
    word = "overridden" if row.decision.override else "accepted"
    return f"{word} by {row.decision.initials}: {row.decision.reason}"
