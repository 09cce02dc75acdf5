"""The reader for OME-TIFF, QPTIFF and flat TIFF: structure by tifffile, pixels piece by piece.

Only the tiles or strips that a region touches are unpacked, and the last ones are kept, so memory
does not grow with the slide.  A slide of channels is shown in colours (see
`metastra.slides.rendering`); `TiffReader.read_channels` gives the intensities themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from metastra.slides.rendering import channel_colours, display_range, mix_channels, to_rgb
from metastra.slides.resolution import resolve_mpp
from metastra.slides.slide import Level, MppSource, SlideInfo, check_region, slide_error
from metastra.slides.tiff_codec import DecodeError
from metastra.slides.tiff_layout import TiffLayout, read_layout
from metastra.slides.tiff_pieces import PieceError, Pieces, piece_error
from metastra.slides.tiff_plane import Plane

__all__ = ["TiffReader"]

_MIX_VALUES = 1 << 23  # intensities that are held at once while channels are mixed
_SAMPLE_PIECES, _SAMPLE_BYTES = 64, 1 << 26


class TiffReader:
    """A slide in a TIFF file that OpenSlide does not read, or not whole.

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
        SL004 for a damaged structure, SL006 for a tile or strip above the limit, SL011 for a kind
        of pixel without conversion, SL013 for a compression that is not read.
    """

    def __init__(
        self,
        path: Path,
        *,
        mpp: float | tuple[float, float] | None = None,
        mpp_source: MppSource = "option",
    ) -> None:
        self._layout = read_layout(path)
        self._info = _describe(path.name, self._layout, mpp, mpp_source)
        self._ranges: NDArray[np.float64] | None = None
        try:
            self._stream = path.open("rb")
        except OSError as error:
            raise slide_error("SL001", path.name, str(error)) from error
        self._pieces = Pieces(self._stream)

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
            RGB over white; channels in their colours.

        Raises
        ------
        SlideError
            SL005 if a part cannot be unpacked; SL013 if that needs a package.
        """
        inside = self._inside(x_px0, y_px0, level, width_px, height_px)
        region = np.full((height_px, width_px, 3), 255, dtype=np.uint8)
        if inside is None:
            return region
        left, top, width, height, into_x, into_y = inside
        layout, count = self._layout, len(self._layout.channels)
        rows = height if layout.kind != "channels" else max(1, _MIX_VALUES // (width * count))
        for at in range(0, height, rows):
            part = self._samples(level, left, top + at, width, min(rows, height - at))
            if layout.kind == "channels":
                rgb = mix_channels(part, channel_colours(layout.channels), self._display_ranges())
            else:
                rgb = to_rgb(
                    part, alpha=layout.alpha, inverted=layout.inverted, palette=layout.palette
                )
            into = slice(into_y + at, into_y + at + part.shape[0])
            region[into, into_x : into_x + width] = rgb
        return region

    def read_channels(
        self, x_px0: int, y_px0: int, level: int, width_px: int, height_px: int
    ) -> NDArray[Any]:
        """Read the samples of a rectangle as they are stored.

        Parameters
        ----------
        x_px0, y_px0, level, width_px, height_px : int
            As for `read_region`.

        Returns
        -------
        ndarray of uint8, uint16 or float32, shape (height_px, width_px, channels)
            Intensities; 0 outside the slide.

        Raises
        ------
        SlideError
            As for `read_region`.
        """
        inside = self._inside(x_px0, y_px0, level, width_px, height_px)
        dtype = self._layout.levels[0].planes[0].coding.dtype.newbyteorder("=")
        count = sum(plane.samples for plane in self._layout.levels[0].planes)
        region = np.zeros((height_px, width_px, count), dtype=dtype)
        if inside is not None:
            left, top, width, height, into_x, into_y = inside
            samples = self._samples(level, left, top, width, height)
            region[into_y : into_y + height, into_x : into_x + width] = samples
        return region

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        self._stream.close()
        self._pieces.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _inside(
        self, x_px0: int, y_px0: int, level: int, width_px: int, height_px: int
    ) -> tuple[int, int, int, int, int, int] | None:
        """Cut a request to the level: corner, size, and where it comes in the result."""
        check_region(self._info, level, width_px, height_px)
        if self._stream.closed:
            raise ValueError(f"{self._info.name} is closed")
        here = self._info.levels[level]
        x, y = round(x_px0 / here.downsample), round(y_px0 / here.downsample)
        left, top = max(x, 0), max(y, 0)
        width = min(x + width_px, here.width_px) - left
        height = min(y + height_px, here.height_px) - top
        if width <= 0 or height <= 0:
            return None
        return left, top, width, height, left - x, top - y

    def _samples(self, level: int, left: int, top: int, width: int, height: int) -> NDArray[Any]:
        """Put the pieces of a rectangle inside a level together, shape (height, width, samples)."""
        planes = self._layout.levels[level].planes
        count = sum(plane.samples for plane in planes)
        blank = 0 if self._layout.kind == "channels" else None
        dtype = planes[0].coding.dtype.newbyteorder("=")
        out = np.full(
            (height, width, count), np.iinfo(dtype).max if blank is None else blank, dtype=dtype
        )
        begin = 0
        for number, plane in enumerate(planes):
            end = begin + plane.samples
            try:
                self._pieces.read((level, number), plane, left, top, out[..., begin:end])
            except PieceError as error:
                raise piece_error(self._info, level, plane, error) from error
            begin = end
        return out

    def _display_ranges(self) -> NDArray[np.float64]:
        """Look at some pieces of the coarsest level; those that are damaged are passed over."""
        if self._ranges is None:
            planes = self._layout.levels[-1].planes
            self._ranges = np.concatenate([display_range(s) for s in map(self._sampled, planes)])
        return self._ranges

    def _sampled(self, plane: Plane) -> NDArray[Any]:
        piece_bytes = plane.piece_width_px * plane.piece_height_px * plane.samples
        piece_bytes *= plane.coding.dtype.itemsize
        whole = len(list(plane.pieces(0, 0, plane.width_px, plane.height_px)))
        wanted = max(1, min(whole, _SAMPLE_PIECES, _SAMPLE_BYTES // piece_bytes))
        found = [np.zeros((1, plane.samples), dtype=plane.coding.dtype.newbyteorder("="))]
        for piece in np.linspace(0, whole - 1, wanted).round().astype(int).tolist():
            try:
                pixels = plane.read_piece(self._stream, piece)
            except (DecodeError, OSError):
                continue
            if pixels is not None:
                x = piece % plane.across * plane.piece_width_px
                y = piece // plane.across * plane.piece_height_px
                inside = pixels[: plane.height_px - y, : plane.width_px - x]
                found.append(inside.reshape(-1, plane.samples))
        return np.concatenate(found)[None]


def _describe(
    name: str,
    layout: TiffLayout,
    given: float | tuple[float, float] | None,
    source: MppSource,
) -> SlideInfo:
    scale = resolve_mpp(name, layout.stated_mpp, given, source)
    width, height = layout.levels[0].size
    levels = tuple(
        Level(
            width_px=level.size[0],
            height_px=level.size[1],
            downsample=(width / level.size[0] + height / level.size[1]) / 2,
        )
        for level in layout.levels
    )
    return SlideInfo(
        name=name,
        reader="tiff",
        vendor=layout.vendor,
        width_px=width,
        height_px=height,
        mpp_x=scale.mpp_x,
        mpp_y=scale.mpp_y,
        mpp_source=scale.source,
        levels=levels,
        modality="fluorescence" if layout.kind == "channels" else "brightfield",
        channels=tuple(channel for channel, _ in layout.channels),
        icc_profile=layout.icc_profile,
        problems=(*layout.problems, *scale.problems),
    )
