"""Which pictures of a TIFF file are the slide: its levels, its channels, its scale.

The first image that is not called label, macro or thumbnail is the slide; those are never opened.
A file that keeps its pixels in other files is not followed to them.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.errors import Problem, SlideError, Where
from metastra.slides.rendering import Alpha
from metastra.slides.resolution import mpp_of_tags
from metastra.slides.slide import slide_error
from metastra.slides.tiff_codec import JPEG_XL, OWN, THROUGH_IMAGECODECS, DecodeError
from metastra.slides.tiff_metadata import ome_channels, ome_image, ome_mpp, qpi_channel
from metastra.slides.tiff_plane import Plane, TooLarge, plane_of

__all__ = ["TIFF_DAMAGE", "TiffLayout", "TiffLevel", "openslide_sees_all", "read_layout"]

TIFF_DAMAGE = (
    tifffile.TiffFileError,
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    AssertionError,
    StopIteration,
    struct.error,
)
"""What tifffile raises on a damaged file."""

Kind = Literal["rgb", "grey", "palette", "channels"]

_ASIDE = ("label", "macro", "thumbnail", "overview", "barcode", "map")
_RGB, _PALETTE, _YCBCR, _JPEG = 2, 3, 6, 7
_ORIENTATION = 274
_OME_MARK = "<OME"
_MICROSCOPY = (_OME_MARK, "PerkinElmer-QPI")
_MAX_CHANNELS = 256
_NAMES = {0: "white is zero", 1: "grey", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr"}
_SHAPE_SLACK = 0.02  # a level whose two scales differ by more is another picture
_COLOURS = ("red", "green", "blue")


@dataclass(frozen=True, kw_only=True)
class TiffLevel:
    """One resolution: the planes that hold its samples.

    Parameters
    ----------
    planes : tuple of Plane
        One that holds all samples together, or one for each sample or channel.
    """

    planes: tuple[Plane, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.planes[0].width_px, self.planes[0].height_px


@dataclass(frozen=True, kw_only=True, eq=False)
class TiffLayout:
    """What a TIFF file holds of a slide.

    Parameters
    ----------
    vendor : {"ome-tiff", "qptiff", "tiff"}
        Whose conventions it follows.
    kind : {"rgb", "grey", "palette", "channels"}
        What its samples are.
    alpha : {"none", "associated", "unassociated"}
        What the sample after the colours is.
    inverted : bool
        Whether 0 is white (grey only).
    palette : ndarray of uint8, shape (n, 3), or None
        Colours of the indices.
    levels : tuple of TiffLevel
        From full resolution down.
    channels : list of tuple
        Name and colour (None where the file has none) of each channel.
    stated_mpp : tuple of float or None
        Microns per pixel along x and y.
    icc_profile : bytes or None
        Colour profile.
    problems : tuple of Problem
        Warnings: levels that were left out.
    """

    vendor: str
    kind: Kind
    alpha: Alpha
    inverted: bool
    palette: NDArray[np.uint8] | None
    levels: tuple[TiffLevel, ...]
    channels: list[tuple[str, tuple[int, int, int] | None]]
    stated_mpp: tuple[float, float] | None
    icc_profile: bytes | None
    problems: tuple[Problem, ...]


def openslide_sees_all(path: Path) -> bool:
    """Say whether OpenSlide's reader of general TIFFs shows the whole of a file.

    It shows the first page and pages that are smaller copies of it; of an OME-TIFF or QPTIFF it
    misses the sub-pages and all channels but one, and deeper numbers are cut.

    Parameters
    ----------
    path : Path
        A TIFF file that OpenSlide calls generic.

    Returns
    -------
    bool
        True for 8-bit colour, not in JPEG XL, without OME's or PerkinElmer's description, and where
        tifffile cannot read the first page.
    """
    try:
        with tifffile.TiffFile(path, _multifile=False) as tiff:
            page = tiff.pages.first
            colour = int(page.photometric) in (_RGB, _YCBCR) and page.bitspersample == 8
            if int(page.compression) in JPEG_XL:
                return False
            return colour and not any(mark in page.description for mark in _MICROSCOPY)
    except TIFF_DAMAGE:
        return True


def read_layout(path: Path) -> TiffLayout:
    """Find the slide in a TIFF file.

    Parameters
    ----------
    path : Path
        A TIFF file.

    Returns
    -------
    TiffLayout
        Without any pixel decoded.

    Raises
    ------
    SlideError
        SL004 if its structure is damaged; SL006 if one tile or strip is above the limit; SL011 if
        its pixels have no defined conversion; SL013 if its compression is not read.
    """
    name = path.name
    try:
        with tifffile.TiffFile(path, _multifile=False) as tiff:
            return _layout(tiff, name)
    except SlideError:
        raise
    except TooLarge as error:
        raise slide_error("SL006", name, str(error)) from error
    except TIFF_DAMAGE as error:
        raise slide_error("SL004", name, f"{error}" or type(error).__name__) from error


def _layout(tiff: tifffile.TiffFile, name: str) -> TiffLayout:
    series = next((s for s in tiff.series if not _is_aside(s.name)), None)
    if series is None:
        raise slide_error("SL004", name, "no image that is not a label, macro or thumbnail")
    if series.kind != "ome" and (tiff.is_ome or _OME_MARK in tiff.pages.first.description):
        raise slide_error(
            "SL004",
            name,
            "its OME description is cut short, does not fit its pages or names other files",
        )
    key = series.keyframe
    vendor = "ome-tiff" if tiff.is_ome else "qptiff" if tiff.is_qpi else "tiff"
    _require_simple(series, key, name)
    levels, problems = _levels(series, name)
    count = sum(plane.samples for plane in levels[0].planes)
    kind = _kind_of(key, count, vendor, name)
    per_unit_x, per_unit_y = map(float, key.resolution)
    stated = mpp_of_tags(per_unit_x, per_unit_y, int(key.resolutionunit))
    channels: list[tuple[str, tuple[int, int, int] | None]] = [(c, None) for c in _COLOURS]
    if kind == "channels":
        channels = [("", None)] * count
    if vendor == "ome-tiff" and tiff.ome_metadata:
        pixels = ome_image(tiff.ome_metadata, *levels[0].size)
        stated = ome_mpp(pixels) or stated
        if kind == "channels":
            channels = (ome_channels(pixels) + channels)[:count]
    elif vendor == "qptiff" and kind == "channels":
        pages = [page for page in series.levels[0].pages if page is not None]
        channels = [qpi_channel(page.aspage().description) for page in pages]
    if kind == "channels":
        channels = [(n or f"channel {i}", c) for i, (n, c) in enumerate(channels, start=1)]
    return TiffLayout(
        vendor=vendor,
        kind=kind,
        alpha=_alpha_of(key, kind),
        inverted=kind == "grey" and int(key.photometric) == 0,
        palette=_palette_of(key) if kind == "palette" else None,
        levels=levels,
        channels=channels,
        stated_mpp=stated,
        icc_profile=bytes(key.iccprofile) if key.iccprofile else None,
        problems=problems,
    )


def _is_aside(name: str) -> bool:
    return any(word in name.lower() for word in _ASIDE)


def _require_simple(series: Any, key: Any, name: str) -> None:
    """Refuse stacks and bit layouts that nobody reads in one way."""
    sizes = {axis: n for axis, n in zip(series.axes, series.shape, strict=True) if n > 1}
    stacked = {axis: n for axis, n in sizes.items() if axis not in "YXSC"}
    if stacked or len({"S", "C"} & sizes.keys()) > 1 or series.ndim < 2:
        raise slide_error(
            "SL011",
            name,
            f"a stack of pictures (axes {series.axes}, shape {tuple(series.shape)})",
            expected="one plane, RGB or channels",
        )
    bits = key.bitspersample
    if int(np.dtype(key.dtype).itemsize) * 8 != bits:
        raise slide_error("SL011", name, f"{bits} bits per sample", expected="8, 16 or 32")
    turned = int(key.tags.valueof(_ORIENTATION, default=1))
    if turned != 1 or int(key.fillorder) != 1 or int(key.imagedepth) != 1:
        raise slide_error(
            "SL011",
            name,
            f"orientation {turned}, fill order {int(key.fillorder)}, depth {int(key.imagedepth)}",
            expected="1, 1, 1",
        )
    compression = int(key.compression)
    if compression not in OWN and compression not in THROUGH_IMAGECODECS:
        raise slide_error("SL013", name, f"TIFF compression {compression}")


def _kind_of(key: Any, count: int, vendor: str, name: str) -> Kind:
    """Decide what the samples are, or refuse what has no defined conversion."""
    photometric, dtype = int(key.photometric), np.dtype(key.dtype)
    whole = dtype.kind == "u" and dtype.itemsize in (1, 2)
    microscopy = vendor != "tiff"
    if photometric == _RGB and count in (3, 4) and whole:
        return "rgb"
    if photometric == _YCBCR and count == 3 and int(key.compression) == _JPEG:
        return "rgb"
    if photometric == _PALETTE and count == 1 and dtype.itemsize == 1:
        return "palette"
    if photometric in (0, 1) and whole and not microscopy and count <= 1 + len(key.extrasamples):
        return "grey"
    known = whole or (dtype.kind == "f" and dtype.itemsize == 4)
    if photometric == 1 and known and (microscopy or count > 1) and count <= _MAX_CHANNELS:
        return "channels"
    colours = _NAMES.get(photometric, f"colour model {photometric}")
    raise slide_error(
        "SL011",
        name,
        f"{colours} with {count} samples of {dtype.name}",
        expected="RGB, grey, a palette or channels of uint8 or uint16, or channels of float32",
    )


def _alpha_of(key: Any, kind: Kind) -> Alpha:
    extra = tuple(map(int, key.extrasamples))
    if kind not in ("rgb", "grey") or len(extra) != 1:
        return "none"
    # 0 is a sample that the writer does not explain; it is left out
    kinds: dict[int, Alpha] = {1: "associated", 2: "unassociated"}
    return kinds.get(extra[0], "none")


def _palette_of(key: Any) -> NDArray[np.uint8]:
    colours = np.asarray(key.colormap, dtype=np.uint32).T
    return ((colours + 128) // 257).astype(np.uint8)


def _levels(series: Any, name: str) -> tuple[tuple[TiffLevel, ...], tuple[Problem, ...]]:
    """Describe all levels; one that does not fit level 0 is left out with a warning."""
    first = _level(series.levels[0])
    levels, problems = [first], []
    for number, lower in enumerate(series.levels[1:], start=1):
        why = ""
        try:
            level = _level(lower)
            why = _misfit(first, level)
        except (DecodeError, AttributeError, TypeError) as error:
            why = str(error)
        if why:
            where = Where(file=name)
            problems.append(problem("SL014", f"level {number}: {why}", where=where))
        else:
            levels.append(level)
    return tuple(levels), tuple(problems)


def _level(series: Any) -> TiffLevel:
    pages = list(series.pages)
    if any(page is None for page in pages):
        raise DecodeError("some of its pixels are in other files")
    key = series.keyframe
    samples = int(key.samplesperpixel)
    if samples == 1:
        planes = [plane_of(page) for page in pages]
        if len(planes) != math.prod(series.shape) // (key.imagewidth * key.imagelength):
            raise DecodeError(f"{len(planes)} pages for the shape {tuple(series.shape)}")
    elif len(pages) == 1 and int(key.planarconfig) == 1:
        planes = [plane_of(pages[0])]
    elif len(pages) == 1:
        planes = [plane_of(pages[0], sample=sample) for sample in range(samples)]
    else:
        raise DecodeError(f"{len(pages)} pages of {samples} samples")
    if len({(p.width_px, p.height_px, p.coding.dtype) for p in planes}) != 1:
        raise DecodeError("channels of different sizes or kinds of number")
    return TiffLevel(planes=tuple(planes))


def _misfit(first: TiffLevel, level: TiffLevel) -> str:
    """Say why a level is no smaller picture of level 0; empty if it is."""
    x, y = (a / b for a, b in zip(first.size, level.size, strict=True))
    if min(x, y) < 1 or abs(x / y - 1) > max(_SHAPE_SLACK, 1.5 / min(level.size)):
        return f"its {level.size[0]} × {level.size[1]} px are another shape"
    one, other = (sum(p.samples for p in lv.planes) for lv in (first, level))
    if one != other or first.planes[0].coding.dtype != level.planes[0].coding.dtype:
        return "it has other samples"
    if level.planes[0].coding.compression not in {**OWN, **THROUGH_IMAGECODECS}:
        return "its compression is not read"
    return ""
