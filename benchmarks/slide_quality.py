"""Quality of slides: time and memory, doses and responses, agreement with labels.

``python -m benchmarks.slide_quality`` prints three tables; the second and third need the folder of
real data (``METASTRA_SHARED``).
"""

from __future__ import annotations

import csv
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from metastra.slides.opening import open_slide
from metastra.stats.proportions import wilson_interval
from metastra.tissue.colour import glass_level
from metastra.tissue.light import Light
from metastra.tissue.marks import bubble_map, pen_map
from metastra.tissue.mask import tissue_of
from metastra.tissue.quality import assess
from metastra.tissue.rules import tile_codes
from metastra.tissue.sharpness import BLURRED_BELOW, detail_ratio
from metastra.tissue.thickness import fold_map, pooled_reference

SHARED = Path(os.environ.get("METASTRA_SHARED", "../shared")) / "data"
LABELS = Path(__file__).parents[1] / "tests" / "tissue" / "orion_labels.csv"
ORION_MPP = 0.65


def main() -> None:
    """Print the tables."""
    print_time()
    if SHARED.is_dir():
        print_doses()
        print_agreement()


def print_time() -> None:
    """A pyramid of 20 000 x 20 000 px at 0.5 µm per pixel, half of it tissue."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.tif"
        write_pyramid(path)
        with open_slide(path) as slide:
            assess(slide)
            before = time.process_time()
            quality = assess(slide)
            cpu_s = time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("| slide | tissue, mm² | fields for focus | CPU, s | peak memory, MB |")
    print("|---|---|---|---|---|")
    fields = 0 if quality.focus is None else len(quality.focus.boxes_px0)
    area = quality.measures["tissue_mm2"]
    print(f"| 20 000 × 20 000 px, JPEG | {area:.0f} | {fields} | {cpu_s:.1f} | {peak:.0f} |\n")


def write_pyramid(path: Path) -> None:
    """Write three levels, a strip at a time, so that memory stays small."""
    rng = np.random.default_rng(0)
    density = np.ones((1024, 1024, 1)) * np.array((0.07, 0.45, 0.12))
    density *= 1 + 0.15 * rng.normal(size=(1024, 1024, 1))
    y, x = np.mgrid[:13, :13] - 6
    disc = (np.hypot(y, x) <= 6)[..., None] * np.array((0.45, 0.55, 0.22))
    for row, column in rng.integers(0, 1011, (1000, 2)):
        density[row : row + 13, column : column + 13] += disc
    tissue = (242 * 10.0**-density).astype(np.uint8)

    def tiles(step: int) -> Iterator[NDArray[np.uint8]]:
        size = 20_000 // step
        small = np.ascontiguousarray(tissue[::step, ::step])
        for top in range(0, size, 256):
            for left in range(0, size, 256):
                inside = all(3_000 <= at * step < 16_800 for at in (top, left))
                tile = np.full((256, 256, 3), 242, np.uint8)
                if inside:
                    rows = (top + np.arange(256)) % small.shape[0]
                    columns = (left + np.arange(256)) % small.shape[1]
                    tile = small[np.ix_(rows, columns)]
                yield tile

    with tifffile.TiffWriter(path) as writer:
        for step in (1, 4, 16):
            writer.write(
                tiles(step),
                shape=(20_000 // step, 20_000 // step, 3),
                dtype=np.uint8,
                tile=(256, 256),
                compression="jpeg",
                photometric="rgb",
                resolution=(20_000 / step, 20_000 / step),
                resolutionunit="CENTIMETER",
                subfiletype=int(step > 1),
                metadata=None,
            )


def clean_tiles() -> Iterator[tuple[NDArray[np.uint8], float]]:
    """Give real tiles that were never labelled for artefacts, with their µm per pixel."""
    folder = SHARED / "tiles"
    for path in sorted((folder / "glas_colon_glands").glob("*.png")):
        if "mask" not in path.name:
            yield np.asarray(Image.open(path).convert("RGB"))[:256, :256], 0.62
    for path in sorted((folder / "nct_crc_he").glob("*.tif")):
        yield np.asarray(Image.open(path).convert("RGB")), 0.5
    for path in sorted((folder / "monuseg_256").glob("img_*.png")):
        yield np.asarray(Image.open(path).convert("RGB"))[3:-3, 3:-3], 0.5
    for path in sorted((folder / "polito_crc_5class").rglob("*.jp*"))[::8]:
        yield np.asarray(Image.open(path).convert("RGB")), 0.5


def print_doses() -> None:
    """Blur of known width on real tiles: the share called out of focus, and the ratio."""
    tiles = list(clean_tiles())
    rng = np.random.default_rng(0)
    print("| Gaussian blur, µm | detail ratio, median (1 % to 99 %) | called out of focus |")
    print("|---|---|---|")
    for sigma_um in (0.0, 0.5, 0.75, 1.0, 1.5, 2.0):
        ratios = []
        for rgb, mpp in tiles:
            glass = glass_level(rgb)
            tissue = tissue_of(Light.of(rgb, mpp), np.zeros(rgb.shape[:2], bool))
            if sigma_um:
                sides = (sigma_um / mpp, sigma_um / mpp, 0)
                soft = ndimage.gaussian_filter(rgb.astype(float), sides)
                rgb = np.clip(soft + rng.normal(0, 1.5, soft.shape), 0, 255).astype(np.uint8)
            ratios.append(detail_ratio(rgb, tissue, mpp=mpp, glass=glass)[0, 0])
        known = np.array(ratios)[np.isfinite(ratios)]
        low, middle, high = np.percentile(known, (1, 50, 99))
        called = int((known < BLURRED_BELOW).sum())
        print(
            f"| {sigma_um:g} | {middle:.2f} ({low:.2f} to {high:.2f}) | {called} of {known.size} |"
        )
    print()


def print_agreement() -> None:
    """Labels given by eye before anything was measured, against the rules for tiles."""
    with LABELS.open(encoding="utf-8", newline="") as stream:
        labels = list(csv.DictReader(stream))
    folder = SHARED / "tiles" / "orion_crc_he"
    called: dict[str, dict[str, bool]] = {}
    pictures = {}
    for row in labels:
        name = row["file"]
        with open_slide(folder / name, mpp=ORION_MPP) as slide:
            quality = assess(slide)
            box = np.array([[0.0, 0.0, slide.info.width_px, slide.info.height_px]])
        code = str(tile_codes(quality.tile_fractions(box))[0])
        called[name] = {
            "blank": code == "QC001",
            "dark": code == "QC007",
            "blur": code == "QC002",
            "ink": quality.fractions["pen"] > 0.002,
            "bubble": quality.fractions["bubble"] > 0.005,
        }
        light = Light.of(quality.thumbnail, ORION_MPP)
        pictures[name] = light, tissue_of(light, pen_map(light) | bubble_map(light))
    for patient in ("C01", "C03", "C05"):
        mine = [name for name in pictures if patient in name]
        reference = pooled_reference([pictures[name] for name in mine])
        for name in mine:
            light, tissue = pictures[name]
            share = fold_map(light, tissue, reference).sum() / max(tissue.sum(), 1)
            called[name]["fold"] = bool(share > 0.02)
    print("| artefact | sensitivity (95 % Wilson) | specificity (95 % Wilson) | undecided by eye |")
    print("|---|---|---|---|")
    for artefact in ("blank", "dark", "blur", "fold", "ink", "bubble"):
        cells = []
        for truth in ("1", "0"):
            mine = [row["file"] for row in labels if row[artefact] == truth]
            right = sum(called[name][artefact] == (truth == "1") for name in mine)
            cells.append(rate(right, len(mine)))
        doubtful = sum(row[artefact] == "?" for row in labels)
        print(f"| {artefact} | {cells[0]} | {cells[1]} | {doubtful} |")


def rate(right: int, of: int) -> str:
    """Write a proportion with its interval."""
    if not of:
        return "no case"
    low, high = wilson_interval(right, of)
    return f"{right} of {of} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
