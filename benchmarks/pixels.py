"""`python -m benchmarks.pixels`: tiles per second and peak memory, stage by stage, on one core.

The slide is made of the real CMU-1 region, mirrored to 10 240 × 10 240 px: 256-px JPEG tiles of
quality 80, four levels.  Each stage runs in a process of its own, so its peak memory is its own.
Another stage is a function in `STAGES`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.cases import REPOSITORY
from benchmarks.commands import child_environment

__all__ = ["STAGES", "main", "make_slide"]

_SIDE = 10_240


def make_slide(path: Path, source: Path) -> None:
    """Write the slide that is measured.

    Parameters
    ----------
    path : Path
        A TIFF file.
    source : Path
        CMU-1-Small-Region.svs.
    """
    import numpy as np
    import tifffile

    from metastra.slides.opening import open_slide

    with open_slide(source) as slide:
        tissue = slide.read_region(0, 0, 0, 2220, 2967)
    twice = np.concatenate([tissue, tissue[:, ::-1]], axis=1)
    twice = np.concatenate([twice, twice[::-1]], axis=0)
    pixels = np.tile(twice, (2, 3, 1))[:_SIDE, :_SIDE]
    with tifffile.TiffWriter(path) as writer:
        for level in range(4):
            writer.write(
                pixels,
                tile=(256, 256),
                compression="jpeg",
                compressionargs={"level": 80},
                photometric="ycbcr",
                subsampling=(2, 2),
                resolution=(2e4 / 2**level, 2e4 / 2**level),
                resolutionunit="CENTIMETER",
                subfiletype=1 if level else 0,
                metadata=None,
            )
            half = pixels.shape[0] // 2
            pixels = pixels.reshape(half, 2, half, 2, 3).mean(axis=(1, 3)).astype(np.uint8)


def _pass_over(path: Path) -> Iterator[int]:
    from metastra.slides.opening import open_slide

    while True:
        with open_slide(path):
            yield 1


def _compare(path: Path) -> Iterator[int]:
    """Open a slide and choose by what a level is read: what a slide costs before its first tile."""
    from metastra.slides.openslide_reader import OpenSlideReader

    while True:
        with OpenSlideReader(path, mpp=0.25) as slide:
            slide.reading(1)
        yield 1


def _digest(path: Path) -> Iterator[int]:
    from metastra.slides.identity import slide_digest

    while True:
        slide_digest(path)
        yield round(path.stat().st_size / 1e6)


def _thumbnail(path: Path) -> Iterator[int]:
    from metastra.slides.opening import open_slide
    from metastra.slides.scaled import thumbnail

    while True:
        with open_slide(path) as slide:
            thumbnail(slide, 2048)
        yield 1


def _tiles(mpp: float, *, direct: bool = True) -> Callable[[Path], Iterator[int]]:
    def read(path: Path) -> Iterator[int]:
        from metastra.slides.openslide_reader import OpenSlideReader
        from metastra.tiles.grid import TileSpec, make_grid
        from metastra.tiles.reading import read_tiles

        with OpenSlideReader(path, mpp=mpp) as slide:
            if not direct:
                slide.direct_level = lambda *_: None
                slide._levels.level = lambda *_: None  # noqa: SLF001 - no option is worth this
            # all tiles, pass after pass: what a pass has used up is decoded anew in the next
            grid = make_grid(slide.info, TileSpec())
            while True:
                for _, tiles in read_tiles(slide, grid, 32):
                    yield len(tiles)

    return read


STAGES: dict[str, tuple[str, str, Callable[[Path], Iterator[int]]]] = {
    "open": ("open and close", "slides", _pass_over),
    "compare": ("open, compare a level with OpenSlide, close", "slides", _compare),
    "digest": ("digest of every byte", "MB", _digest),
    "thumbnail": ("thumbnail of 2048 px", "slides", _thumbnail),
    "tiles-050": ("tiles, slide at 0.5 µm/px", "tiles", _tiles(0.5)),
    "tiles-050-openslide": (
        "the same through OpenSlide alone",
        "tiles",
        _tiles(0.5, direct=False),
    ),
    "tiles-0499": ("tiles, slide at 0.499 µm/px", "tiles", _tiles(0.499)),
    "tiles-025": ("tiles, slide at 0.25 µm/px (level 1)", "tiles", _tiles(0.25)),
    "tiles-023": ("tiles, slide at 0.2282 µm/px (averaged from level 1)", "tiles", _tiles(0.2282)),
    "tiles-030": ("tiles, slide at 0.3 µm/px (averaged from level 0)", "tiles", _tiles(0.3)),
    "tiles-030-openslide": (
        "the same through OpenSlide alone",
        "tiles",
        _tiles(0.3, direct=False),
    ),
}
"""Title, unit, and an endless sequence of amounts that were done."""


def _measure(name: str, path: Path, seconds: float) -> dict[str, Any]:
    """Run one stage for some CPU seconds, after one warming step."""
    steps = STAGES[name][2](path)
    next(steps)
    done, begun = 0, time.process_time()
    while time.process_time() - begun < seconds:
        done += next(steps)
    spent = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rate": done / spent, "peak_mib": peak}


def _child(*arguments: str) -> str:
    """Run this module in a process of its own and give what it printed."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.pixels", *arguments],
        cwd=REPOSITORY,
        env=child_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return run.stdout


def _table(path: Path, seconds: float) -> str:
    lines = ["| stage | per CPU second | peak memory |", "| --- | --: | --: |"]
    for name, (title, unit, _) in STAGES.items():
        print(name, file=sys.stderr, flush=True)
        said = json.loads(_child("--stage", name, "--slide", str(path), "--seconds", str(seconds)))
        rate = f"{said['rate']:,.0f}".replace(",", " ")
        lines.append(f"| {title} | {rate} {unit} | {said['peak_mib']:.0f} MiB |")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Measure and print.

    Parameters
    ----------
    arguments : list of str
        From the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pixels", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth second for each stage")
    parser.add_argument("--stage", choices=list(STAGES), help="one stage, in this process")
    parser.add_argument("--make", type=Path, metavar="SVS", help="only write the slide")
    parser.add_argument("--slide", type=Path, help="another slide than the one that is made")
    parser.add_argument("--seconds", type=float, default=3.0, help="CPU seconds of a stage")
    options = parser.parse_args(arguments)
    if options.make:
        make_slide(options.slide, options.make)
        return
    if options.stage:
        print(json.dumps(_measure(options.stage, options.slide, options.seconds)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = options.slide or Path(folder) / "made.tif"
        if options.slide is None:
            shared = Path(child_environment()["METASTRA_SHARED"])
            source = shared / "data" / "wsi" / "CMU-1-Small-Region.svs"
            # in a child: a process inherits the peak memory of the one that starts it
            _child("--make", str(source), "--slide", str(path))
        print(_table(path, 0.05 if options.quick else options.seconds))


if __name__ == "__main__":
    main(sys.argv[1:])
