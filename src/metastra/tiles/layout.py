"""Where the tiles of a grid lie on the tiles of a level of the file."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metastra.slides.direct_level import DirectLevel
from metastra.slides.scaled import BLOCK_PX, pixel_edges
from metastra.tiles.grid import TileGrid

__all__ = ["Axis", "Layout"]

Edges = NDArray[np.float64]
Numbers = NDArray[np.int64]
Positions = NDArray[np.int32]
Flags = NDArray[np.bool_]


class Axis(NamedTuple):
    """What the tiles of a grid cover along one axis, by the corners that differ.

    Parameters
    ----------
    which : ndarray of int32, shape (tiles,)
        For each tile of the grid its corner, by position in what follows.
    first, size : ndarray of int, shape (corners,)
        First pixel of the level, and number of pixels.
    edges : list of ndarray, shape (tile_px + 1,)
        Of the output pixels, counted from `first`.
    plain : ndarray of bool, shape (corners,)
        Whether each output pixel is one pixel of the level.
    """

    which: Positions
    first: Numbers
    size: Numbers
    edges: list[Edges]
    plain: Flags

    @classmethod
    def of(cls, grid: TileGrid, axis: int, down: float, shrink: int = 1) -> Axis:
        """Lay an axis of a grid out.

        Parameters
        ----------
        grid : TileGrid
            The grid.
        axis : int
            0 for x, 1 for y.
        down : float
            Level-0 pixels per pixel of the level.
        shrink : int
            Pixels of the level per pixel as it is read.

        Returns
        -------
        Axis
            In pixels as the level is read.
        """
        side = grid.spec.tile_px
        step = grid.side_px0[axis] / side / down
        plain = np.arange(side + 1, dtype=np.float64)
        corners, which = np.unique(grid.coords[:, axis], return_inverse=True)
        every = [pixel_edges(corner / down, step, side) / shrink for corner in corners.tolist()]
        first = np.array([np.floor(edges[0]) for edges in every], dtype=np.int64)
        last = np.array([np.ceil(edges[-1]) for edges in every], dtype=np.int64)
        within = [edges - start for edges, start in zip(every, first.tolist(), strict=True)]
        same = [np.array_equal(edges, plain) for edges in within]
        edges = [plain if is_plain else own for own, is_plain in zip(within, same, strict=True)]
        place = which.astype(np.int32).reshape(-1)
        return cls(place, first, last - first, edges, np.array(same, dtype=np.bool_))


class Layout:
    """Where each tile of a grid lies on the tiles of a level.

    Parameters
    ----------
    level : DirectLevel
        The level.
    x, y : Axis
        Of the grid, in pixels as the level is read.
    """

    def __init__(self, level: DirectLevel, x: Axis, y: Axis) -> None:
        self.x, self.y = x, y
        self._across, self._slots = level.plane.across, level.slots
        self._n_tiles = len(level.plane.offsets)
        width, height = level.tile_px
        self._begin_x, self._end_x = _touched(x, width)
        self._begin_y, self._end_y = _touched(y, height)
        inside_x, inside_y = _inside(x, level.width_px), _inside(y, level.height_px)
        exact_x, exact_y = _exact(x, width), _exact(y, height)
        self.plain = x.plain[x.which] & y.plain[y.which]
        area = x.size[x.which] * y.size[y.which]
        self._columns, self._rows = (
            [range(*ends) for ends in np.stack(spans, axis=1).tolist()]
            for spans in (_touched(x, width), _touched(y, height))
        )
        n_columns, n_rows = self._end_x - self._begin_x, self._end_y - self._begin_y
        count = n_columns[x.which] * n_rows[y.which]
        possible = inside_x[x.which] & inside_y[y.which] & (area <= BLOCK_PX)
        whole = possible & exact_x[x.which] & exact_y[y.which]
        several = possible & ~whole & (count <= self._slots)
        self._most = int(count[several].max(initial=0))
        self._whole, self._several, self._others = (
            np.flatnonzero(kind).astype(np.int32) for kind in (whole, several, ~(whole | several))
        )

    def whole(self, part: slice) -> tuple[list[int], list[int]]:
        """Find the tiles of the grid that are tiles of the file.

        Parameters
        ----------
        part : slice
            Which of the grid's are looked at.

        Returns
        -------
        tiles : list of int
            Their positions in the grid, in order.
        numbers : list of int
            Which of the file's they are.
        """
        tiles = _within(self._whole, part)
        if not tiles.size:
            return [], []
        columns, rows = self._begin_x[self.x.which[tiles]], self._begin_y[self.y.which[tiles]]
        return tiles.tolist(), (rows * self._across + columns).tolist()

    def several(self, part: slice) -> Iterator[Positions]:
        """Group the tiles of the grid that are put together so that a group's sources can be held.

        Parameters
        ----------
        part : slice
            Which of the grid's are looked at.

        Yields
        ------
        ndarray of int32, shape (k,)
            Their positions in the grid, in order.
        """
        waiting = [_within(self._several, part)]
        while waiting:
            tiles = waiting.pop()
            if tiles.size > 1 and not self._can_be_held(tiles):
                waiting += [tiles[tiles.size // 2 :], tiles[: tiles.size // 2]]
            elif tiles.size:
                yield tiles

    def others(self, part: slice) -> list[int]:
        """List the tiles of the grid that have to be read otherwise.

        Parameters
        ----------
        part : slice
            Which of the grid's are looked at.

        Returns
        -------
        list of int
            Their positions in the grid, in order.
        """
        return list(_within(self._others, part).tolist())

    def touched(self, tiles: Positions) -> list[list[int]]:
        """List for each of some tiles the file's tiles that it touches.

        Parameters
        ----------
        tiles : ndarray of int32, shape (k,)
            Positions in the grid.

        Returns
        -------
        list of list of int
            By rows.
        """
        return [
            [row * self._across + column for row in self._rows[y] for column in self._columns[x]]
            for x, y in zip(self.x.which[tiles].tolist(), self.y.which[tiles].tolist(), strict=True)
        ]

    def corners(self, tiles: Positions, start: int) -> NDArray[np.int64]:
        """Give the places of some tiles.

        Parameters
        ----------
        tiles : ndarray of int32, shape (k,)
            Positions in the grid.
        start : int
            Position from which the first column counts.

        Returns
        -------
        ndarray of int64, shape (k, 3)
            Position, left and top, these in pixels as the level is read.
        """
        corners = np.empty((tiles.size, 3), dtype=np.int64)
        corners[:, 0] = tiles - start
        corners[:, 1] = self.x.first[self.x.which[tiles]]
        corners[:, 2] = self.y.first[self.y.which[tiles]]
        return corners

    def uses(self) -> list[int]:
        """Count for each of the file's tiles the tiles of the grid that are put together from it.

        Returns
        -------
        list of int
            By the position of the file's tile.
        """
        uses = np.zeros(self._n_tiles, dtype=np.int64)
        for tiles in np.array_split(self._several, 1 + self._several.size // 1024):
            touched = self._numbers(tiles)
            uses += np.bincount(touched[touched >= 0], minlength=self._n_tiles)
        return list(uses.tolist())

    def _can_be_held(self, tiles: Positions) -> bool:
        if tiles.size * self._most <= self._slots:
            return True
        touched = self._numbers(tiles)
        return int(np.unique(touched[touched >= 0]).size) <= self._slots

    def _numbers(self, tiles: Positions) -> Numbers:
        """List for each tile the file's tiles that it touches, by rows."""
        columns, rows = self.x.which[tiles], self.y.which[tiles]
        x0, y0 = self._begin_x[columns], self._begin_y[rows]
        n_x, n_y = self._end_x[columns] - x0, self._end_y[rows] - y0
        along_x = np.arange(n_x.max(initial=0))
        along_y = np.arange(n_y.max(initial=0))[:, None]
        there = (along_y < n_y[:, None, None]) & (along_x < n_x[:, None, None])
        places = (y0[:, None, None] + along_y) * self._across + (x0[:, None, None] + along_x)
        return np.where(there, places, -1).reshape(tiles.size, there[0].size if tiles.size else 0)


def _touched(axis: Axis, piece: int) -> tuple[Numbers, Numbers]:
    """Give the first of the file's tiles that each corner's tiles touch, and the one after."""
    return axis.first // piece, (axis.first + axis.size - 1) // piece + 1


def _within(positions: Positions, part: slice) -> Positions:
    """Give those of the sorted positions that lie in a part of the grid."""
    return positions[bisect_left(positions, part.start) : bisect_left(positions, part.stop)]


def _inside(axis: Axis, end: int) -> Flags:
    return (axis.first >= 0) & (axis.first + axis.size <= end)


def _exact(axis: Axis, piece: int) -> Flags:
    exact: Flags = axis.plain & (axis.size == piece) & (axis.first % piece == 0)
    return exact
