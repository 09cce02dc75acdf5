"""JPEG tiles of Aperio and generic TIFF slides without OpenSlide: the same pixels, sooner.

libjpeg-turbo decodes a tile in a fraction of the time that a region takes through OpenSlide.  A
level is read directly only after some of its tiles were read both ways and were equal to the bit;
the level and the scale come from OpenSlide in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from metastra.errors import SlideError
from metastra.slides.slide import Level
from metastra.slides.tiff_codec import JPEG, DecodeError
from metastra.slides.tiff_layout import TIFF_DAMAGE
from metastra.slides.tiff_plane import Plane, plane_of

__all__ = ["DIRECT_VENDORS", "direct_planes", "equal_on_probes"]

DIRECT_VENDORS = frozenset({"aperio", "generic-tiff"})
"""Formats of OpenSlide whose levels are plain pages of a TIFF."""

_COLOURS = (2, 6)  # RGB, YCbCr
_MAX_PAGES = 64
_PROBES = 4

ReadRegion = Callable[[int, int, int, int, int], NDArray[np.uint8]]


def direct_planes(path: Path, levels: Sequence[Level]) -> dict[int, Plane]:
    """Find the pages of a TIFF that hold its levels as JPEG tiles.

    Parameters
    ----------
    path : Path
        A slide of one of `DIRECT_VENDORS`.
    levels : sequence of Level
        As OpenSlide gives them.

    Returns
    -------
    dict of int to Plane
        By position of the level; levels without such a page, with two of its size, or with tiles
        that were never written (OpenSlide fills those from other levels) are left out.
    """
    found: dict[int, Plane] = {}
    twice: set[int] = set()
    sizes = {(level.width_px, level.height_px): n for n, level in enumerate(levels)}
    try:
        with tifffile.TiffFile(path, _multifile=False) as tiff:
            for page in tiff.pages[:_MAX_PAGES]:
                key = None if page is None else page.keyframe
                if key is None:
                    continue
                number = sizes.get((int(key.imagewidth), int(key.imagelength)))
                if number is None or not key.is_tiled or int(key.compression) != JPEG:
                    continue
                plane = plane_of(page)
                whole = plane.across * -(-plane.height_px // plane.piece_height_px)
                if number in found:
                    twice.add(number)
                if (
                    plane.samples == 3
                    and plane.coding.dtype == np.uint8
                    and plane.coding.photometric in _COLOURS
                    and len(plane.offsets) == whole
                    and all(plane.counts)
                ):
                    found[number] = plane
    except (DecodeError, *TIFF_DAMAGE):
        return {}
    return {number: plane for number, plane in found.items() if number not in twice}


def equal_on_probes(
    plane: Plane, level: int, down: float, stream: BinaryIO, read: ReadRegion
) -> bool:
    """Read some tiles both ways: the first, the last, the middle one and the one of most bytes.

    Parameters
    ----------
    plane : Plane
        The level's page.
    level : int
        Position of the level.
    down : float
        Its downsampling.
    stream : binary file
        The open slide.
    read : callable
        OpenSlide's way: x, y (level-0 pixels), level, width and height to RGB.

    Returns
    -------
    bool
        Whether all of them are equal to the bit; False where one cannot be read.
    """
    count = len(plane.counts)
    probes = sorted({0, count - 1, count // 2, int(np.argmax(plane.counts))})[:_PROBES]
    for number in probes:
        x, y = number % plane.across * plane.piece_width_px, number // plane.across
        y *= plane.piece_height_px
        width = min(plane.piece_width_px, plane.width_px - x)
        height = min(plane.piece_height_px, plane.height_px - y)
        if x * down != round(x * down) or y * down != round(y * down):
            continue  # OpenSlide would move the tile by part of a pixel
        try:
            mine = plane.read_piece(stream, number)
            theirs = read(round(x * down), round(y * down), level, width, height)
        except (SlideError, DecodeError, OSError):
            return False
        if mine is None or not np.array_equal(mine[:height, :width], theirs):
            return False
    return True
