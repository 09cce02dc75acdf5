"""One level of a tiled TIFF, decoded tile by tile into memory that is used again.

Tiles of the file that several tiles of a grid need are decoded once and kept, the last ones used
first.  A level can be read at a whole fraction of its resolution: each tile is then averaged as it
is decoded (the exact area rule), and only the small one is kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from metastra.slides.box_kernel import box_means
from metastra.slides.join_kernel import join_tiles
from metastra.slides.tiff_codec import DecodeError
from metastra.slides.tiff_pieces import CACHE_BYTES, PieceError
from metastra.slides.tiff_plane import Plane

__all__ = ["DirectLevel", "DirectSlide", "Reading"]

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """By what a level is read, and why.

    Parameters
    ----------
    direct : bool
        Whether its tiles are decoded without the library that opened the slide.
    reason : str
        For a person: what was compared, or what speaks against it.
    """

    direct: bool
    reason: str


class DirectLevel:
    """A level whose tiles are decoded without another library between.

    Parameters
    ----------
    plane : Plane
        RGB of 8 bits, tiled, every tile written.
    stream : binary file
        The open file; the caller closes it.
    shrink : int
        Side of the squares of pixels that are averaged to one; it divides the sides of a tile.
    kept_bytes : int
        Decoded tiles that are kept.
    """

    def __init__(
        self, plane: Plane, stream: BinaryIO, *, shrink: int = 1, kept_bytes: int = CACHE_BYTES
    ) -> None:
        self.plane, self.shrink = plane, shrink
        self.width_px, self.height_px = plane.width_px // shrink, plane.height_px // shrink
        self._w, self._h = plane.piece_width_px // shrink, plane.piece_height_px // shrink
        self._stream = stream
        self._slots = max(1, kept_bytes // (self._w * self._h * 3))
        self._kept: OrderedDict[int, int] = OrderedDict()
        self._free: list[int] = []
        self._made = 0
        self._room: Pixels | None = None
        self._slot_of = np.full(len(plane.offsets), -1, dtype=np.int32)
        self._own = threading.local()

    @property
    def slots(self) -> int:
        """Most tiles of the file that are kept."""
        return self._slots

    @property
    def tile_px(self) -> tuple[int, int]:
        """Width and height of a tile of the file, in pixels of the level as it is read."""
        return self._w, self._h

    def touched(self, left: int, top: int, width: int, height: int) -> list[int]:
        """List the tiles of the file that a rectangle touches.

        Parameters
        ----------
        left, top, width, height : int
            Rectangle in pixels of the level as it is read, inside it.

        Returns
        -------
        list of int
            Their positions, by rows.
        """
        columns = range(left // self._w, (left + width - 1) // self._w + 1)
        rows = range(top // self._h, (top + height - 1) // self._h + 1)
        return [row * self.plane.across + column for row in rows for column in columns]

    def decode(self, number: int, out: Pixels) -> PieceError | None:
        """Decode one tile into an array; any number of threads may, each into its own.

        Parameters
        ----------
        number : int
            Position of the tile.
        out : ndarray of uint8, shape (tile height, tile width, 3)
            Contiguous, at the resolution that is read.

        Returns
        -------
        PieceError or None
            Why it cannot be decoded; None when it is.
        """
        plane = self.plane
        try:
            if self.shrink == 1:
                plane.read_piece_into(self._stream, number, out)
            else:
                whole = self._scratch()
                plane.read_piece_into(self._stream, number, whole)
                box_means(whole, self.shrink, out)
        except (DecodeError, OSError) as error:
            x = number % plane.across * plane.piece_width_px
            y = number // plane.across * plane.piece_height_px
            return PieceError(number, x, y, error)
        return None

    def place(self, numbers: Iterable[int]) -> list[int]:
        """Make room for tiles that stay until they are released or others are placed.

        Parameters
        ----------
        numbers : iterable of int
            At most `slots` different positions.

        Returns
        -------
        list of int
            Those that have yet to be decoded, by `load`; they count as held from here on.
        """
        self._tiles()  # before several threads ask for it
        missing = []
        for number in dict.fromkeys(numbers):
            if number in self._kept:
                self._kept.move_to_end(number)
            else:
                missing.append(number)
        for number in missing:
            self._kept[number] = self._slot_of[number] = self._slot()
        return missing

    def load(self, number: int) -> PieceError | None:
        """Decode a tile into the room that it has; any number of threads may, each another tile.

        Parameters
        ----------
        number : int
            Position of a tile that was placed.

        Returns
        -------
        PieceError or None
            Why it cannot be decoded, and then it is to be released; None when it is.
        """
        return self.decode(number, self._tiles()[self._kept[number]])

    def join(self, corners: NDArray[np.int64], out: Pixels) -> None:
        """Put rectangles of one size together from tiles that are held; any number of threads may.

        Parameters
        ----------
        corners : ndarray of int64, shape (k, 3)
            For each rectangle its place in `out`, and left and top in pixels of the level as it
            is read.  All tiles that it touches were placed and loaded.
        out : ndarray of uint8, shape (b, height, width, 3)
            Contiguous; the places named are filled.
        """
        join_tiles(self._tiles(), self._slot_of, self.plane.across, corners, out)

    def read(self, left: int, top: int, out: Pixels) -> None:
        """Read a rectangle of any size.

        Parameters
        ----------
        left, top : int
            Its corner, in pixels of the level as it is read.
        out : ndarray of uint8, shape (height, width, 3)
            Is filled; the rectangle lies inside the level.

        Raises
        ------
        PieceError
            For the first tile that cannot be decoded.
        """
        for number in self.touched(left, top, out.shape[1], out.shape[0]):
            for missing in self.place([number]):
                try:
                    if (error := self.load(missing)) is not None:
                        raise error
                except BaseException:  # what was not decoded is not kept
                    self.release([missing])
                    raise
            self._copy_from(number, left, top, out)

    def release(self, numbers: Iterable[int]) -> None:
        """Let go of tiles that nobody will ask for again; their memory is the next to be used.

        Parameters
        ----------
        numbers : iterable of int
            Positions; those not held are passed over.
        """
        for number in numbers:
            slot = self._kept.pop(number, None)
            if slot is not None:
                self._free.append(slot)

    def forget(self) -> None:
        """Let go of what is kept."""
        self._kept.clear()
        self._free.clear()
        self._made = 0
        self._room = None

    def _copy_from(self, number: int, left: int, top: int, out: Pixels) -> None:
        tile, (height, width) = self._tiles()[self._kept[number]], out.shape[:2]
        x, y = number % self.plane.across * self._w, number // self.plane.across * self._h
        x0, y0 = max(left, x), max(top, y)
        x1, y1 = min(left + width, x + self._w), min(top + height, y + self._h)
        out[y0 - top : y1 - top, x0 - left : x1 - left] = tile[y0 - y : y1 - y, x0 - x : x1 - x]

    def _slot(self) -> int:
        """Give room for a tile: what is free, new, or that of the tile used longest ago."""
        if self._free:
            return self._free.pop()
        if self._made >= self._slots and self._kept:
            return self._kept.popitem(last=False)[1]
        self._made += 1
        return self._made - 1

    def _tiles(self) -> Pixels:
        """Give the memory of all slots, shape (slots, h, w, 3); the system backs what is used."""
        if self._room is None:
            most = min(self._slots, len(self.plane.offsets))
            self._room = np.empty((most, self._h, self._w, 3), dtype=np.uint8)
        return self._room

    def _scratch(self) -> Pixels:
        """Give this thread's memory for one whole tile of the file."""
        scratch: Pixels | None = getattr(self._own, "scratch", None)
        if scratch is None:
            shape = (self.plane.piece_height_px, self.plane.piece_width_px, 3)
            scratch = self._own.scratch = np.empty(shape, dtype=np.uint8)
        return scratch


@runtime_checkable
class DirectSlide(Protocol):
    """A slide some of whose levels may be read directly."""

    def direct_level(self, level: int, shrink: int = 1) -> DirectLevel | None:
        """Give a level to be read directly.

        Parameters
        ----------
        level : int
            Position in ``info.levels``.
        shrink : int
            Side of the squares of pixels that are to be averaged.

        Returns
        -------
        DirectLevel or None
            None where the slide's own reader has to be asked.
        """
        ...

    def reading(self, level: int) -> Reading:
        """Say by what a level is read, and why.

        Parameters
        ----------
        level : int
            Position in ``info.levels``.

        Returns
        -------
        Reading
            The same every time.
        """
        ...
