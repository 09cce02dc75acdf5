"""Look at a TIFF's own numbers before OpenSlide does: it ends the process when memory runs out.

GLib, on which OpenSlide stands, aborts if it cannot get the memory for one tile; a header that
claims tiles of a billion pixels would take the whole run with it.  Only the chain of pages is
walked, each page once, and only a few tags are read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from metastra.slides.slide import slide_error

__all__ = ["MAX_PX_PER_BYTE", "MAX_TILE_PX", "TIFF_HEADS", "ndpi_channel", "require_sane_pages"]

TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of a TIFF and a BigTIFF, in both byte orders."""
MAX_TILE_PX = 1 << 26
"""Largest tile (8192 × 8192 px, 268 MB once decoded); scanners use 240 to 4096 a side."""
MAX_PX_PER_BYTE = 100_000
"""Most pixels for a byte of the file; an empty slide in the densest codec has a hundredth of it."""

_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323
_NDPI_FORMAT, _NDPI_FILTERS = 65420, 65434
_NEEDED = {270: "description", 273: "strips", 279: "strips", 324: "tiles", 325: "tiles"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 13: 4, 16: 8}  # bytes of a value, by its TIFF type
_FORMATS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_MAX_PAGES, _MAX_TAGS, _MAX_TEXT = 1000, 1000, 1000
_UNREADABLE = (struct.error, OSError, OverflowError, ValueError)

_END, _END_OF = -1, -2  # not tags: where the last needed value of a page ends, and what it is
_Tags = dict[int, int | str]


class _CircularPagesError(Exception):
    """A page names an earlier one as its next."""


def require_sane_pages(path: Path) -> None:
    """Refuse a TIFF with a page or a tile that no scanner writes.

    A structure that cannot be followed is left to the reader, which says what is wrong with it.

    Parameters
    ----------
    path : Path
        A TIFF or BigTIFF file.

    Raises
    ------
    SlideError
        SL006 if a tile is above `MAX_TILE_PX` or a page claims more than `MAX_PX_PER_BYTE` pixels
        for each byte of the file; SL004 if a page or a tile has no pixels, if the file ends
        before a page's description or list of tiles, or if the pages go round in a circle.
    """
    try:
        _check_pages(path.name, path.stat().st_size, _pages(path))
    except _CircularPagesError as error:
        raise slide_error("SL004", path.name, "its pages go round in a circle") from error


def _check_pages(name: str, size_bytes: int, pages: Iterator[_Tags]) -> None:
    for number, tags in enumerate(pages):
        width, height = (int(tags.get(tag, 1)) for tag in (_WIDTH, _HEIGHT))
        tile_w, tile_h = (int(tags.get(tag, 1)) for tag in (_TILE_WIDTH, _TILE_HEIGHT))
        if (needs := int(tags.get(_END, 0))) > size_bytes:
            what = tags.get(_END_OF, "")
            raise slide_error(
                "SL004",
                name,
                f"the file ends after {size_bytes} bytes; the {what} of page {number} "
                f"would end at {needs}",
            )
        if not width * height * tile_w * tile_h:
            raise slide_error("SL004", name, f"page {number} has a size of 0 px")
        if tile_w * tile_h > MAX_TILE_PX:
            raise slide_error(
                "SL006",
                name,
                f"page {number} has tiles of {tile_w} × {tile_h} px",
                expected=f"at most {MAX_TILE_PX} px",
            )
        if width * height > size_bytes * MAX_PX_PER_BYTE:
            raise slide_error(
                "SL006",
                name,
                f"{size_bytes} bytes claim {width} × {height} px",
                expected=f"at most {MAX_PX_PER_BYTE} px per byte",
            )


def ndpi_channel(path: Path) -> str:
    """Read the filter set that Hamamatsu writes into fluorescence slides.

    Parameters
    ----------
    path : Path
        An NDPI file.

    Returns
    -------
    str
        Empty for a brightfield slide.
    """
    tags = next(_pages(path), {})
    return str(tags.get(_NDPI_FILTERS, "")).strip()


def _pages(path: Path) -> Iterator[_Tags]:
    """Walk over the chain of pages as far as it can be followed."""
    try:
        with path.open("rb") as stream:
            yield from _chain(stream, ndpi=path.suffix.lower() == ".ndpi")
    except _UNREADABLE:
        return


def _chain(stream: BinaryIO, *, ndpi: bool) -> Iterator[_Tags]:
    order = "<" if stream.read(2) == b"II" else ">"
    big = _one(stream, order + "H") == 43
    if big:
        stream.seek(8)
    # NDPI is a classic TIFF with places of 8 bytes, the upper halves of values behind the page
    count_form, size = ("Q", 20) if big else ("H", 12)
    seen: set[int] = set()
    offset = _one(stream, order + ("Q" if big or ndpi else "I"))
    size_bytes = stream.seek(0, 2)
    while offset and len(seen) < _MAX_PAGES:
        if offset in seen:
            raise _CircularPagesError
        seen.add(offset)
        if offset + struct.calcsize(order + count_form) > size_bytes:
            # cut short: a later page is missing, if not all of them
            yield {_END: offset + 1, _END_OF: "tags"}
            return
        stream.seek(offset)
        count = _one(stream, order + count_form)
        if count > _MAX_TAGS:
            return
        entries = stream.read(count * size)
        if len(entries) < count * size:
            yield {_END: stream.tell() - len(entries) + count * size, _END_OF: "tags"}
            return
        ndpi = ndpi or (not big and _holds(entries, order, _NDPI_FORMAT))
        offset = _one(stream, order + ("Q" if big or ndpi else "I"))
        upper = stream.read(4 * count) if ndpi else b""
        yield dict(_wanted(stream, entries, upper, order=order, size=size))


def _holds(entries: bytes, order: str, tag: int) -> bool:
    return any(
        entries[begin : begin + 2] == struct.pack(order + "H", tag)
        for begin in range(0, len(entries), 12)
    )


def _wanted(
    stream: BinaryIO, entries: bytes, upper: bytes, *, order: str, size: int
) -> Iterator[tuple[int, int | str]]:
    """Read the wanted tags: whole numbers that stand in the entry, and NDPI's filter set."""
    value_at = 12 if size == 20 else 8
    length_form, place_form = ("Q", "Q") if size == 20 else ("I", "I")
    furthest = 0
    for begin in range(0, len(entries), size):
        entry = entries[begin : begin + size]
        tag, kind = struct.unpack(order + "HH", entry[:4])
        if tag in _NEEDED and kind in _SIZES and not upper:
            length = struct.unpack(order + length_form, entry[4:value_at])[0] * _SIZES[kind]
            end = struct.unpack(order + place_form, entry[value_at:])[0] + length
            if length > size - value_at and end > furthest:
                furthest = end
                yield _END, end
                yield _END_OF, _NEEDED[tag]
        if tag in (_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT) and kind in _FORMATS:
            form = order + _FORMATS[kind]
            yield tag, struct.unpack(form, entry[value_at : value_at + struct.calcsize(form)])[0]
        elif tag == _NDPI_FILTERS and kind == 2 and upper:
            length, low = struct.unpack(order + "II", entry[4:12])
            high = struct.unpack(order + "I", upper[begin // 3 : begin // 3 + 4])[0]
            text = entry[8:12][:length]
            if length > 4:
                stream.seek(low + (high << 32))
                text = stream.read(min(length, _MAX_TEXT))
            yield tag, text.rstrip(b"\0").decode("latin-1")


def _one(stream: BinaryIO, form: str) -> int:
    value: int = struct.unpack(form, stream.read(struct.calcsize(form)))[0]
    return value
