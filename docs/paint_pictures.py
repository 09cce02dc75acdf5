"""Paint the pictures of docs/explanation/painted-slides.md: ``python docs/paint_pictures.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from metastra.synthetic.painting.artefacts import Artefact
from metastra.synthetic.painting.classes import ArtefactKind, TissueClass
from metastra.synthetic.painting.composition import Composition, Surroundings
from metastra.synthetic.painting.painter import Box, paint_region, slide_size
from metastra.synthetic.painting.scanners import SCANNERS, Scanner
from metastra.synthetic.painting.scene import Recipe, Scene, make_scene

IMAGES = Path(__file__).parent / "images"
COLOURS = {
    TissueClass.GLASS: (255, 255, 255),
    TissueClass.TUMOUR: (88, 60, 150),
    TissueClass.STROMA: (244, 190, 205),
    TissueClass.LYMPHOCYTES: (30, 40, 110),
    TissueClass.NECROSIS: (190, 90, 60),
    TissueClass.MUCUS: (170, 210, 235),
    TissueClass.MUSCLE: (205, 85, 120),
    TissueClass.FAT: (250, 235, 170),
    TissueClass.NORMAL: (95, 160, 115),
    TissueClass.LUMEN: (225, 225, 225),
}


def whole(scene: Scene, scanner: Scanner, mpp: float) -> Image.Image:
    """The whole slide at a coarser resolution."""
    width, height = slide_size(scene, scanner)
    rgb = paint_region(scene, scanner, Box(x_px0=0, y_px0=0, width_px0=width, height_px0=height))
    size = (round(width * scanner.mpp / mpp), round(height * scanner.mpp / mpp))
    return Image.fromarray(rgb).resize(size, Image.Resampling.BOX)


def piece(scene: Scene, scanner: Scanner, x_um: float, y_um: float, side_px: int) -> Image.Image:
    """A square of pixels as the scanner has them."""
    box = Box(
        x_px0=round(x_um / scanner.mpp),
        y_px0=round(y_um / scanner.mpp),
        width_px0=side_px,
        height_px0=side_px,
    )
    return Image.fromarray(paint_region(scene, scanner, box))


def beside(images: list[Image.Image], columns: int, gap: int = 8) -> Image.Image:
    """Put pictures of one size into rows."""
    width, height = images[0].size
    rows = -(-len(images) // columns)
    size = (columns * (width + gap) - gap, rows * (height + gap) - gap)
    sheet = Image.new("RGB", size, "white")
    for k, image in enumerate(images):
        sheet.paste(image, ((k % columns) * (width + gap), (k // columns) * (height + gap)))
    return sheet


def main() -> None:
    """Write all pictures."""
    recipe = Recipe(
        width_um=2000.0,
        height_um=1500.0,
        composition=Composition(lymphocytes=0.10, necrosis=0.06, budding=8),
        surroundings=Surroundings(mucosa=0.13, muscle=0.09, fat=0.07),
        seed=4,
    )
    scene = make_scene(recipe)
    orbit = SCANNERS["Orbit 450"]
    slide = whole(scene, orbit, 2.0)
    colours = np.zeros((max(TissueClass) + 1, 3), dtype=np.uint8)
    for tissue, colour in COLOURS.items():
        colours[tissue] = colour
    truth = Image.new("RGB", slide.size, "white")
    truth.paste(Image.fromarray(colours[scene.layout.classes]))
    beside([slide, truth], 1).save(IMAGES / "painted-slide.jpg", quality=66)
    places = [(820.0, 520.0), (1240.0, 820.0), (240.0, 500.0), (1550.0, 520.0)]
    four = [SCANNERS[name] for name in ("Aurora S60", "Falter 3D", "Pelican 2", "Orbit 450")]
    views = [
        piece(scene, scanner, x, y, round(112.0 / scanner.mpp)).resize(
            (300, 300), Image.Resampling.BICUBIC
        )
        for scanner in four
        for x, y in places
    ]
    beside(views, 4).save(IMAGES / "painted-scanners.jpg", quality=80)
    kinds = list(ArtefactKind)
    spoiled = []
    for kind in kinds:
        long, short = (420.0, 60.0) if kind in ("fold", "pen") else (360.0, 280.0)
        strength = {"blur": 4.0, "fading": 0.65}.get(kind, 0.9)
        artefact = Artefact(
            kind=kind, x_um=500.0, y_um=400.0, long_um=long, short_um=short, turn=0.5,
            strength=strength,
        )  # fmt: skip
        small = Recipe(width_um=1000.0, height_um=800.0, seed=9, artefacts=(artefact,))
        spoiled.append(whole(make_scene(small), orbit, 3.0))
    beside(
        [whole(make_scene(Recipe(width_um=1000.0, height_um=800.0, seed=9)), orbit, 3.0), *spoiled],
        4,
    ).save(IMAGES / "painted-artefacts.jpg", quality=82)


if __name__ == "__main__":
    main()
