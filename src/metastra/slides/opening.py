"""Open a slide, whatever it is, or say what is wrong with it.

Nothing is decoded here and nothing is believed twice: a file that opens may still have a tile that
cannot be read, which is then named when it is asked for.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

import openslide

from metastra.slides.openslide_reader import OpenSlideReader
from metastra.slides.other_readers import conversion_of, other_reader
from metastra.slides.picture_reader import PictureReader
from metastra.slides.slide import MppSource, Slide, SlideInfo, slide_error
from metastra.slides.tiff_layout import openslide_sees_all
from metastra.slides.tiff_reader import TiffReader
from metastra.slides.tiff_walk import MAX_PX_PER_BYTE, TIFF_HEADS, require_sane_pages

__all__ = ["open_slide"]

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_MANY_FILES = ("mirax", "hamamatsu", "dicom")  # the file that is named is not the one with pixels


def open_slide(
    path: str | os.PathLike[str],
    *,
    mpp: float | tuple[float, float] | None = None,
    mpp_source: MppSource = "option",
) -> Slide:
    """Open a slide for reading.

    Parameters
    ----------
    path : path
        The slide; symbolic links are followed, any name will do.
    mpp : float, tuple of float or None
        Microns per level-0 pixel where the user knows better than the file: one number, or along
        x and y.
    mpp_source : {"option", "table", "file"}
        Where the user states them; it is kept in `SlideInfo.mpp_source`.

    Returns
    -------
    Slide
        Open; use it in a ``with`` block.

    Raises
    ------
    SlideError
        SL001 no such file or no right to read it; SL002 not a regular file; SL003 no bytes;
        SL004 no format that is read, or a damaged header; SL006 more pixels than can be;
        SL008 a scale from the table that cannot be; SL011 a kind of pixel without a conversion;
        SL013 a compression that is not read.
    ConfigError
        If a scale given as an option cannot be, or a reader of another package cannot be loaded.
    """
    path = Path(path)
    size_bytes = _require_file(path)
    try:
        reader = _reader_for(path)
        if reader is None:
            slide = _by_others(path, mpp, mpp_source)
        else:
            slide = reader(path, mpp=mpp, mpp_source=mpp_source)
    except OSError as error:  # a disk that fails, or a file that went away meanwhile
        raise slide_error("SL001", path.name, error.strerror or str(error)) from error
    with contextlib.ExitStack() as refused:
        refused.callback(slide.close)
        _require_substance(slide.info, size_bytes)
        refused.pop_all()
    return slide


def _require_file(path: Path) -> int:
    """Refuse what is no readable, regular, non-empty file before a library touches it."""
    name = path.name or str(path)
    try:
        status = path.stat()
    except FileNotFoundError as error:
        link = " (a symbolic link that leads nowhere)" if path.is_symlink() else ""
        raise slide_error("SL001", name, f"there is no such file{link}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise slide_error("SL001", name, reason) from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
        raise slide_error("SL002", name, f"this is {kind}")
    if not os.access(path, os.R_OK):
        raise slide_error("SL001", name, "there is no right to read it")
    if not status.st_size:
        raise slide_error("SL003", name, "the file has no bytes")
    return status.st_size


def _reader_for(path: Path) -> type[OpenSlideReader | TiffReader | PictureReader] | None:
    """Choose by the first bytes and by what OpenSlide knows, never by the name's ending.

    OpenSlide takes any tiled TIFF, but of an OME-TIFF it sees one channel and one level: what it
    does not see whole goes to the other reader.  None for what none of them reads.
    """
    with path.open("rb") as stream:
        head = stream.read(12)
    if head.startswith(_PICTURES):
        return PictureReader
    if head.startswith(TIFF_HEADS):
        require_sane_pages(path)
    try:
        vendor = openslide.OpenSlide.detect_format(path)
    except openslide.OpenSlideError as error:
        raise slide_error("SL004", path.name, f"OpenSlide says: {error}") from error
    if head.startswith(TIFF_HEADS) and (vendor is None or _is_general(vendor, path)):
        return TiffReader
    return None if vendor is None else OpenSlideReader


def _by_others(path: Path, mpp: float | tuple[float, float] | None, source: MppSource) -> Slide:
    """Ask the readers of other packages; refuse by the maker's name what nobody reads."""
    reader = other_reader(path)
    if reader is not None:
        return reader.open(path, mpp=mpp, mpp_source=source)
    with path.open("rb") as stream:
        head = stream.read(8)
    found = f"its first bytes are {head.hex(' ')}"
    if (known := conversion_of(path)) is None:
        raise slide_error("SL004", path.name, found)
    maker, help_of = known
    raise slide_error(
        "SL004",
        path.name,
        f"by its name it is of {maker}, a format that is not read; {found}",
        hint=f"{help_of}; or install a package with a reader for it (docs/reference/slides.md)",
    )


def _is_general(vendor: str, path: Path) -> bool:
    return vendor == "generic-tiff" and not openslide_sees_all(path)


def _require_substance(info: SlideInfo, size_bytes: int) -> None:
    """Refuse a few bytes that claim a whole slide (a decompression bomb, or a damaged header)."""
    if info.vendor in _MANY_FILES and not info.name.lower().endswith(".ndpi"):
        return
    pixels = info.width_px * info.height_px
    if pixels > max(size_bytes, 1) * MAX_PX_PER_BYTE:
        raise slide_error(
            "SL006",
            info.name,
            f"{size_bytes} bytes claim {info.width_px} × {info.height_px} px",
            expected=f"at most {MAX_PX_PER_BYTE} px per byte",
        )
