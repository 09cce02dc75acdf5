"""Writing a pyramidal tiled TIFF, row of tiles by row of tiles.

A BigTIFF with one directory for each level, JPEG tiles (each a whole JPEG stream) and resolution
tags in pixels per centimetre: what OpenSlide opens as ``generic-tiff``.  TIFF 6.0, sections 3, 7,
15, 21 and Technical Note 2; the BigTIFF layout of libtiff.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from typing import BinaryIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray

__all__ = ["LEVEL_STEP", "TILE_PX", "PyramidWriter", "level_sizes"]

_U8 = NDArray[np.uint8]

TILE_PX = 256
"""Side of a tile."""
LEVEL_STEP = 4
"""Each level is this much smaller than the one before."""

_SHORT, _LONG, _RATIONAL, _ASCII, _LONG8 = 3, 4, 5, 2, 16
_SIZES = {_SHORT: 2, _LONG: 4, _RATIONAL: 8, _ASCII: 1, _LONG8: 8}
_CODES = {_SHORT: "H", _LONG: "I", _LONG8: "Q"}


def level_sizes(width_px0: int, height_px0: int) -> list[tuple[int, int]]:
    """List the levels of a pyramid.

    Parameters
    ----------
    width_px0, height_px0 : int
        Of level 0.

    Returns
    -------
    list of (int, int)
        Width and height of each level; the last one fits into a tile or cannot be divided further.

    Examples
    --------
    >>> level_sizes(4096, 3072)
    [(4096, 3072), (1024, 768), (256, 192)]
    """
    sizes = [(width_px0, height_px0)]
    while (
        max(sizes[-1]) > TILE_PX
        and sizes[-1][0] % LEVEL_STEP == 0
        and sizes[-1][1] % LEVEL_STEP == 0
    ):
        sizes.append((sizes[-1][0] // LEVEL_STEP, sizes[-1][1] // LEVEL_STEP))
    return sizes


@dataclass
class _Level:
    """A level that is being written."""

    width_px: int
    height_px: int
    rows: list[_U8] = field(default_factory=list)
    n_rows: int = 0
    offsets: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


class PyramidWriter:
    """A pyramid that is fed with rows of level 0 from top to bottom.

    Parameters
    ----------
    stream : BinaryIO
        Empty, and able to go back: the place of the first directory is known last.
    width_px0, height_px0 : int
        Of level 0.
    mpp : float
        µm per pixel of level 0.
    quality : int
        Of JPEG.
    subsampling : {"444", "420"}
        Of its colour.
    description : str
        ASCII, for the ImageDescription of level 0.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        width_px0: int,
        height_px0: int,
        mpp: float,
        quality: int,
        subsampling: str,
        description: str,
    ) -> None:
        self._stream, self._quality, self._subsampling = stream, quality, subsampling
        self._mpp, self._description = mpp, description
        self._levels = [_Level(*size) for size in level_sizes(width_px0, height_px0)]
        stream.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
        self._place = 16

    def add(self, rgb: _U8) -> None:
        """Add rows of level 0.

        Parameters
        ----------
        rgb : ndarray of shape (rows, width_px0, 3), uint8
            The next rows; their number must divide by the step between levels.
        """
        self._add(0, rgb)

    def finish(self) -> None:
        """Write what is left, then the directories, then where they are."""
        for number in range(len(self._levels)):
            self._flush(number, whole=False)
        place = self._place + self._place % 2
        self._stream.write(b"\0" * (place - self._place))
        first = place
        for number in range(len(self._levels)):
            block, place = self._directory(number, place)
            self._stream.write(block)
        self._stream.seek(8)
        self._stream.write(struct.pack("<Q", first))

    def _add(self, number: int, rgb: _U8) -> None:
        level = self._levels[number]
        level.rows.append(rgb)
        level.n_rows += len(rgb)
        if number + 1 < len(self._levels):
            self._add(number + 1, _shrink(rgb))
        self._flush(number, whole=True)

    def _flush(self, number: int, *, whole: bool) -> None:
        """Write rows of tiles; the last one may be filled up by repeating the edge."""
        level = self._levels[number]
        while level.n_rows >= TILE_PX or (level.n_rows and not whole):
            rows = np.concatenate(level.rows)
            band, rest = rows[:TILE_PX], rows[TILE_PX:]
            level.rows, level.n_rows = [rest] if len(rest) else [], len(rest)
            self._band(level, band)

    def _band(self, level: _Level, band: _U8) -> None:
        n_tiles = -(-level.width_px // TILE_PX)
        fill = ((0, TILE_PX - len(band)), (0, n_tiles * TILE_PX - level.width_px), (0, 0))
        full = np.pad(band, fill, mode="edge") if any(map(any, fill)) else band
        for k in range(n_tiles):
            tile = np.ascontiguousarray(full[:, k * TILE_PX : (k + 1) * TILE_PX])
            data = simplejpeg.encode_jpeg(
                tile,
                quality=self._quality,
                colorspace="RGB",
                colorsubsampling=self._subsampling,
                fastdct=False,
            )
            level.offsets.append(self._place)
            level.sizes.append(len(data))
            self._stream.write(data)
            self._place += len(data)

    def _directory(self, number: int, place: int) -> tuple[bytes, int]:
        """Pack the directory of a level and say where the next one begins."""
        level = self._levels[number]
        ratio = Fraction(10_000) / Fraction(str(self._mpp)) / LEVEL_STEP**number
        ratio = ratio.limit_denominator(100_000)
        halves = 2 if self._subsampling == "420" else 1
        tags: list[tuple[int, int, list[int] | bytes]] = [
            (254, _LONG, [1 if number else 0]),
            (256, _LONG, [level.width_px]),
            (257, _LONG, [level.height_px]),
            (258, _SHORT, [8, 8, 8]),
            (259, _SHORT, [7]),
            (262, _SHORT, [6]),
            (277, _SHORT, [3]),
            (282, _RATIONAL, struct.pack("<II", ratio.numerator, ratio.denominator)),
            (283, _RATIONAL, struct.pack("<II", ratio.numerator, ratio.denominator)),
            (284, _SHORT, [1]),
            (296, _SHORT, [3]),
            (322, _LONG, [TILE_PX]),
            (323, _LONG, [TILE_PX]),
            (324, _LONG8, level.offsets),
            (325, _LONG, level.sizes),
            (530, _SHORT, [halves, halves]),
        ]
        if not number:
            tags.insert(6, (270, _ASCII, self._description.encode("ascii") + b"\0"))
        return _pack(tags, place, last=number + 1 == len(self._levels))


def _pack(
    tags: list[tuple[int, int, list[int] | bytes]], place: int, *, last: bool
) -> tuple[bytes, int]:
    """Pack tags into a directory at `place`; values of more than 8 bytes follow it."""
    outside = place + 8 + 20 * len(tags) + 8
    entries, values = b"", b""
    for tag, kind, value in tags:
        if isinstance(value, bytes):
            data = value
        else:
            data = struct.pack(f"<{len(value)}{_CODES[kind]}", *value)
        count = len(data) // _SIZES[kind]
        if len(data) <= 8:
            entries += struct.pack("<HHQ", tag, kind, count) + data.ljust(8, b"\0")
        else:
            entries += struct.pack("<HHQQ", tag, kind, count, outside + len(values))
            values += data + b"\0" * (-len(data) % 8)
    after = outside + len(values)
    following = 0 if last else after
    return struct.pack("<Q", len(tags)) + entries + struct.pack("<Q", following) + values, after


def _shrink(rgb: _U8) -> _U8:
    """Mean of each square of pixels, rounded to the nearest whole number."""
    rows, columns = len(rgb) // LEVEL_STEP, rgb.shape[1] // LEVEL_STEP
    flat = rgb.reshape(rows, LEVEL_STEP, -1)
    tall = np.add(flat[:, 0], flat[:, 1], dtype=np.uint16)
    for k in range(2, LEVEL_STEP):
        tall += flat[:, k]
    cells = tall.reshape(rows, columns, LEVEL_STEP, 3)
    total = cells[:, :, 0] + cells[:, :, 1]
    for k in range(2, LEVEL_STEP):
        total += cells[:, :, k]
    return ((total + LEVEL_STEP**2 // 2) // LEVEL_STEP**2).astype(np.uint8)
