"""`python -m benchmarks.reading`: tiles read by metastra, by OpenSlide, and at the decoder's limit.

The slide is made of the real CMU-1 region, mirrored to 20 000 × 20 000 px: JPEG tiles of 256 px,
quality 80, 4:2:0, no smaller level.  Each pair is a process of its own; the two sides take batches
of 64 tiles in turn (A B A B), so that what else the machine does falls on both, and the medians of
the CPU time are compared.  Threads are compared by elapsed time, and only batches count in which
the kernel kept no thread waiting for a processor: else other work would tell about itself.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.cases import REPOSITORY
from benchmarks.commands import child_environment
from benchmarks.machine import load

__all__ = ["PAIRS", "main", "make_slide"]

_SIDE, _TILE, _BATCH = 20_000, 256, 64
_QUICK_SIDE = 5_000
_FEW_ROWS = 1 << 23
"""OpenSlide's cache where it would hold the whole slide: some rows of tiles, as on a large one."""
_WAITED = 0.02
"""Share of a batch's time that its threads may have waited for a processor (elapsed times only)."""
_MOST_TURNS = 2
"""Times as many batches are read, at most, until enough of them were left alone; else no ratio."""
_ELAPSED = 4
"""Times as many batches where elapsed times are compared: they scatter more."""


def make_slide(path: Path, source: Path, side: int = _SIDE) -> None:
    """Write the slide that is measured.

    Parameters
    ----------
    path : Path
        A TIFF file.
    source : Path
        CMU-1-Small-Region.svs.
    side : int
        Of the slide, in pixels.
    """
    import numpy as np
    import tifffile

    from metastra.slides.opening import open_slide

    with open_slide(source) as slide:
        tissue = slide.read_region(0, 0, 0, 2220, 2967)
    twice = np.concatenate([tissue, tissue[:, ::-1]], axis=1)
    twice = np.concatenate([twice, twice[::-1]], axis=0)
    tifffile.imwrite(
        path,
        np.tile(twice, (4, 5, 1))[:side, :side],
        tile=(_TILE, _TILE),
        compression="jpeg",
        compressionargs={"level": 80},
        photometric="ycbcr",
        subsampling=(2, 2),
        resolution=(2e4, 2e4),
        resolutionunit="CENTIMETER",
        metadata=None,
    )


def _ours(
    path: Path, *, mpp: float = 0.5, shift: int = 0, threads: int = 1, direct: bool = True
) -> Iterator[int]:
    """Read the tiles of a grid again and again, batch by batch."""
    from metastra.slides.openslide_reader import OpenSlideReader
    from metastra.tiles.grid import TileGrid, TileSpec, make_grid
    from metastra.tiles.reading import read_tiles

    with OpenSlideReader(path, mpp=mpp) as slide:
        if direct and not slide.reading(0).direct:
            raise SystemExit(f"{path.name} is not read directly: {slide.reading(0).reason}")
        whole = make_grid(slide.info, TileSpec(0.5, _TILE))
        inside = whole.coords[(whole.coords.max(axis=0) > whole.coords).all(axis=1)] + shift
        grid = TileGrid(spec=whole.spec, coords=inside, side_px0=whole.side_px0, mpp=whole.mpp)
        while True:
            for _, tiles in read_tiles(slide, grid, _BATCH, threads=threads, reuse=True):
                yield len(tiles)


def _corners(path: Path, step: int, shift: int) -> Iterator[tuple[int, int]]:
    import openslide

    with openslide.OpenSlide(path) as slide:
        width, height = slide.dimensions
    columns, rows = (width - shift) // step, (height - shift) // step
    return cycle((x * step + shift, y * step + shift) for y in range(rows) for x in range(columns))


def _openslide(
    path: Path, *, side: int = _TILE, shift: int = 0, cache_bytes: int | None = None
) -> Iterator[int]:
    """Read the same tiles as peers do; what is larger than a tile is averaged, compiled."""
    import numpy as np
    import openslide

    from metastra.slides.box_kernel import box_means

    corners = _corners(path, side, shift)
    out = np.empty((_BATCH, _TILE, _TILE, 3), dtype=np.uint8)
    with openslide.OpenSlide(path) as slide:
        if cache_bytes is not None:
            slide.set_cache(openslide.OpenSlideCache(cache_bytes))
        while True:
            for number, corner in enumerate(islice(corners, _BATCH)):
                region = np.asarray(slide.read_region(corner, 0, (side, side)).convert("RGB"))
                if side == _TILE:
                    out[number] = region
                else:
                    box_means(region, side // _TILE, out[number])
            yield _BATCH


def _jpegs(path: Path) -> list[bytes]:
    """Give the bytes of the slide's first tiles, made whole."""
    from metastra.slides.openslide_reader import OpenSlideReader
    from metastra.slides.tiff_codec import splice

    with OpenSlideReader(path, mpp=0.5) as slide, path.open("rb") as stream:
        level = slide.direct_level(0)
        if level is None:
            raise SystemExit(slide.reading(0).reason)
        plane, jpegs = level.plane, []
        for x, y in islice(_corners(path, _TILE, 0), 3000):
            number = y // _TILE * plane.across + x // _TILE
            stream.seek(plane.offsets[number])
            data = stream.read(plane.counts[number])
            jpegs.append(splice(data, plane.coding.tables, plane.coding.photometric))
    return jpegs


def _limit(path: Path, *, threads: int = 1) -> Iterator[int]:
    """Decode the same bytes, in memory, into one array a thread: nothing can be faster."""
    import numpy as np
    import simplejpeg

    from metastra.slides.crew import Crew

    endless = cycle(_jpegs(path))
    rooms = [np.empty((_TILE, _TILE, 3), dtype=np.uint8) for _ in range(threads)]

    def decode(thread: int) -> None:
        for jpeg in batch[thread::threads]:
            simplejpeg.decode_jpeg(jpeg, colorspace="RGB", buffer=rooms[thread])

    with Crew(threads) as crew:
        while True:
            batch = list(islice(endless, _BATCH))
            crew.run(decode, range(threads))
            yield _BATCH


class _Pair(NamedTuple):
    title: str
    slide: str
    ours: Callable[[Path], Iterator[int]]
    theirs: Callable[[Path], Iterator[int]]
    bar: float | None
    clock: Callable[[], float] = time.process_time


PAIRS: dict[str, _Pair] = {
    "aligned": _Pair("on the file's tiles, against OpenSlide", "made", _ours, _openslide, 5.0),
    "limit": _Pair("on the file's tiles, against libjpeg-turbo alone", "made", _ours, _limit, 0.9),
    "between": _Pair(
        "100 px beside the file's tiles, against OpenSlide",
        "made",
        lambda path: _ours(path, shift=100),
        lambda path: _openslide(path, shift=100),
        4.0,
    ),
    "half": _Pair(
        "512 px as 256, no such level, against OpenSlide and a box",
        "made",
        lambda path: _ours(path, mpp=0.25),
        lambda path: _openslide(path, side=512),
        7.0,
    ),
    "svs": _Pair(
        "Aperio's RGB tiles of 240 px (CMU-1 itself), against OpenSlide",
        "real",
        _ours,
        lambda path: _openslide(path, cache_bytes=_FEW_ROWS),
        3.0,
    ),
    "threads-limit": _Pair(
        "libjpeg-turbo alone: two threads against one, elapsed time",
        "made",
        lambda path: _limit(path, threads=2),
        _limit,
        None,
        time.perf_counter,
    ),
    "threads-aligned": _Pair(
        "on the file's tiles: two threads against one, elapsed time",
        "made",
        lambda path: _ours(path, threads=2),
        _ours,
        1.8,
        time.perf_counter,
    ),
    "threads": _Pair(
        "100 px beside them: two threads against one, elapsed time",
        "made",
        lambda path: _ours(path, shift=100, threads=2),
        lambda path: _ours(path, shift=100),
        1.8,
        time.perf_counter,
    ),
}
"""Title, slide, both sides, the least ratio that is wanted (None: for comparison), the clock."""


def _kept_waiting() -> float:
    """Give the seconds that this process's threads were ready and had no processor (Linux)."""
    tasks = Path("/proc/self/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[1]) for task in tasks) / 1e9


def _measure(name: str, path: Path, rounds: int) -> dict[str, Any]:
    """Take batches in turn; elapsed times only where no thread was kept from its processor."""
    pair = PAIRS[name]
    is_elapsed = pair.clock is time.perf_counter
    rounds *= _ELAPSED if is_elapsed else 1
    sides = [pair.ours(path), pair.theirs(path)]
    spent: list[list[float]] = [[], []]
    most = 2 + rounds * (_MOST_TURNS if is_elapsed else 1)
    for number in range(most):
        for side, seconds in zip(sides, spent, strict=True):
            waited = _kept_waiting() if is_elapsed else 0.0
            begun = pair.clock()
            done = next(side)
            took = pair.clock() - begun
            waited = _kept_waiting() - waited if is_elapsed else 0.0
            # the first ones open the slide and warm up
            if number >= 2 and waited <= _WAITED * took:
                seconds.append(took / done)
        if min(map(len, spent)) >= rounds:
            break
    kept = min(map(len, spent))
    if kept < rounds // 2:
        return {"ratio": None, "batches": kept, "of": number - 1}
    ours, theirs = (statistics.median(seconds) for seconds in spent)
    best = min(spent[1]) / min(spent[0])
    return {
        "ours": 1 / ours,
        "theirs": 1 / theirs,
        "ratio": theirs / ours,
        "best": best,
        "batches": kept,
        "of": number - 1,
    }


def _child(*arguments: str) -> str:
    """Run this module in a process of its own and give what it printed."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.reading", *arguments],
        cwd=REPOSITORY,
        env=child_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return run.stdout


def _table(slides: dict[str, Path], rounds: int) -> str:
    columns = ("metastra/s", "other/s", "ratio", "of the best", "wanted", "batches", "load")
    lines = [
        f"| tiles of 256 px | {' | '.join(columns)} |",
        f"| --- |{' --: |' * len(columns)}",
    ]
    for name, pair in PAIRS.items():
        print(name, file=sys.stderr, flush=True)
        before = load()
        path = str(slides[pair.slide])
        said = json.loads(_child("--pair", name, "--slide", path, "--rounds", str(rounds)))
        cells = ["", "", "", ""]
        if said["ratio"] is not None:
            cells = [f"{said[side]:,.0f}".replace(",", " ") for side in ("ours", "theirs")]
            cells += [f"{said['ratio']:.2f}", f"{said['best']:.2f}"]
        bar = "" if pair.bar is None else f"{pair.bar:g}"
        cells += [bar, f"{said['batches']} of {said['of']}", str(before)]
        lines.append(f"| {pair.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Measure and print.

    Parameters
    ----------
    arguments : list of str
        From the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small slide, two batches")
    parser.add_argument("--pair", choices=list(PAIRS), help="one pair, in this process")
    parser.add_argument("--make", type=Path, metavar="SVS", help="only write the slide")
    parser.add_argument("--slide", type=Path, help="the slide to write or to read")
    parser.add_argument("--rounds", type=int, default=30, help="batches of each side")
    options = parser.parse_args(arguments)
    if options.make:
        make_slide(options.slide, options.make)
        return
    if options.pair:
        print(json.dumps(_measure(options.pair, options.slide, options.rounds)))
        return
    shared = Path(child_environment()["METASTRA_SHARED"])
    real = shared / "data" / "wsi" / "CMU-1-Small-Region.svs"
    with tempfile.TemporaryDirectory() as folder:
        made = options.slide or Path(folder) / "made.tif"
        if options.slide is None:
            make_slide(made, real, _QUICK_SIDE if options.quick else _SIDE)
        rounds = 2 if options.quick else options.rounds
        print(_table({"made": made, "real": real}, rounds))


if __name__ == "__main__":
    main(sys.argv[1:])
