"""The reader for scanner formats, through OpenSlide.

OpenSlide latches after an error: the handle then refuses every further call.  So a bad tile is
named and the handle is opened again, and the other tiles stay readable.  JPEG tiles of Aperio and
generic TIFFs are decoded without it (`metastra.slides.direct_tiles`).  Label and macro images are
never touched, and `OpenSlide.get_thumbnail` is never called: on a slide without small levels
it decodes the whole level at once.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Self

import numpy as np
import openslide
from numpy.typing import NDArray

from metastra.slides.direct_level import DirectLevel, Reading
from metastra.slides.direct_tiles import DirectLevels
from metastra.slides.over_white_kernel import over_white
from metastra.slides.resolution import mpp_of_tags, resolve_mpp
from metastra.slides.slide import (
    Level,
    Modality,
    MppSource,
    SlideInfo,
    check_region,
    slide_error,
)
from metastra.slides.tiff_pieces import PieceError, piece_error
from metastra.slides.tiff_walk import ndpi_channel

__all__ = ["OpenSlideReader"]

_BOUNDS = tuple(f"openslide.bounds-{part}" for part in ("x", "y", "width", "height"))
_TIFF_TAGS = ("tiff.XResolution", "tiff.YResolution", "tiff.ResolutionUnit")
_PROPERTIES = (
    openslide.PROPERTY_NAME_VENDOR,
    openslide.PROPERTY_NAME_MPP_X,
    openslide.PROPERTY_NAME_MPP_Y,
    *_BOUNDS,
    *_TIFF_TAGS,
)
_TIFF_UNIT = {"inch": 2, "centimeter": 3}


class OpenSlideReader:
    """A slide that OpenSlide reads.

    Parameters
    ----------
    path : Path
        A regular file that `openslide.OpenSlide.detect_format` knows.
    mpp : float, tuple of float or None
        Microns per pixel that the user states.
    mpp_source : {"table", "option", "file"}
        Where the user states them.

    Raises
    ------
    SlideError
        SL004 if OpenSlide refuses the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        mpp: float | tuple[float, float] | None = None,
        mpp_source: MppSource = "option",
    ) -> None:
        self._path = path
        self._closed = False
        self._handle = self._open()
        with contextlib.ExitStack() as refused:
            refused.callback(self._handle.close)
            self._stream = refused.enter_context(path.open("rb"))
            self._info = self._describe(mpp, mpp_source)
            refused.pop_all()
        self._levels = DirectLevels(path, self._info, self._stream, self._through_openslide)

    @property
    def info(self) -> SlideInfo:
        """What is known of the slide."""
        return self._info

    def read_region(
        self, x_px0: int, y_px0: int, level: int, width_px: int, height_px: int
    ) -> NDArray[np.uint8]:
        """Read a rectangle of one level; see `metastra.slides.slide.Slide.read_region`.

        Parameters
        ----------
        x_px0, y_px0 : int
            Top left corner in level-0 pixels.
        level : int
            Position in ``info.levels``.
        width_px, height_px : int
            Size in pixels of that level.

        Returns
        -------
        ndarray of uint8, shape (height_px, width_px, 3)
            RGB over white.

        Raises
        ------
        SlideError
            SL005 if a part cannot be decoded.
        """
        check_region(self._info, level, width_px, height_px)
        if self._closed:
            raise ValueError(f"{self._info.name} is closed")
        if not width_px or not height_px:
            return np.zeros((height_px, width_px, 3), dtype=np.uint8)
        direct = self._levels.level(level)
        if direct is None:
            return self._through_openslide(x_px0, y_px0, level, width_px, height_px)
        region = np.full((height_px, width_px, 3), 255, dtype=np.uint8)
        down = self._info.levels[level].downsample
        x, y = round(x_px0 / down), round(y_px0 / down)
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width_px, direct.width_px), min(y + height_px, direct.height_px)
        if right > left and bottom > top:
            inside = region[top - y : bottom - y, left - x : right - x]
            try:
                direct.read(left, top, inside)
            except PieceError as error:
                raise piece_error(self._info, level, direct.plane, error) from error
        return region

    def direct_level(self, level: int, shrink: int = 1) -> DirectLevel | None:
        """Give a level to be read directly; see `metastra.slides.direct_level.DirectSlide`.

        Parameters
        ----------
        level : int
            Position in ``info.levels``.
        shrink : int
            Side of the squares of pixels that are to be averaged.

        Returns
        -------
        DirectLevel or None
            None where OpenSlide has to be asked.
        """
        return self._levels.level(level, shrink)

    def reading(self, level: int) -> Reading:
        """Say by what a level is read, and why.

        Parameters
        ----------
        level : int
            Position in ``info.levels``.

        Returns
        -------
        Reading
            Of the level.
        """
        return self._levels.reading(level)

    def _through_openslide(
        self, x_px0: int, y_px0: int, level: int, width_px: int, height_px: int
    ) -> NDArray[np.uint8]:
        try:
            region = self._handle.read_region((x_px0, y_px0), level, (width_px, height_px))
        except openslide.OpenSlideError as error:
            self._handle.close()
            self._handle = self._open()
            raise slide_error(
                "SL005",
                self._info.name,
                f"level {level}, {width_px} × {height_px} px at x {x_px0}, y {y_px0} "
                f"(level-0 px): {error}",
            ) from error
        return over_white(np.asarray(region))

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._handle.close()
            self._stream.close()
            self._levels.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> openslide.OpenSlide:
        try:
            return openslide.OpenSlide(self._path)
        except (openslide.OpenSlideError, OSError) as error:
            raise slide_error("SL004", self._path.name, f"OpenSlide says: {error}") from error

    def _describe(self, given: float | tuple[float, float] | None, source: MppSource) -> SlideInfo:
        try:
            sizes = self._handle.level_dimensions
            downsamples = self._handle.level_downsamples
            # one by one: a damaged file may hold names that cannot be looked up
            properties = {key: self._handle.properties.get(key, "") for key in _PROPERTIES}
            profile = self._handle.read_region((0, 0), 0, (0, 0)).info.get("icc_profile")
        except openslide.OpenSlideError as error:
            raise slide_error("SL004", self._path.name, f"OpenSlide says: {error}") from error
        name = self._path.name
        if not sizes or min(map(min, sizes)) < 1:
            raise slide_error("SL004", name, f"levels without pixels: {sizes}")
        vendor = properties[openslide.PROPERTY_NAME_VENDOR] or "unknown"
        scale = resolve_mpp(name, _stated_mpp(properties), given, source)
        modality, channels = self._light(vendor)
        return SlideInfo(
            name=name,
            reader="openslide",
            vendor=vendor,
            width_px=sizes[0][0],
            height_px=sizes[0][1],
            mpp_x=scale.mpp_x,
            mpp_y=scale.mpp_y,
            mpp_source=scale.source,
            levels=tuple(
                Level(width_px=width, height_px=height, downsample=float(downsample))
                for (width, height), downsample in zip(sizes, downsamples, strict=True)
            ),
            bounds_px0=_bounds(properties, sizes[0]),
            modality=modality,
            channels=channels,
            icc_profile=profile,
            problems=scale.problems,
        )

    def _light(self, vendor: str) -> tuple[Modality, tuple[str, ...]]:
        """Hamamatsu writes the filter set into fluorescence slides; OpenSlide does not tell it."""
        if vendor == "hamamatsu":
            channel = ndpi_channel(self._path)
            if channel:
                return "fluorescence", (channel,)
        return "brightfield", ("red", "green", "blue")


def _stated_mpp(properties: dict[str, str]) -> tuple[float, float] | None:
    """Microns per pixel of OpenSlide's properties, else of the TIFF tags it passes on."""
    mpp = [
        _number(properties[key])
        for key in (openslide.PROPERTY_NAME_MPP_X, openslide.PROPERTY_NAME_MPP_Y)
    ]
    if any(value is not None for value in mpp):
        # one direction alone is no scale: NaN is not believed and is named
        return tuple(float("nan") if value is None else value for value in mpp)  # type: ignore[return-value]
    x, y = map(_number, (properties[key] for key in _TIFF_TAGS[:2]))
    unit = _TIFF_UNIT.get(properties[_TIFF_TAGS[2]], 1)
    return None if x is None or y is None else mpp_of_tags(x, y, unit)


def _number(text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _bounds(properties: dict[str, str], size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Give the scanned area inside the slide; None where there is none or it makes no sense."""
    texts = [properties[key] for key in _BOUNDS]
    if not all(re.fullmatch(r"-?\d{1,18}", text) for text in texts):
        return None
    x, y, width, height = map(int, texts)
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, size[0]), min(y + height, size[1])
    if right <= left or bottom <= top:
        return None
    return left, top, right - left, bottom - top
