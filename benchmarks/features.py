"""Slides to features: tiles a second and memory for each stage.

``OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python -m benchmarks.features --scanner "Pelican 2"`` prints
a Markdown table.
Times are CPU times of one process with one thread, because the machine may be shared.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from metastra.encoders.registry import get_encoder
from metastra.executor import Limits, ProcessPool
from metastra.features.bag import Bag, BagFrame, BagOrigin
from metastra.features.store import FeatureStore, features_recipe
from metastra.features.writing import write_own
from metastra.pipeline.extract import ExtractRequest, extract
from metastra.slides.identity import slide_digest
from metastra.slides.opening import open_slide
from metastra.synthetic.painting.scanners import get_scanner
from metastra.synthetic.painting.scene import Recipe
from metastra.synthetic.painting.slide_file import paint_slide
from metastra.tiles.grid import TileSpec, make_grid
from metastra.tiles.reading import read_tiles
from metastra.tissue.quality import assess
from metastra.tissue.rules import tile_codes


def memory_mb(what: str = "VmHWM") -> float:
    """Highest resident memory since `forget_peak`, or the present one (VmRSS), in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1000
    return float("nan")


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def timed(work: Callable[[], object]) -> tuple[float, float, object]:
    """CPU seconds, peak memory in MB, and what came out."""
    forget_peak()
    begun = time.process_time()
    found = work()
    return time.process_time() - begun, memory_mb(), found


def stages(folder: Path, scanner: str, side_um: float) -> list[str]:
    """Each stage of one painted slide by itself."""
    slide_path = folder / f"{scanner.split(maxsplit=1)[0]}.tiff"
    recipe = Recipe(seed=7, width_um=side_um, height_um=side_um)
    paint_slide(slide_path, recipe, get_scanner(scanner))
    encoder = get_encoder("morphology")
    encoder.encode(np.zeros((1, 224, 224, 3), np.uint8))
    with open_slide(slide_path) as slide:
        assess(slide)
    rows = []
    with open_slide(slide_path) as slide:
        grid = make_grid(slide.info, TileSpec())
        digest_s, digest_mb, _ = timed(lambda: slide_digest(slide_path))
        quality_s, quality_mb, quality = timed(lambda: assess(slide))
        kept = grid.take(tile_codes(quality.tile_fractions(grid.boxes_px0)) == "")
        read_s, read_mb, batches = timed(lambda: [part for _, part in read_tiles(slide, kept, 64)])
        encode_s, encode_mb, blocks = timed(lambda: list(map(encoder.encode, batches)))
        bag = Bag(
            features=np.concatenate(blocks).astype(np.float16),
            coords=kept.coords,
            frame=BagFrame(mpp=grid.mpp),
            origin=BagOrigin(name="painted"),
        )
        store = FeatureStore(folder / "store")
        key = features_recipe(slide_digest="0" * 64, tiling={}, encoder_digest="0" * 64, quality={})
        write_s, write_mb, _ = timed(lambda: store.write(slide_path.stem, key, write_own(bag)))
    info = f"{slide.info.width_px} × {slide.info.height_px} px at {grid.mpp[0]:.3g} µm"
    for name, seconds, memory, per in (
        ("digest of the slide", digest_s, digest_mb, len(grid)),
        ("quality control", quality_s, quality_mb, len(grid)),
        ("reading and scaling tiles", read_s, read_mb, len(kept)),
        ("encoder `morphology`", encode_s, encode_mb, len(kept)),
        ("writing, reading back, syncing", write_s, write_mb, len(kept)),
    ):
        rows.append(
            f"| {info} | {name} | {per} | {seconds:.2f} s | {per / seconds:,.0f} "
            f"| {memory:.0f} MB |"
        )
    pool = ProcessPool(workers=1, limits=Limits(memory_bytes=2_000_000_000))
    request = ExtractRequest(slides=(slide_path,), out=folder / f"out-{slide_path.stem}")
    begun = os.times()
    fate = extract(request, executor=pool).fates[0]
    ended = os.times()
    seconds = ended.children_user + ended.children_system
    seconds -= begun.children_user + begun.children_system
    tiles = fate.outcome.n_tiles
    rows.append(
        f"| {info} | `extract`, whole, start of the process included | {tiles} | {seconds:.2f} s "
        f"| {tiles / seconds:,.0f} | {fate.peak_bytes / 1e6:.0f} MB |"
    )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    parser.add_argument("--scanner", default="Aurora S60")
    parser.add_argument("--quick", action="store_true", help="a small slide")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("| slide | stage | tiles | CPU time | tiles/s and core | peak memory |")
        print("| --- | --- | --: | --: | --: | --: |")
        for row in stages(folder, options.scanner, 900.0 if options.quick else 2400.0):
            print(row, flush=True)


if __name__ == "__main__":
    main()
