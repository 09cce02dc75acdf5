"""Tiles of a grid straight from the tiles of the file, each of the file's decoded once.

What comes out is what `metastra.slides.scaled.read_scaled` gives for every tile by itself, to the
bit; it only comes sooner.  A tile of the grid that is a tile of the file is decoded into its place.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metastra.slides.area_kernel import area_bytes
from metastra.slides.crew import Crew
from metastra.slides.direct_level import DirectLevel, DirectSlide
from metastra.slides.scaled import (
    BLOCK_PX,
    HALF,
    MAX_STEP,
    best_level,
    pixel_edges,
    read_scaled,
)
from metastra.slides.slide import Slide
from metastra.slides.tiff_pieces import PieceError, piece_error
from metastra.tiles.grid import TileGrid

__all__ = ["GridReader"]

_GROUP = 8
"""Tiles for each thread that are put together at a time, from memory that is still near."""

Pixels = NDArray[np.uint8]
Edges = NDArray[np.float64]


class _Span(NamedTuple):
    """What a tile covers along one axis: first pixel, pixels, edges within (None: one each)."""

    first: int
    size: int
    edges: Edges | None


class _Box(NamedTuple):
    """A tile of the grid on the level: its place in the batch and what it covers."""

    at: int
    x: _Span
    y: _Span

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Left, top, width and height."""
        return self.x.first, self.y.first, self.x.size, self.y.size


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
        self._side = side = grid.spec.tile_px
        self.level = best_level(slide.info, min(grid.side_px0) / side)
        self._down = slide.info.levels[self.level].downsample
        self._steps = tuple(size / side / self._down for size in grid.side_px0)
        spans = [self._spans(axis, 1) for axis in (0, 1)]
        self._shrink = _whole_step(spans, side)
        if self._shrink > 1:
            spans = [self._spans(axis, self._shrink) for axis in (0, 1)]
        self._x, self._y = spans
        self._own = threading.local()
        self._last: NDArray[np.int32] | None = None

    def fill(self, part: slice, out: Pixels, crew: Crew) -> None:
        """Read some tiles.

        Parameters
        ----------
        part : slice
            Which of the grid's.
        out : ndarray of uint8, shape (b, tile_px, tile_px, 3)
            Is filled.
        crew : Crew
            Does it.

        Raises
        ------
        SlideError
            SL005 for the first tile, in the grid's order, that cannot be decoded.
        """
        level = self._direct()
        boxes = list(self._boxes(part))
        failed: dict[int, PieceError] = {}
        others = boxes
        if level is not None:
            whole, several, others = self._sorted(level, boxes)
            found = crew.run(lambda pair: level.decode(pair[1], out[pair[0].at]), whole)
            pairs = zip(whole, found, strict=True)
            failed = {box.at: error for (box, _), error in pairs if error is not None}
            for group in _groups(level, several, crew.threads):
                failed |= self._render(level, group, out, crew)
                level.release(self._done_with(level, group, part.start))
        for box in others:
            if failed and box.at > min(failed):
                break
            x, y = self._grid.coords[part.start + box.at].tolist()
            tile = read_scaled(self._slide, x, y, *self._grid.side_px0, self._side, self._side)
            out[box.at] = tile
        if failed and level is not None:
            raise piece_error(self._slide.info, self.level, level.plane, failed[min(failed)])

    def _direct(self) -> DirectLevel | None:
        if max(self._steps) > MAX_STEP or not isinstance(self._slide, DirectSlide):
            return None
        level = self._slide.direct_level(self.level, self._shrink)
        if level is None and self._shrink > 1:  # the file's tiles cannot be cut so
            self._shrink = 1
            self._x, self._y = (self._spans(axis, 1) for axis in (0, 1))
            level = self._slide.direct_level(self.level)
        return level

    def _boxes(self, part: slice) -> Iterator[_Box]:
        for at, (x, y) in enumerate(self._grid.coords[part].tolist()):
            yield _Box(at, self._x[x], self._y[y])

    def _sorted(
        self, level: DirectLevel, boxes: list[_Box]
    ) -> tuple[list[tuple[_Box, int]], list[_Box], list[_Box]]:
        """Tell tiles that are one of the file's, made of several, and to be read otherwise."""
        whole, several, others = [], [], []
        for box in boxes:
            left, top, width, height = box.place
            if not level.holds(left, top, width, height) or width * height > BLOCK_PX:
                others.append(box)
                continue
            plain = box.x.edges is None and box.y.edges is None
            number = level.whole(left, top, width, height) if plain else None
            if number is not None:
                whole.append((box, number))
            elif len(level.touched(left, top, width, height)) > level.slots:
                others.append(box)
            else:
                several.append(box)
        return whole, several, others

    def _render(
        self, level: DirectLevel, group: list[_Box], out: Pixels, crew: Crew
    ) -> dict[int, PieceError]:
        """Read tiles whose sources can all be held; name those that cannot be decoded."""
        touched = {box.at: level.touched(*box.place) for box in group}
        spoilt = level.hold([number for each in touched.values() for number in each], crew)
        failed = {
            at: next(spoilt[number] for number in each if number in spoilt)
            for at, each in touched.items()
            if not spoilt.keys().isdisjoint(each)
        }
        good = [box for box in group if box.at not in failed]
        crew.run(lambda box: self._render_one(level, box, out[box.at]), good)
        return failed

    def _done_with(self, level: DirectLevel, group: list[_Box], start: int) -> list[int]:
        """List the file's tiles that no tile of the grid after these ones needs."""
        if self._last is None or self._last.size != len(level.plane.offsets):
            self._last = self._last_uses(level)
        end = start + group[-1].at
        touched = {number for box in group for number in level.touched(*box.place)}
        return [number for number in touched if self._last[number] <= end]

    def _last_uses(self, level: DirectLevel) -> NDArray[np.int32]:
        """Say for each of the file's tiles which tile of the grid is the last that needs it."""
        last = np.full(len(level.plane.offsets), -1, dtype=np.int32)
        x, y = self._grid.coords.T.tolist()
        for number, (left, top) in enumerate(zip(x, y, strict=True)):
            box = _Box(number, self._x[left], self._y[top])
            if level.holds(*box.place):
                last[level.touched(*box.place)] = number
        return last

    def _render_one(self, level: DirectLevel, box: _Box, out: Pixels) -> None:
        left, top, width, height = box.place
        if box.x.edges is None and box.y.edges is None:
            level.copy(left, top, out)
            return
        source = self._scratch(height * width * 3).reshape(height, width, 3)
        level.copy(left, top, source)
        x_edges, y_edges = (
            np.arange(span.size + 1, dtype=np.float64) if span.edges is None else span.edges
            for span in (box.x, box.y)
        )
        area_bytes(source, x_edges, y_edges, HALF, out)

    def _scratch(self, n_bytes: int) -> Pixels:
        """Give this thread's memory for one source."""
        scratch: Pixels | None = getattr(self._own, "scratch", None)
        if scratch is None or scratch.size < n_bytes:
            scratch = self._own.scratch = np.empty(n_bytes, dtype=np.uint8)
        return scratch[:n_bytes]

    def _spans(self, axis: int, shrink: int) -> dict[int, _Span]:
        """Lay out what the tiles cover along an axis, by their corner in level-0 pixels."""
        plain = np.arange(self._side + 1, dtype=np.float64)
        spans = {}
        for corner in np.unique(self._grid.coords[:, axis]).tolist():
            edges = pixel_edges(corner / self._down, self._steps[axis], self._side) / shrink
            first = math.floor(edges[0])
            within = edges - first
            spans[corner] = _Span(
                first,
                math.ceil(edges[-1]) - first,
                None if np.array_equal(within, plain) else within,
            )
        return spans


def _whole_step(spans: list[dict[int, _Span]], side: int) -> int:
    """Give the whole number of pixels that every output pixel averages; 1 where there is none."""
    every = [span for axis in spans for span in axis.values()]
    if not every or every[0].edges is None or every[0].size % side:
        return 1
    step = every[0].size // side
    steps = np.arange(side + 1, dtype=np.float64) * step
    for span in every:
        if span.first % step or span.edges is None or not np.array_equal(span.edges, steps):
            return 1
    return step


def _groups(level: DirectLevel, boxes: list[_Box], threads: int) -> Iterator[list[_Box]]:
    """Cut a batch so that the file's tiles each part needs can be held, and stay in the caches."""
    group: list[_Box] = []
    needed: set[int] = set()
    for box in boxes:
        more = level.touched(*box.place)
        full = len(group) >= _GROUP * threads or len(needed.union(more)) > level.slots
        if group and full:
            yield group
            group, needed = [], set()
        group.append(box)
        needed.update(more)
    if group:
        yield group
