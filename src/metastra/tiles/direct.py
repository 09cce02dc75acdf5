"""Tiles of a grid straight from the tiles of the file, each of the file's decoded once.

What comes out is what `metastra.slides.scaled.read_scaled` gives for every tile by itself, to the
bit; it only comes sooner.  A tile of the grid that is a tile of the file is decoded into its place.
The others are taken in stretches.  A thread decodes those of the file's tiles that its stretch
needs and nobody decoded or began to; whoever decodes the last one that a tile of the grid waits for
puts it together.  So no thread waits for another before the batch is done.  A tile of the file that
nobody needs any more makes room at once, and the next is decoded into memory that is still near.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metastra.slides.area_kernel import area_bytes
from metastra.slides.crew import Crew
from metastra.slides.direct_level import DirectLevel, DirectSlide
from metastra.slides.scaled import HALF, MAX_STEP, best_level, read_scaled
from metastra.slides.slide import Slide
from metastra.slides.tiff_pieces import PieceError, piece_error
from metastra.tiles.grid import TileGrid
from metastra.tiles.layout import Axis, Layout

__all__ = ["GridReader"]

_STRETCH = 4
"""Tiles of the grid that a thread takes at a time: their sources fit its own cache."""

Pixels = NDArray[np.uint8]


class GridReader:
    """Reads the tiles of one grid; the tiles' sources are laid out once.

    Parameters
    ----------
    slide : Slide
        Open; the one the grid was made for.
    grid : TileGrid
        Which tiles.
    """

    def __init__(self, slide: Slide, grid: TileGrid) -> None:
        self._slide, self._grid = slide, grid
        self._source = slide if isinstance(slide, DirectSlide) else None
        self._side = side = grid.spec.tile_px
        self.level = best_level(slide.info, min(grid.side_px0) / side)
        self._down = slide.info.levels[self.level].downsample
        self._steps = tuple(size / side / self._down for size in grid.side_px0)
        self._axes = tuple(Axis.of(grid, axis, self._down) for axis in (0, 1))
        self._shrink = _whole_step(self._axes, side)
        if self._shrink > 1:
            self._lay_axes(self._shrink)
        self._own = threading.local()
        self._laid: tuple[DirectLevel, Layout] | None = None
        self._uses: list[int] = []

    def fill(self, part: slice, out: Pixels, crew: Crew) -> None:
        """Read some tiles.

        Parameters
        ----------
        part : slice
            Which of the grid's.
        out : ndarray of uint8, shape (b, tile_px, tile_px, 3)
            Contiguous; is filled.
        crew : Crew
            Does it.

        Raises
        ------
        SlideError
            SL005 for the first tile, in the grid's order, that cannot be decoded.
        """
        failed: dict[int, PieceError] = {}
        direct = self._direct()
        others = range(part.start, part.stop) if direct is None else direct[1].others(part)
        if direct is not None:
            level, layout = direct
            failed = self._whole(level, layout, part, out, crew)
            for tiles in layout.several(part):
                gathering = _Gathering(level, layout, tiles, part.start, self._uses, self._own)
                failed |= gathering.run(out, crew)
        for tile in others:
            if failed and tile > min(failed):
                break
            x, y = self._grid.coords[tile].tolist()
            out[tile - part.start] = read_scaled(
                self._slide, x, y, *self._grid.side_px0, self._side, self._side
            )
        if failed and direct is not None:
            plane = direct[0].plane
            raise piece_error(self._slide.info, self.level, plane, failed[min(failed)])

    def _whole(
        self, level: DirectLevel, layout: Layout, part: slice, out: Pixels, crew: Crew
    ) -> dict[int, PieceError]:
        """Decode the tiles of the grid that are the file's; name those that cannot be decoded."""
        start, (tiles, numbers) = part.start, layout.whole(part)
        found = crew.run(
            lambda pair: level.decode(pair[1], out[pair[0] - start]),
            list(zip(tiles, numbers, strict=True)),
        )
        return {tile: error for tile, error in zip(tiles, found, strict=True) if error is not None}

    def _direct(self) -> tuple[DirectLevel, Layout] | None:
        """Give the level, if it is read directly, and how the grid lies on it."""
        if max(self._steps) > MAX_STEP or self._source is None:
            return None
        level = self._source.direct_level(self.level, self._shrink)
        if level is None and self._shrink > 1:  # the file's tiles cannot be cut so
            self._lay_axes(1)
            level = self._source.direct_level(self.level)
        if level is None:
            return None
        if self._laid is None or self._laid[0] is not level:
            layout = Layout(level, *self._axes)
            self._laid, self._uses = (level, layout), layout.uses()
        return self._laid

    def _lay_axes(self, shrink: int) -> None:
        self._shrink = shrink
        self._axes = tuple(Axis.of(self._grid, axis, self._down, shrink) for axis in (0, 1))


class _Gathering:
    """Tiles of the grid that are put together from tiles of the file, all of which can be held.

    Parameters
    ----------
    level : DirectLevel
        The level.
    layout : Layout
        How the grid lies on it.
    tiles : ndarray of int32, shape (k,)
        Positions in the grid, in order.
    start : int
        Position in the grid of the batch's first tile.
    uses : list of int
        Tiles of the grid that still need each of the file's; is counted down.
    own : threading.local
        Keeps each thread's memory for one source.
    """

    def __init__(
        self,
        level: DirectLevel,
        layout: Layout,
        tiles: NDArray[np.int32],
        start: int,
        uses: list[int],
        own: threading.local,
    ) -> None:
        self._level, self._layout, self._tiles = level, layout, tiles
        self._uses, self._own = uses, own
        self._plain = layout.plain[tiles].tolist()
        self._corners = layout.corners(tiles, start)
        self._touched: dict[int, list[int]] = {}
        self._lacks = [0] * tiles.size
        self._waiting: dict[int, list[int]] = {}
        self._wanted: Counter[int] = Counter()
        self._spoilt: dict[int, PieceError] = {}
        self._failed: dict[int, PieceError] = {}
        self._lock = threading.Lock()

    def run(self, out: Pixels, crew: Crew) -> dict[int, PieceError]:
        """Decode what is missing, put the tiles together and let go of what nobody needs again.

        Parameters
        ----------
        out : ndarray of uint8, shape (b, tile_px, tile_px, 3)
            The batch.
        crew : Crew
            Does it.

        Returns
        -------
        dict of int to PieceError
            The tiles of the grid, by position, that cannot be decoded.
        """
        stretches = _stretches(self._tiles.size, crew.threads)
        try:
            crew.run(lambda boxes: self._read(boxes, out), stretches)
        finally:  # what was not decoded is not kept
            self._level.release([*self._waiting, *self._spoilt])
        return {int(self._tiles[box]): error for box, error in self._failed.items()}

    def _read(self, boxes: range, out: Pixels) -> None:
        """Decode what a stretch needs and put together what waited for nothing else."""
        touched = self._layout.touched(self._tiles[boxes.start : boxes.stop])
        with self._lock:
            missing, complete = self._claim(boxes, touched)
        found = [self._level.load(number) for number in missing]
        with self._lock:
            complete += self._arrived(missing, found)
        self._put_together(self._good(complete), out)
        with self._lock:
            self._finish(complete)

    def _claim(self, boxes: range, touched: list[list[int]]) -> tuple[list[int], list[int]]:
        """Take what nobody has begun to decode; tell it, and the tiles that lack nothing."""
        missing = self._level.place([number for each in touched for number in each])
        self._waiting.update((number, []) for number in missing)
        complete = []
        for box, each in zip(boxes, touched, strict=True):
            self._touched[box] = each
            self._wanted.update(each)
            for number in each:
                if number in self._waiting:
                    self._waiting[number].append(box)
                    self._lacks[box] += 1
            if not self._lacks[box]:
                complete.append(box)
        return missing, complete

    def _arrived(self, numbers: list[int], found: list[PieceError | None]) -> list[int]:
        """Note what was decoded; give the tiles that waited for nothing else."""
        complete = []
        for number, error in zip(numbers, found, strict=True):
            if error is not None:
                self._spoilt[number] = error
            for box in self._waiting.pop(number):
                self._lacks[box] -= 1
                if not self._lacks[box]:
                    complete.append(box)
        return complete

    def _good(self, boxes: list[int]) -> list[int]:
        """Leave those out that need a tile of the file that cannot be decoded, and name them."""
        if not self._spoilt:
            return boxes
        for box in boxes:
            for number in self._touched[box]:
                if number in self._spoilt:
                    self._failed[box] = self._spoilt[number]
                    break
        return [box for box in boxes if box not in self._failed]

    def _finish(self, boxes: list[int]) -> None:
        """Let go of the file's tiles that no other tile of the grid needs, and no thread now."""
        done = []
        for box in boxes:
            for number in self._touched.pop(box):
                self._uses[number] -= 1
                self._wanted[number] -= 1
                # a part of the grid that is read again counts on below 0
                if self._uses[number] <= 0 and not self._wanted[number]:
                    done.append(number)
        self._level.release(done)

    def _put_together(self, boxes: list[int], out: Pixels) -> None:
        plain = [box for box in boxes if self._plain[box]]
        if plain:
            self._level.join(self._corners[plain], out)
        for box in boxes:
            if not self._plain[box]:
                self._average(box, out)

    def _average(self, box: int, out: Pixels) -> None:
        x, y, tile = self._layout.x, self._layout.y, self._tiles[box]
        column, row = x.which[tile], y.which[tile]
        height, width = int(y.size[row]), int(x.size[column])
        source = self._scratch(height * width * 3).reshape(1, height, width, 3)
        at, left, top = self._corners[box].tolist()
        self._level.join(np.array([[0, left, top]]), source)
        area_bytes(source[0], x.edges[column], y.edges[row], HALF, out[at])

    def _scratch(self, n_bytes: int) -> Pixels:
        """Give this thread's memory for one source."""
        scratch: Pixels | None = getattr(self._own, "scratch", None)
        if scratch is None or scratch.size < n_bytes:
            scratch = self._own.scratch = np.empty(n_bytes, dtype=np.uint8)
        return scratch[:n_bytes]


def _whole_step(axes: Sequence[Axis], side: int) -> int:
    """Give the whole number of pixels that every output pixel averages; 1 where there is none."""
    sizes = np.concatenate([axis.size for axis in axes])
    if not sizes.size or sizes[0] % side:
        return 1
    step = int(sizes[0]) // side
    steps = np.arange(side + 1, dtype=np.float64) * step
    for axis in axes:
        if (axis.first % step).any() or not all(np.array_equal(e, steps) for e in axis.edges):
            return 1
    return step


def _stretches(count: int, threads: int) -> list[range]:
    """Cut a number of tiles into short stretches, the last ones shorter: threads end together."""
    stretches, at = [], 0
    while at < count:
        size = min(_STRETCH, max(1, (count - at) // (2 * threads)))
        stretches.append(range(at, at + size))
        at += size
    return stretches
