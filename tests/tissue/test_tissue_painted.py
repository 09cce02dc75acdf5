"""A painted slide: somebody else's artefacts, whose places are known to the micrometre."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.slides.opening import open_slide
from metastra.synthetic.painting.artefacts import Artefact
from metastra.synthetic.painting.classes import ArtefactKind
from metastra.synthetic.painting.scanners import get_scanner
from metastra.synthetic.painting.scene import Recipe
from metastra.synthetic.painting.slide_file import paint_slide
from metastra.tissue.quality import assess
from metastra.tissue.rules import tile_codes

ARTEFACTS = (
    Artefact(
        kind=ArtefactKind.PEN, x_um=420, y_um=380, long_um=480, short_um=120, turn=0.3, ink="blue"
    ),
    Artefact(kind=ArtefactKind.FOLD, x_um=1000, y_um=450, long_um=500, short_um=80, turn=1.3),
    Artefact(kind=ArtefactKind.BLUR, x_um=550, y_um=950, long_um=420, short_um=360, strength=3.0),
    Artefact(kind=ArtefactKind.DARK, x_um=1350, y_um=150, long_um=200, short_um=200),
)


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    path = tmp_path_factory.mktemp("painted") / "slide.tiff"
    recipe = Recipe(width_um=1500.0, height_um=1300.0, seed=4, artefacts=ARTEFACTS)
    paint_slide(path, recipe, get_scanner("Aurora S60"))
    with open_slide(path) as slide:
        return slide.info, assess(slide)


def where(artefact, quality, info):
    """Places of an artefact's ellipse, shrunk and grown, on the maps."""
    height, width = quality.tissue.shape
    x = (np.arange(width) + 0.5) * quality.scale_px0[0] * info.mpp_x - artefact.x_um
    y = (np.arange(height) + 0.5) * quality.scale_px0[1] * info.mpp_y - artefact.y_um
    y, x = np.meshgrid(y, x, indexing="ij")
    along = x * np.cos(artefact.turn) + y * np.sin(artefact.turn)
    across = y * np.cos(artefact.turn) - x * np.sin(artefact.turn)
    return np.hypot(2 * along / artefact.long_um, 2 * across / artefact.short_um)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "name", "found_inside", "most_outside"),
    [(0, "pen", 0.8, 0.02), (1, "fold", 0.3, 0.02), (2, "blur", 0.7, 0.08), (3, "dark", 0.8, 0.01)],
)
def test_painted_artefacts_are_found_where_they_are(
    painted, number, name, found_inside, most_outside
):
    """Share of the inner half that is marked, and of everything well outside that is."""
    info, quality = painted
    distance = where(ARTEFACTS[number], quality, info)
    found = quality.artefacts[name]
    inner = distance < 0.5
    if name in ("fold", "blur"):
        inner &= quality.tissue
    assert found[inner].mean() >= found_inside
    assert found[distance > 2.0].mean() <= most_outside


@pytest.mark.slow
def test_tiles_of_a_painted_slide_fall_out_by_code(painted):
    """Tiles of 112 µm in the middle of each artefact, and a clean one."""
    info, quality = painted
    side = 112 / info.mpp_x
    middles = [(a.x_um / info.mpp_x, a.y_um / info.mpp_y) for a in ARTEFACTS]
    boxes = np.array([[x - side / 2, y - side / 2, side, side] for x, y in middles])
    codes = tile_codes(quality.tile_fractions(boxes)).tolist()
    assert codes[0] == "QC003"
    assert codes[2] == "QC002"
    assert codes[3] == "QC007"
    assert {problem.code for problem in quality.codes} >= {"QC003", "QC007"}
