"""The reader for flat pictures, PNG and JPEG, through Pillow.

Such a file has one level and is decoded whole, once, at the first region that is asked for; so its
size is limited.  What becomes of each kind of pixel is stated in `CONVERSIONS`.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from metastra.slides.resolution import mpp_of_tags, resolve_mpp
from metastra.slides.slide import Level, MppSource, SlideInfo, check_region, slide_error

__all__ = ["CONVERSIONS", "FORMATS", "MAX_PICTURE_PX", "PictureReader"]

FORMATS = ("PNG", "JPEG")
"""Pillow's names of the formats that are taken."""
MAX_PICTURE_PX = 1 << 27
"""Largest flat picture in pixels (134 million, 400 MB as RGB)."""
CONVERSIONS = {
    "1": "black is 0, white is 255, in all three channels",
    "L": "grey in all three channels",
    "LA": "grey, laid over white by its alpha",
    "P": "the palette's colours, laid over white where the palette has alpha",
    "PA": "the palette's colours, laid over white by their alpha",
    "RGB": "as it is (16-bit PNG: the upper 8 bits)",
    "RGBA": "laid over white by its alpha",
    "I;16": "grey, 65535 becomes 255",
    "I;16B": "grey, 65535 becomes 255",
}
"""How each kind of pixel (Pillow's mode) becomes RGB; every other kind is refused (SL011)."""

_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_ORIENTATION = 0x0112


class PictureReader:
    """A PNG or JPEG file as a slide of one level.

    Parameters
    ----------
    path : Path
        A regular file.
    mpp : float, tuple of float or None
        Microns per pixel that the user states.
    mpp_source : {"table", "option", "file"}
        Where the user states them.

    Raises
    ------
    SlideError
        SL004 if the header is damaged, SL006 if it claims more than `MAX_PICTURE_PX` pixels,
        SL011 if its kind of pixel has no defined conversion.
    """

    def __init__(
        self,
        path: Path,
        *,
        mpp: float | tuple[float, float] | None = None,
        mpp_source: MppSource = "option",
    ) -> None:
        self._path = path
        self._pixels: NDArray[np.uint8] | None = None
        self._closed = False
        image = self._open()
        with image:
            self._info = self._describe(image, mpp, mpp_source)

    @property
    def info(self) -> SlideInfo:
        """What is known of the slide."""
        return self._info

    def read_region(
        self, x_px0: int, y_px0: int, level: int, width_px: int, height_px: int
    ) -> NDArray[np.uint8]:
        """Read a rectangle; see `metastra.slides.slide.Slide.read_region`.

        Parameters
        ----------
        x_px0, y_px0 : int
            Top left corner.
        level : int
            0.
        width_px, height_px : int
            Size.

        Returns
        -------
        ndarray of uint8, shape (height_px, width_px, 3)
            RGB over white.

        Raises
        ------
        SlideError
            SL005 if the picture cannot be decoded.
        """
        check_region(self._info, level, width_px, height_px)
        if self._closed:
            raise ValueError(f"{self._info.name} is closed")
        if self._pixels is None:
            self._pixels = self._decode()
        whole_height, whole_width = self._pixels.shape[:2]
        region = np.full((height_px, width_px, 3), 255, dtype=np.uint8)
        left, top = max(x_px0, 0), max(y_px0, 0)
        right = min(x_px0 + width_px, whole_width)
        bottom = min(y_px0 + height_px, whole_height)
        if right > left and bottom > top:
            inside = self._pixels[top:bottom, left:right]
            region[top - y_px0 : bottom - y_px0, left - x_px0 : right - x_px0] = inside
        return region

    def close(self) -> None:
        """Let go of the pixels; a second call does nothing."""
        self._closed = True
        self._pixels = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> Image.Image:
        name = self._path.name
        try:
            with warnings.catch_warnings():
                # the size is checked below, against a limit of our own
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                image = Image.open(self._path, formats=FORMATS)
        except Image.DecompressionBombError as error:
            raise slide_error("SL006", name, str(error)) from error
        except _DAMAGE as error:
            raise slide_error("SL004", name, f"{error}" or type(error).__name__) from error
        if image.width * image.height > MAX_PICTURE_PX:
            size = f"{image.width} × {image.height} px"
            image.close()
            raise slide_error(
                "SL006", name, f"a flat picture of {size}", expected=f"up to {MAX_PICTURE_PX} px"
            )
        return image

    def _describe(
        self,
        image: Image.Image,
        given: float | tuple[float, float] | None,
        source: MppSource,
    ) -> SlideInfo:
        name = self._path.name
        if image.mode not in CONVERSIONS:
            raise slide_error(
                "SL011", name, f"pixels of kind {image.mode}", expected=", ".join(CONVERSIONS)
            )
        try:
            turned = image.getexif().get(_ORIENTATION, 1) in _TURNED
        except _DAMAGE as error:
            raise slide_error("SL004", name, f"EXIF: {error}") from error
        dpi = image.info.get("dpi")
        stated = None if dpi is None else mpp_of_tags(float(dpi[0]), float(dpi[1]), 2)
        width, height = image.size
        if turned:
            width, height = height, width
            stated = stated and (stated[1], stated[0])
        scale = resolve_mpp(name, stated, given, source)
        return SlideInfo(
            name=name,
            reader="picture",
            vendor=(image.format or "unknown").lower(),
            width_px=width,
            height_px=height,
            mpp_x=scale.mpp_x,
            mpp_y=scale.mpp_y,
            mpp_source=scale.source,
            levels=(Level(width_px=width, height_px=height, downsample=1.0),),
            icc_profile=image.info.get("icc_profile"),
            problems=scale.problems,
        )

    def _decode(self) -> NDArray[np.uint8]:
        image = self._open()
        try:
            with image:
                # a printer of PDF in this process lets cut files pass as grey; slides never
                ImageFile.LOAD_TRUNCATED_IMAGES = False
                image.load()
                return _as_rgb(ImageOps.exif_transpose(image))
        except _DAMAGE as error:
            raise slide_error(
                "SL005", self._info.name, f"the picture cannot be decoded: {error}"
            ) from error


def _as_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Convert as `CONVERSIONS` states."""
    if image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.uint32)
        grey = ((wide + 128) // 257).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if "A" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))
