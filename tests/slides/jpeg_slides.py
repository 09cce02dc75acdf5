"""JPEG slides of every variant that scanners and converters write."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from slides.slide_makers import halved

_SUBSAMPLING = {"444": (1, 1), "422": (2, 1), "420": (2, 2)}


def encoded(pixels: np.ndarray, subsampling: str = "420", quality: int = 85) -> bytes:
    """One tile as a JPEG in YCbCr, with the standard Huffman tables."""
    stream = io.BytesIO()
    ratio = {"444": 0, "422": 1, "420": 2}[subsampling]
    Image.fromarray(pixels).save(stream, "jpeg", quality=quality, subsampling=ratio)
    return stream.getvalue()


def parted(jpeg: bytes) -> tuple[bytes, bytes]:
    """Cut a JPEG into its tables (a JPEG without pixels) and the rest without them."""
    tables, rest, at = b"\xff\xd8", b"\xff\xd8", 2
    while jpeg[at + 1] != 0xDA:  # start of scan
        end = at + 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
        if jpeg[at + 1] in (0xDB, 0xC4):
            tables += jpeg[at:end]
        elif jpeg[at + 1] != 0xE0:  # JFIF says nothing that the TIFF does not
            rest += jpeg[at:end]
        at = end
    return tables + b"\xff\xd9", rest + jpeg[at:]


def cut_up(pixels: np.ndarray, tile: tuple[int, int]) -> list[np.ndarray]:
    """Tiles by rows; those at the edge are filled up with their last pixels."""
    height, width = pixels.shape[:2]
    room = ((0, -height % tile[0]), (0, -width % tile[1]), (0, 0))
    full = np.pad(pixels, room, mode="edge")
    rows, columns = full.shape[0] // tile[0], full.shape[1] // tile[1]
    shape = (rows, tile[0], columns, tile[1], 3)
    return list(full.reshape(shape).swapaxes(1, 2).reshape(-1, *tile, 3))


def jpeg_pyramid(
    path: Path,
    pixels: np.ndarray,
    *,
    levels: int = 1,
    tile: tuple[int, int] = (64, 64),
    subsampling: str = "420",
    abbreviated: bool = False,
    mpp: float = 0.5,
    **how,
) -> Path:
    """A tiled pyramid in YCbCr, its tables in every tile or once for all of them."""
    with tifffile.TiffWriter(path, **how) as writer:
        for level in range(levels):
            tiles = [encoded(one, subsampling) for one in cut_up(pixels, tile)]
            tables = None
            if abbreviated:
                tables = parted(tiles[0])[0]
                tiles = [parted(one)[1] for one in tiles]
            down = mpp * 2**level
            writer.write(
                iter(tiles),
                shape=pixels.shape,
                dtype=np.uint8,
                tile=tile,
                compression="jpeg",
                photometric="ycbcr",
                subsampling=_SUBSAMPLING[subsampling],
                jpegtables=tables,
                resolution=(1e4 / down, 1e4 / down),
                resolutionunit="CENTIMETER",
                subfiletype=1 if level else 0,
                metadata=None,
            )
            pixels = halved(pixels)
    return path


def one_tile_for_all(path: Path, side: int, tile: np.ndarray) -> Path:
    """A slide of any size in few bytes: every tile of the file is the same bytes."""
    jpeg, size = encoded(tile), tile.shape[0]
    count = (-(-side // size)) ** 2
    entries = [
        (256, 4, 1, side),
        (257, 4, 1, side),
        (258, 3, 3, 0),
        (259, 3, 1, 7),
        (262, 3, 1, 6),
        (277, 3, 1, 3),
        (282, 5, 1, 0),
        (283, 5, 1, 0),
        (284, 3, 1, 1),
        (296, 3, 1, 3),
        (322, 3, 1, size),
        (323, 3, 1, size),
        (324, 4, count, 0),
        (325, 4, count, 0),
        (530, 3, 2, 2 | 2 << 16),
    ]
    bits_at = 8 + 2 + 12 * len(entries) + 4
    resolution_at = bits_at + 6 + 2
    offsets_at = resolution_at + 8
    counts_at = offsets_at + 4 * count
    jpeg_at = counts_at + 4 * count
    places = {258: bits_at, 282: resolution_at, 283: resolution_at, 324: offsets_at}
    places[325] = counts_at
    data = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    for tag, kind, number, value in entries:
        data += struct.pack("<HHII", tag, kind, number, places.get(tag, value))
    data += struct.pack("<I3HxxII", 0, 8, 8, 8, 20_000, 1)
    data += np.full(count, jpeg_at, "<u4").tobytes() + np.full(count, len(jpeg), "<u4").tobytes()
    path.write_bytes(data + jpeg)
    return path
