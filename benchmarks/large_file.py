"""A slide of any size in a small file: real tissue and glass, whose tiles many places share.

The tiles of a TIFF may lie anywhere in the file, also several at one place.  So the tissue of the
real CMU-1 region, enlarged to 0.25 µm per pixel and mirrored to a square of 4,096 px that goes on
in all directions without a seam, is encoded once; the slide says for each of its tiles which of
them it is.  Where tissue lies is decided for cells of 1,024 px, by smooth noise.  Level 1 is made
in the same way; the small ones are put together tile by tile.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

__all__ = ["DOWNS", "MPP", "large_slide", "tissue_cells"]

MPP = 0.25
"""Micrometres per level-0 pixel."""
DOWNS = (1, 4, 16, 32)
"""Level-0 pixels per pixel of each level, as Aperio's scanners write them."""

_TILE, _CELL, _PERIOD = 256, 1024, 4096
_QUALITY = 80
_CORNER_PX = (720, 1936)
"""Of the square of 1,024 px in which the region has most tissue (88 %)."""
_SHARED = 2
"""Levels whose tiles are shared: a tile of level 1 is a cell."""

Pixels = NDArray[np.uint8]


class _Level(NamedTuple):
    """Where the tiles of a level lie."""

    side_px: int
    offsets: NDArray[np.uint64]
    counts: NDArray[np.uint32]


def large_slide(path: Path, source: Path, side_px: int, share: float = 0.3) -> Path:
    """Write a square slide with a share of tissue.

    Parameters
    ----------
    path : Path
        A BigTIFF.
    source : Path
        CMU-1-Small-Region.svs.
    side_px : int
        Of level 0.
    share : float
        Of the slide's cells that hold tissue, 0 to 1.

    Returns
    -------
    Path
        The file.
    """
    tissue, glass = _texture(source), _glass()
    cells = tissue_cells(-(-side_px // _CELL), share)
    levels = []
    with path.open("wb") as stream:
        stream.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
        for number, down in enumerate(DOWNS):
            if number:
                tissue, glass = (
                    _shrunk(each, down // DOWNS[number - 1]) for each in (tissue, glass)
                )
            side = side_px // down
            make = _shared_level if number < _SHARED else _own_level
            levels.append(make(stream, tissue, glass, cells, side, down))
        first = stream.tell()
        for number, level in enumerate(levels):
            _directory(stream, level, number, last=number + 1 == len(levels))
        stream.seek(8)
        stream.write(struct.pack("<Q", first))
    return path


def tissue_cells(count: int, share: float) -> NDArray[np.bool_]:
    """Say which cells of a square slide hold tissue.

    Parameters
    ----------
    count : int
        Cells along a side.
    share : float
        Of them.

    Returns
    -------
    bool array of shape (count, count)
        A few pieces with smooth outlines, more of them in the middle.
    """
    noise = np.random.default_rng(0).normal(size=(count, count))
    smooth = ndimage.gaussian_filter(noise, max(count / 14, 0.5))
    along = np.linspace(-1, 1, count)
    middle = -(np.hypot(along[:, None], along[None]) ** 4) if count > 2 else 0.0
    height = smooth / max(float(smooth.std()), 1e-9) + middle
    chosen: NDArray[np.bool_] = height >= np.quantile(height, 1 - share)
    return chosen


def _texture(source: Path) -> Pixels:
    """Give a square of tissue that goes on in all directions."""
    from metastra.slides.opening import open_slide

    half = _PERIOD // 2
    with open_slide(source) as slide:
        region = slide.read_region(*_CORNER_PX, 0, half // 2, half // 2)
    large = np.asarray(Image.fromarray(region).resize((half, half), Image.Resampling.LANCZOS))
    wide = np.concatenate([large, large[:, ::-1]], axis=1)
    return np.concatenate([wide, wide[::-1]], axis=0)


def _glass() -> Pixels:
    """Give as much glass as a cell, with the noise of a camera."""
    noise = np.random.default_rng(1).normal((246.0, 243.0, 243.0), 1.0, (_CELL, _CELL, 3))
    return np.rint(noise).astype(np.uint8)


def _shrunk(pixels: Pixels, times: int) -> Pixels:
    side = len(pixels) // times
    blocks = pixels.reshape(side, times, side, times, 3)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)


def _shared_level(
    stream: BinaryIO,
    tissue: Pixels,
    glass: Pixels,
    cells: NDArray[np.bool_],
    side_px: int,
    down: int,
) -> _Level:
    """Encode each different tile once, and point to it from wherever it stands."""
    at = np.arange(-(-side_px // _TILE))
    inside = cells[np.ix_(at * _TILE * down // _CELL, at * _TILE * down // _CELL)]
    places, sizes = np.zeros(inside.shape, np.uint64), np.zeros(inside.shape, np.uint32)
    for pixels, where in ((tissue, inside), (glass, ~inside)):
        period = len(pixels) // _TILE
        each = [
            [_write(stream, pixels, row, column) for column in range(period)]
            for row in range(period)
        ]
        place, size = (np.array(each)[..., k] for k in range(2))
        here = np.ix_(at % period, at % period)
        places[where], sizes[where] = place[here][where], size[here][where]
    return _Level(side_px, places.ravel(), sizes.ravel())


def _own_level(
    stream: BinaryIO,
    tissue: Pixels,
    glass: Pixels,
    cells: NDArray[np.bool_],
    side_px: int,
    down: int,
) -> _Level:
    """Encode every tile of a small level."""
    cell, count = _CELL // down, -(-side_px // _TILE)
    written = []
    for row in range(count):
        for column in range(count):
            y, x = (np.arange(each * _TILE, (each + 1) * _TILE) for each in (row, column))
            inside = cells[np.ix_(*(np.minimum(each // cell, len(cells) - 1) for each in (y, x)))]
            stained, bare = (each[np.ix_(y % len(each), x % len(each))] for each in (tissue, glass))
            written.append(_write(stream, np.where(inside[..., None], stained, bare), 0, 0))
    place, size = np.array(written).T
    return _Level(side_px, place.astype(np.uint64), size.astype(np.uint32))


def _write(stream: BinaryIO, pixels: Pixels, row: int, column: int) -> tuple[int, int]:
    """Encode one tile of a picture; give its place and its bytes."""
    tile = pixels[row * _TILE : (row + 1) * _TILE, column * _TILE : (column + 1) * _TILE]
    data = simplejpeg.encode_jpeg(
        np.ascontiguousarray(tile), quality=_QUALITY, colorspace="RGB", colorsubsampling="420"
    )
    place = stream.tell()
    stream.write(data)
    return place, len(data)


def _directory(stream: BinaryIO, level: _Level, number: int, *, last: bool) -> None:
    """Write the directory of a level behind the long values it points to."""
    per_cm = struct.pack("<II", round(1e4 / MPP), DOWNS[number])
    tags: Sequence[tuple[int, int, int, bytes]] = (
        (254, 4, 1, struct.pack("<I", number > 0)),
        (256, 4, 1, struct.pack("<I", level.side_px)),
        (257, 4, 1, struct.pack("<I", level.side_px)),
        (258, 3, 3, struct.pack("<3H", 8, 8, 8)),
        (259, 3, 1, struct.pack("<H", 7)),
        (262, 3, 1, struct.pack("<H", 6)),
        (277, 3, 1, struct.pack("<H", 3)),
        (282, 5, 1, per_cm),
        (283, 5, 1, per_cm),
        (284, 3, 1, struct.pack("<H", 1)),
        (296, 3, 1, struct.pack("<H", 3)),
        (322, 3, 1, struct.pack("<H", _TILE)),
        (323, 3, 1, struct.pack("<H", _TILE)),
        (324, 16, level.offsets.size, level.offsets.tobytes()),
        (325, 4, level.counts.size, level.counts.tobytes()),
        (530, 3, 2, struct.pack("<2H", 2, 2)),
    )
    begin = stream.tell()
    behind = begin + 8 + 20 * len(tags) + 8
    entries, values = [], []
    for tag, kind, count, value in tags:
        field = value.ljust(8, b"\0")
        if len(value) > 8:
            field = struct.pack("<Q", behind)
            values.append(value)
            behind += len(value)
        entries.append(struct.pack("<HHQ", tag, kind, count) + field)
    stream.write(struct.pack("<Q", len(tags)) + b"".join(entries))
    stream.write(struct.pack("<Q", 0 if last else behind))
    stream.write(b"".join(values))
