"""Tiles and strips of TIFF planes put together into regions; the last ones are kept.

Rows of tiles are read one after another, so what one tile of the grid unpacks serves the next.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, BinaryIO

from numpy.typing import NDArray

from metastra.errors import SlideError
from metastra.slides.slide import SlideInfo, slide_error
from metastra.slides.tiff_codec import DecodeError, MissingCodec
from metastra.slides.tiff_plane import Plane

__all__ = ["CACHE_BYTES", "PieceError", "Pieces", "piece_error"]

CACHE_BYTES = 1 << 27
"""Unpacked tiles and strips that are kept (134 MB): two rows of 240-px tiles of a wide slide."""


class PieceError(DecodeError):
    """One tile or strip cannot be unpacked.

    Parameters
    ----------
    number : int
        Position in its plane.
    x_px, y_px : int
        Its corner in pixels of the plane.
    cause : Exception
        What happened.
    """

    def __init__(self, number: int, x_px: int, y_px: int, cause: Exception) -> None:
        super().__init__(str(cause))
        self.number, self.x_px, self.y_px, self.cause = number, x_px, y_px, cause


class Pieces:
    """Reader of the planes of one open file.

    Parameters
    ----------
    stream : binary file
        Open; the caller closes it.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._kept: OrderedDict[tuple[Hashable, int], NDArray[Any]] = OrderedDict()
        self._kept_bytes = 0

    def read(self, key: Hashable, plane: Plane, left: int, top: int, out: NDArray[Any]) -> None:
        """Fill an array with a rectangle of a plane.

        Parameters
        ----------
        key : hashable
            Tells the plane from others of the file.
        plane : Plane
            The plane.
        left, top : int
            Corner of the rectangle, which lies inside the plane.
        out : ndarray, shape (height, width, samples)
            Is filled; pieces that were never written leave it as it is.

        Raises
        ------
        PieceError
            If a piece cannot be read or unpacked.
        """
        height, width = out.shape[:2]
        for number, x, y in plane.pieces(left, top, width, height):
            pixels = self._piece(key, plane, number, x, y)
            if pixels is None:
                continue
            x0, y0 = max(left, x), max(top, y)
            x1, y1 = min(left + width, x + pixels.shape[1]), min(top + height, y + pixels.shape[0])
            inside = pixels[y0 - y : y1 - y, x0 - x : x1 - x]
            out[y0 - top : y1 - top, x0 - left : x1 - left] = inside

    def forget(self) -> None:
        """Let go of what is kept."""
        self._kept.clear()
        self._kept_bytes = 0

    def _piece(
        self, key: Hashable, plane: Plane, number: int, x: int, y: int
    ) -> NDArray[Any] | None:
        name = (key, number)
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        try:
            pixels = plane.read_piece(self._stream, number)
        except (DecodeError, OSError) as error:
            raise PieceError(number, x, y, error) from error
        if pixels is not None and pixels.nbytes <= CACHE_BYTES:
            self._kept[name] = pixels
            self._kept_bytes += pixels.nbytes
            while self._kept_bytes > CACHE_BYTES:
                self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes
        return pixels


def piece_error(info: SlideInfo, level: int, plane: Plane, error: PieceError) -> SlideError:
    """Name a tile or strip that cannot be unpacked.

    Parameters
    ----------
    info : SlideInfo
        Of the slide.
    level : int
        Position in ``info.levels``.
    plane : Plane
        Which it belongs to.
    error : PieceError
        What happened.

    Returns
    -------
    SlideError
        SL005 with the place in level-0 pixels; SL013 where only a package is missing.
    """
    if isinstance(error.cause, MissingCodec):
        return slide_error("SL013", info.name, f"{error} compression")
    down = info.levels[level].downsample
    return slide_error(
        "SL005",
        info.name,
        f"level {level}, {'tile' if plane.tiled else 'strip'} {error.number} at "
        f"x {round(error.x_px * down)}, y {round(error.y_px * down)} (level-0 px): {error}",
    )
