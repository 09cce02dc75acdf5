"""Tiles of Aperio and generic TIFF slides without OpenSlide: the same pixels, sooner.

libjpeg-turbo decodes a tile in a fraction of the time that a region takes through OpenSlide.  A
level is read directly only after some of its tiles were read both ways and were equal to the bit;
the level and the scale come from OpenSlide in any case.  Whatever speaks against it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from metastra.errors import SlideError
from metastra.slides.direct_level import DirectLevel, Reading
from metastra.slides.slide import Level, SlideInfo
from metastra.slides.tiff_codec import JPEG, OWN, THROUGH_IMAGECODECS, DecodeError
from metastra.slides.tiff_layout import TIFF_DAMAGE
from metastra.slides.tiff_plane import Plane, plane_of

__all__ = ["DIRECT_VENDORS", "DirectLevels", "compare_probes", "direct_planes"]

DIRECT_VENDORS = frozenset({"aperio", "generic-tiff"})
"""Formats of OpenSlide whose levels are plain pages of a TIFF."""

_RGB, _YCBCR = 2, 6
_MAX_PAGES = 64
_STEPS = 1024
"""OpenSlide places pixels to 1/256 of one; what is off by less than half of that is not moved."""

ReadRegion = Callable[[int, int, int, int, int], NDArray[np.uint8]]


def direct_planes(
    path: Path, levels: Sequence[Level]
) -> tuple[dict[int, Plane], dict[int, Reading]]:
    """Find the pages of a TIFF that hold its levels as tiles that are unpacked here.

    Parameters
    ----------
    path : Path
        A slide of one of `DIRECT_VENDORS`.
    levels : sequence of Level
        As OpenSlide gives them.

    Returns
    -------
    planes : dict of int to Plane
        By position of the level; levels without such a page, with two of its size, or with tiles
        that were never written (OpenSlide fills those from other levels) are left out.
    readings : dict of int to Reading
        Of those left out.
    """
    planes: dict[int, Plane] = {}
    reasons: dict[int, str] = {}
    sizes = {(level.width_px, level.height_px): n for n, level in enumerate(levels)}
    try:
        with tifffile.TiffFile(path, _multifile=False) as tiff:
            for page in tiff.pages[:_MAX_PAGES]:
                key = None if page is None else page.keyframe
                number = key and sizes.get((int(key.imagewidth), int(key.imagelength)))
                if number is None:
                    continue
                if number in planes or number in reasons:
                    planes.pop(number, None)
                    reasons[number] = "two pictures of the file have its size"
                    continue
                found = _plane_or_reason(page)
                if isinstance(found, Plane):
                    planes[number] = found
                else:
                    reasons[number] = found
    except (DecodeError, *TIFF_DAMAGE) as error:
        planes, reasons = {}, dict.fromkeys(range(len(levels)), f"the TIFF's structure: {error}")
    left_out = set(range(len(levels))) - set(planes)
    readings = {
        number: Reading(direct=False, reason=reasons.get(number, "no picture of its size"))
        for number in left_out
    }
    return planes, readings


def _plane_or_reason(page: Any) -> Plane | str:
    """Describe a page whose tiles are unpacked here, or say what speaks against it."""
    key = page.keyframe
    compression, photometric = int(key.compression), int(key.photometric)
    if not key.is_tiled:
        return "strips, not tiles"
    if compression in THROUGH_IMAGECODECS:
        if find_spec("imagecodecs") is None:
            return f"{THROUGH_IMAGECODECS[compression]} needs the extra 'formats'"
    elif compression not in OWN:
        return f"compression {compression}"
    plane = plane_of(page)
    allowed = (_RGB, _YCBCR) if compression == JPEG else (_RGB,)
    if plane.samples != 3 or plane.coding.dtype != np.uint8 or photometric not in allowed:
        return "other pixels than RGB of 8 bits"
    if len(plane.offsets) != plane.across * -(-plane.height_px // plane.piece_height_px):
        return "more or fewer tiles than its size wants"
    if not all(plane.counts):
        return "tiles that were never written"
    return plane


def compare_probes(
    plane: Plane, level: int, down: float, stream: BinaryIO, read: ReadRegion
) -> Reading:
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
    Reading
        Direct where all of them are equal to the bit; else with the tile that is not.
    """
    probes = _probes(plane, down)
    for number in probes:
        x = number % plane.across * plane.piece_width_px
        y = number // plane.across * plane.piece_height_px
        width = min(plane.piece_width_px, plane.width_px - x)
        height = min(plane.piece_height_px, plane.height_px - y)
        try:
            mine = plane.read_piece(stream, number)
            theirs = read(round(x * down), round(y * down), level, width, height)
        except (SlideError, DecodeError, OSError) as error:
            return Reading(direct=False, reason=f"tile {number} cannot be compared: {error}")
        if mine is None or not np.array_equal(mine[:height, :width], theirs):
            return Reading(direct=False, reason=f"tile {number} differs from OpenSlide's pixels")
    many = f"{len(probes)} tiles" if len(probes) > 1 else "1 tile"
    return Reading(direct=True, reason=f"{many} equal to OpenSlide's to the bit")


def _probes(plane: Plane, down: float) -> list[int]:
    """Choose tiles whose corners OpenSlide does not move by part of a pixel."""
    rows = -(-plane.height_px // plane.piece_height_px)
    x = np.arange(plane.across) * plane.piece_width_px * down
    y = np.arange(rows) * plane.piece_height_px * down
    x_whole, y_whole = (np.flatnonzero(np.abs(p - np.rint(p)) * _STEPS <= down) for p in (x, y))
    fit = (y_whole[:, None] * plane.across + x_whole).reshape(-1)
    heaviest = fit[int(np.argmax(np.asarray(plane.counts)[fit]))]
    return sorted({int(fit[0]), int(fit[-1]), int(fit[fit.size // 2]), int(heaviest)})


class DirectLevels:
    """The levels of one open slide, each read directly once it is seen to be equal.

    Parameters
    ----------
    path : Path
        The slide.
    info : SlideInfo
        Of the slide.
    stream : binary file
        The open slide.
    read : callable
        OpenSlide's way, as for `compare_probes`.
    """

    def __init__(self, path: Path, info: SlideInfo, stream: BinaryIO, read: ReadRegion) -> None:
        self._info, self._stream, self._read = info, stream, read
        self._planes: dict[int, Plane] = {}
        self._readings: dict[int, Reading] = {}
        if info.vendor in DIRECT_VENDORS:
            self._planes, self._readings = direct_planes(path, info.levels)
        self._open: dict[tuple[int, int], DirectLevel] = {}

    def reading(self, level: int) -> Reading:
        """Say by what a level is read, and why; the first call compares.

        Parameters
        ----------
        level : int
            Position in ``info.levels``.

        Returns
        -------
        Reading
            Of the level.
        """
        if level not in self._readings:
            plane = self._planes.get(level)
            if plane is None:
                reason = f"{self._info.vendor} does not keep its levels as plain pages of a TIFF"
                self._readings[level] = Reading(direct=False, reason=reason)
            else:
                down = self._info.levels[level].downsample
                found = compare_probes(plane, level, down, self._stream, self._read)
                self._readings[level] = found
        return self._readings[level]

    def level(self, level: int, shrink: int = 1) -> DirectLevel | None:
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
            None where OpenSlide has to be asked, or a tile of the file cannot be cut so.
        """
        if (level, shrink) in self._open:
            return self._open[level, shrink]
        if not self.reading(level).direct:
            return None
        plane = self._planes[level]
        if plane.piece_width_px % shrink or plane.piece_height_px % shrink:
            return None
        self.forget()  # what is kept of one way of reading is of no use to another
        self._open = {(level, shrink): DirectLevel(plane, self._stream, shrink=shrink)}
        return self._open[level, shrink]

    def forget(self) -> None:
        """Let go of decoded tiles."""
        for kept in self._open.values():
            kept.forget()
