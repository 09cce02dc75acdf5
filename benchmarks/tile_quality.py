"""Which tiles fall out, and by which code, on painted slides whose artefacts are known.

``python -m benchmarks.tile_quality`` paints 24 slides (about two minutes) and prints two tables:
the slides that were published first, and slides on which nothing was chosen.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from metastra.slides.opening import open_slide
from metastra.synthetic.draws import Draws
from metastra.synthetic.painting.artefact_draw import draw_artefacts
from metastra.synthetic.painting.classes import ARTEFACT_BITS, ArtefactKind
from metastra.synthetic.painting.painted_truth import read_painted_truth
from metastra.synthetic.painting.scanners import SCANNERS, get_scanner
from metastra.synthetic.painting.scene import Recipe
from metastra.synthetic.painting.slide_file import paint_slide
from metastra.tiles.grid import TileSpec, make_grid
from metastra.tissue.quality import assess
from metastra.tissue.rules import CODES, tile_codes

SEEDS = {"published first": range(402, 410), "fresh": range(701, 717)}
SETS = (
    (ArtefactKind.FOLD, ArtefactKind.BUBBLE, ArtefactKind.BLUR),
    (ArtefactKind.FADING, ArtefactKind.PEN, ArtefactKind.DARK),
)
WIDTH_UM, HEIGHT_UM = 1500.0, 1200.0
HALF = 0.5


def paint(folder: Path, seed: int, kinds: tuple[ArtefactKind, ...]) -> Path:
    """Paint a slide that has one artefact of each of these kinds."""
    path = folder / f"{seed}.tiff"
    drawn = draw_artefacts(
        Draws(seed=seed),
        width_um=WIDTH_UM,
        height_um=HEIGHT_UM,
        shares=dict.fromkeys(kinds, 1.0),
    )
    recipe = Recipe(width_um=WIDTH_UM, height_um=HEIGHT_UM, seed=seed, artefacts=drawn)
    names = tuple(SCANNERS)
    paint_slide(path, recipe, get_scanner(names[seed // 2 % len(names)]))
    return path


def count(path: Path, counts: dict[str, Counter[str]]) -> None:
    """Count the tiles of a slide by what is painted over half of them, and by their code."""
    truth = read_painted_truth(path.with_suffix(".truth.npz"))
    with open_slide(path) as slide:
        quality = assess(slide)
        grid = make_grid(slide.info, TileSpec(target_mpp=0.5, tile_px=224))
        mpp = slide.info.mpp_x
    codes = tile_codes(quality.tile_fractions(grid.boxes_px0))
    boxes = np.round(grid.boxes_px0 * mpp / truth.cell_um).astype(int)
    for (x, y, width, height), code in zip(boxes.tolist(), codes.tolist(), strict=True):
        inside = truth.artefacts[y : y + height, x : x + width]
        shares = {kind: np.mean((inside & bit) > 0) for kind, bit in ARTEFACT_BITS.items()}
        most = max(shares, key=lambda kind: shares[kind])
        tissue = np.mean(truth.classes[y : y + height, x : x + width] > 0)
        if tissue < HALF and most is not ArtefactKind.DARK:
            continue
        if shares[most] >= HALF:
            counts[most.value][code] += 1
        elif shares[most] == 0:
            counts["nothing"][code] += 1


def main() -> None:
    """Paint, assess, print."""
    for told, seeds in SEEDS.items():
        counts: dict[str, Counter[str]] = {name: Counter() for name in [*CODES, "nothing"]}
        with tempfile.TemporaryDirectory() as folder:
            for seed in seeds:
                count(paint(Path(folder), seed, SETS[seed % len(SETS)]), counts)
        print(f"Seeds {seeds[0]} to {seeds[-1]}, {told}:\n")
        print_counts(counts)


def print_counts(counts: dict[str, Counter[str]]) -> None:
    """Print the tiles of each artefact: how many, how many kept, and the codes of the others."""
    print("| painted over half of the tile | tiles | kept | left out, by code |")
    print("|---|---|---|---|")
    for name, found in counts.items():
        if found:
            out = ", ".join(f"{n} {code}" for code, n in sorted(found.items()) if code)
            print(f"| {name} | {found.total()} | {found['']} | {out or '–'} |")
    print()


if __name__ == "__main__":
    sys.exit(main())
