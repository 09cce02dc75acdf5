"""`python -m benchmarks.small_slides`: CPU seconds for small painted slides, as a demo has them.

Twelve slides of 0.25 to 2 mm² from three scanners; `qc`, then `extract` into the same folder, then
`extract` again, all in one process after a first round that compiles.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from metastra.executor import Serial
from metastra.pipeline.extract import ExtractRequest, extract
from metastra.pipeline.qc import QcRequest, run_qc
from metastra.synthetic.painting.scanners import SCANNERS, get_scanner
from metastra.synthetic.painting.scene import Recipe
from metastra.synthetic.painting.slide_file import paint_slide

_SIDES_UM = (500.0, 700.0, 1000.0, 1400.0)
_SLIDES = 12


def _cpu_s(call: Callable[[], object]) -> tuple[float, object]:
    begun = time.process_time()
    result = call()
    return time.process_time() - begun, result


def _paint(folder: Path, count: int) -> list[tuple[str, float, float]]:
    """Scanner, area in mm² and CPU seconds of each slide."""
    names, painted = list(SCANNERS), []
    for number in range(count):
        scanner, side_um = names[number % len(names)], _SIDES_UM[number % len(_SIDES_UM)]
        recipe = Recipe(seed=number, width_um=side_um, height_um=side_um)
        path = folder / f"s{number:02d}.tiff"
        seconds, _ = _cpu_s(lambda p=path, r=recipe, s=scanner: paint_slide(p, r, get_scanner(s)))
        painted.append((scanner, (side_um / 1000.0) ** 2, seconds))
    return painted


def _chain(slides: tuple[Path, ...], out: Path) -> tuple[float, float, float, int]:
    shutil.rmtree(out, ignore_errors=True)
    qc_s, _ = _cpu_s(lambda: run_qc(QcRequest(slides=slides, out=out), executor=Serial()))
    request = ExtractRequest(slides=slides, out=out)
    extract_s, summary = _cpu_s(lambda: extract(request, executor=Serial()))
    again_s, _ = _cpu_s(lambda: extract(request, executor=Serial()))
    tiles = sum(fate.outcome.n_tiles for fate in summary.fates)
    return qc_s, extract_s, again_s, tiles


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small_slides", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three slides")
    count = 3 if parser.parse_args().quick else _SLIDES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _paint(folder, count)
        painted = _paint(folder, count)
        slides = tuple(sorted(folder.glob("*.tiff")))
        _chain(slides[:3], folder / "out")
        qc_s, extract_s, again_s, tiles = _chain(slides, folder / "out")
    print("| scanner | painting, CPU s per mm² |\n| --- | --: |")
    for scanner in SCANNERS:
        of = [(area, seconds) for one, area, seconds in painted if one == scanner]
        if of:
            print(f"| {scanner} | {sum(s for _, s in of) / sum(a for a, _ in of):.2f} |")
    print(f"\n{count} slides, {tiles} tiles; CPU seconds a slide:\n")
    print("| | `qc` | `extract` | both | `extract` again |\n| --- | --: | --: | --: | --: |")
    each = [seconds / count for seconds in (qc_s, extract_s, qc_s + extract_s, again_s)]
    print("| now | " + " | ".join(f"{seconds:.2f}" for seconds in each) + " |")


if __name__ == "__main__":
    main()
