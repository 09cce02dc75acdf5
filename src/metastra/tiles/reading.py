"""The pixels of a grid's tiles, batch by batch.

Each tile is read from the best level and averaged to the target scale; its pixels do not depend on
which other tiles are read, how they are batched, or how many threads read them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from metastra.slides.crew import Crew
from metastra.slides.direct_level import DirectSlide
from metastra.slides.scaled import best_level
from metastra.slides.slide import Slide
from metastra.tiles.direct import GridReader
from metastra.tiles.grid import TileGrid

__all__ = ["read_tiles", "reading_of"]

Pixels = NDArray[np.uint8]
Batch = tuple[slice, Pixels]


def read_tiles(
    slide: Slide,
    grid: TileGrid,
    batch: int,
    *,
    threads: int = 1,
    ahead: int = 0,
    reuse: bool = False,
) -> Generator[tuple[slice, NDArray[np.uint8]], None, None]:
    """Read the tiles of a grid in order.

    Memory is bounded by the batch: ``(ahead + 1) × batch × tile_px² × 3`` bytes, one tile's source
    for each thread, and the decoded tiles of the file that are kept
    (`metastra.slides.tiff_pieces.CACHE_BYTES`).

    Parameters
    ----------
    slide : Slide
        Open; the one the grid was made for.  Nobody else uses it meanwhile: close the generator
        before the slide where it is not gone through to its end.
    grid : TileGrid
        Which tiles.
    batch : int
        Most tiles at once.
    threads : int
        How many read.
    ahead : int
        Batches that are read in the background while the caller works on one; 0 reads each when it
        is asked for.
    reuse : bool
        Whether the memory of a batch may be used again when the next one is asked for, which saves
        a copy: what is to be kept is then copied by the caller.

    Yields
    ------
    slice
        Which of the grid's tiles these are.
    ndarray of uint8, shape (b, tile_px, tile_px, 3)
        Their pixels, RGB; a new array each time, unless `reuse` says otherwise.

    Raises
    ------
    SlideError
        SL005 at the first tile that cannot be decoded.
    ValueError
        If `batch` or `threads` is not above 0, or `ahead` is below it.
    """
    if batch < 1 or ahead < 0:
        raise ValueError(f"a batch has at least 1 tile, not {batch}, and none is {ahead} ahead")
    if not len(grid):
        return
    with Crew(threads) as crew:
        reader = GridReader(slide, grid)
        side, most = grid.spec.tile_px, min(batch, len(grid))
        memory = deque(
            np.empty((most, side, side, 3), dtype=np.uint8)
            for _ in range(min(ahead, -(-len(grid) // most) - 1) + 1)
        )

        def read(start: int, room: Pixels) -> Batch:
            part = slice(start, min(start + batch, len(grid)))
            tiles = room[: part.stop - part.start]
            reader.fill(part, tiles, crew)
            return part, tiles

        starts = range(0, len(grid), batch)
        batches = (read(start, memory[0]) for start in starts)
        with closing(_in_background(read, starts, memory) if ahead else batches) as found:
            for part, tiles in found:
                yield part, tiles if reuse else tiles.copy()


def reading_of(slide: Slide, grid: TileGrid) -> str:
    """Say by what the tiles of a grid are read, and why.

    Parameters
    ----------
    slide : Slide
        Open.
    grid : TileGrid
        Which tiles.

    Returns
    -------
    str
        For instance ``"level 0: directly; 4 tiles equal to OpenSlide's to the bit"``.
    """
    level = best_level(slide.info, min(grid.side_px0) / grid.spec.tile_px)
    if not isinstance(slide, DirectSlide):
        return f"level {level}: by the reader {slide.info.reader!r}"
    told = slide.reading(level)
    return f"level {level}: {'directly' if told.direct else 'by OpenSlide'}; {told.reason}"


def _in_background(
    read: Callable[[int, Pixels], Batch], starts: Iterable[int], memory: deque[Pixels]
) -> Generator[Batch, None, None]:
    """Let a thread read into the memory that the caller does not hold."""
    waiting: deque[tuple[Future[Batch], Pixels]] = deque()
    left = iter(starts)
    background = ThreadPoolExecutor(1, thread_name_prefix="batches")
    try:
        while True:
            while memory and (start := next(left, None)) is not None:
                room = memory.popleft()
                waiting.append((background.submit(read, start, room), room))
            if not waiting:
                return
            future, room = waiting.popleft()
            yield future.result()
            memory.append(room)
    finally:
        background.shutdown(cancel_futures=True)
