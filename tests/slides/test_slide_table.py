"""The table in docs/reference/slides.md says what happens to each real file; this holds it."""

from __future__ import annotations

import re
from pathlib import Path

from metastra.errors import SlideError
from metastra.slides.opening import open_slide
from metastra.slides.slide import require_brightfield
from metastra.tiles.grid import TileSpec, make_grid

REPOSITORY = Path(__file__).resolve().parents[2]


def row_of(path, wsi) -> str:
    with open_slide(path) as slide:
        info = slide.info
    try:
        require_brightfield(info)
        fate = f"{len(make_grid(info, TileSpec()))} tiles"
    except SlideError as error:
        fate = error.code
    scale = "unknown" if info.mpp_x is None else f"{info.mpp_x:.6g} × {info.mpp_y:.6g}"
    cells = [
        f"`{path.relative_to(wsi)}`",
        f"{info.reader} ({info.vendor})",
        f"{info.width_px} × {info.height_px}",
        str(len(info.levels)),
        scale,
        info.modality,
        fate,
    ]
    return f"| {' | '.join(cells)}"


def test_the_table_of_real_files_is_true(shared):
    """Each file of shared/data/wsi has its row, and the row says what happens."""
    wsi = shared / "data" / "wsi"
    text = (REPOSITORY / "docs" / "reference" / "slides.md").read_text(encoding="utf-8")
    rows = [
        line for line in text.splitlines() if re.match(r"\| `.*` \| (openslide|tiff|pict)", line)
    ]

    found = [row_of(path, wsi) for path in sorted(wsi.rglob("*")) if path.is_file()]

    assert len(found) == 8
    told = [re.sub(r"(: [^|]*)? \|$", "", row) for row in rows]
    assert sorted(told) == sorted(found)
