"""Unpack one tile or strip of a TIFF file into pixels, whatever its compression.

Every decoder is told how many bytes it may give: a piece that holds more, or less, is an error and
never more memory.  JPEG goes through libjpeg-turbo with its colour model said outright: Aperio
stores JPEG in RGB without a mark, and a decoder that guesses gives wrong colours.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from metastra.slides.lzw_kernel import lzw_decode, packbits_decode

__all__ = [
    "JPEG",
    "JPEG_XL",
    "OWN",
    "THROUGH_IMAGECODECS",
    "Coding",
    "DecodeError",
    "MissingCodec",
    "splice",
    "unpack",
    "unpack_into",
]

JPEG = 7
JPEG_XL = (50002, 52546)
OWN = {1: "none", 5: "LZW", 7: "JPEG", 8: "Deflate", 32773: "PackBits", 32946: "Deflate"}
"""TIFF compressions that are unpacked here, by their number (tag 259)."""
THROUGH_IMAGECODECS = {
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34925: "LZMA",
    50000: "Zstandard",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
"""TIFF compressions that need the extra ``formats``."""

_RGB, _YCBCR = 2, 6
_START = b"\xff\xd8"
_TABLES = frozenset({0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)})
"""JPEG segments that may stand before the frame: tables, comments, what applications say."""
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_HORIZONTAL = 2  # predictor: each sample is the difference to the one on its left


class DecodeError(ValueError):
    """A tile, a strip or a page cannot be unpacked; the reader names the slide and the place."""


class MissingCodec(DecodeError):
    """A compression needs a package that is not installed."""


@dataclass(frozen=True, kw_only=True)
class Coding:
    """How the tiles or strips of a page are stored.

    Parameters
    ----------
    dtype : numpy dtype
        Of the samples, with the file's byte order.
    compression, photometric, predictor : int
        TIFF's numbers (tags 259, 262, 317).
    tables : bytes
        JPEG tables that all pieces share; empty where there are none.
    """

    dtype: np.dtype[Any]
    compression: int
    photometric: int
    predictor: int = 1
    tables: bytes = field(default=b"", repr=False)

    @cached_property
    def jpeg_head(self) -> bytes:
        """What every JPEG tile of three samples begins with once it is whole; see `splice`."""
        return _head(self.tables, self.photometric)

    @cached_property
    def has_plain_head(self) -> bool:
        """Whether `jpeg_head` has no frame, no scan and nothing unknown: a tile has its own."""
        head = self.jpeg_head
        return _after_tables(head) == len(head)


def unpack(coding: Coding, data: bytes, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Unpack one tile or strip.

    Parameters
    ----------
    coding : Coding
        How it is stored.
    data : bytes
        Its bytes as they lie in the file.
    shape : tuple of int
        Height, width and samples that it must have.

    Returns
    -------
    ndarray, shape `shape`
        In the machine's byte order.

    Raises
    ------
    DecodeError
        If the bytes are damaged, or give another number of pixels.
    MissingCodec
        If the compression needs the extra ``formats``.
    """
    if coding.compression == JPEG:
        return _jpeg(data, coding, shape)
    wanted = shape[0] * shape[1] * shape[2] * coding.dtype.itemsize
    if coding.compression in OWN:
        raw = _raw(coding.compression, data, wanted)
    elif coding.compression in JPEG_XL:
        return _jpeg_xl(coding, data, shape)
    elif coding.compression in THROUGH_IMAGECODECS:
        raw = _through_imagecodecs(coding.compression, data, wanted)
    else:
        raise DecodeError(f"compression {coding.compression} is not read")
    if raw.size < wanted:
        raise DecodeError(f"{raw.size} bytes of pixels instead of {wanted}")
    stored = coding.dtype
    if coding.compression in (33003, 33004, 33005, 34712):
        stored = stored.newbyteorder("=")
    pixels = raw[:wanted].view(stored).reshape(shape)
    pixels = pixels.astype(coding.dtype.newbyteorder("="), copy=False)
    if coding.predictor == _HORIZONTAL:
        if coding.dtype.kind != "u":
            raise DecodeError("a horizontal predictor on numbers that are not whole")
        pixels = np.cumsum(pixels, axis=1, dtype=pixels.dtype)
    elif coding.predictor != 1:
        raise DecodeError(f"predictor {coding.predictor} is not read")
    return pixels


def unpack_into(coding: Coding, data: bytes, out: NDArray[Any]) -> None:
    """Unpack one tile or strip into memory that is there already.

    A JPEG is decoded straight into it; memory that is used again costs no page faults, which for
    a tile of 256 px take a third as long as its decoding.

    Parameters
    ----------
    coding : Coding
        How it is stored.
    data : bytes
        Its bytes as they lie in the file.
    out : ndarray, shape (height, width, samples)
        Contiguous; is filled.

    Raises
    ------
    DecodeError, MissingCodec
        As for `unpack`; what `out` then holds is not said.
    """
    height, width, samples = out.shape
    if coding.compression == JPEG and samples == 3 and out.dtype == np.uint8:
        whole = _whole(coding.jpeg_head, data)
        if coding.has_plain_head and _frame(data) == (height, width, samples):
            try:
                found = simplejpeg.decode_jpeg(whole, colorspace="RGB", buffer=out)
            except (ValueError, MemoryError) as error:
                raise DecodeError(str(error)) from error
            if found.shape == out.shape:
                return
    out[...] = unpack(coding, data, (height, width, samples))


def _raw(compression: int, data: bytes, wanted: int) -> NDArray[np.uint8]:
    packed = np.frombuffer(data, dtype=np.uint8)
    if compression == 1:
        return packed
    if compression in (8, 32946):
        try:
            # one byte more than wanted would be allowed to come, no more
            return np.frombuffer(zlib.decompressobj().decompress(data, wanted + 1), dtype=np.uint8)
        except zlib.error as error:
            raise DecodeError(str(error)) from error
    out = np.empty(wanted, dtype=np.uint8)
    written = (lzw_decode if compression == 5 else packbits_decode)(packed, out)
    if written < 0:
        raise DecodeError("an LZW code that was never defined")
    return out[:written]


def _imagecodecs(compression: int) -> Any:
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingCodec(THROUGH_IMAGECODECS[compression]) from error
    return imagecodecs


def _jpeg_xl(coding: Coding, data: bytes, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Decode into memory of the right size: another size or another number type is an error."""
    imagecodecs = _imagecodecs(coding.compression)
    pixels = np.empty(shape, dtype=coding.dtype.newbyteorder("="))
    try:
        imagecodecs.jpegxl_decode(
            data, numthreads=1, out=pixels[..., 0] if shape[2] == 1 else pixels
        )
    except (RuntimeError, ValueError, MemoryError) as error:
        raise DecodeError(str(error)) from error
    return pixels


def _through_imagecodecs(compression: int, data: bytes, wanted: int) -> NDArray[np.uint8]:
    imagecodecs = _imagecodecs(compression)
    try:
        if compression == 50000:
            return np.frombuffer(imagecodecs.zstd_decode(data, out=wanted), dtype=np.uint8)
        if compression == 34925:
            return np.frombuffer(imagecodecs.lzma_decode(data, out=wanted), dtype=np.uint8)
        pixels = imagecodecs.jpeg2k_decode(data)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise DecodeError(str(error)) from error
    return np.ascontiguousarray(pixels).view(np.uint8).reshape(-1)


def _jpeg(data: bytes, coding: Coding, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    height, width, samples = shape
    if coding.dtype.itemsize != 1 or samples not in (1, 3):
        raise DecodeError(f"JPEG with {samples} samples of {coding.dtype.itemsize} bytes")
    whole = splice(data, coding.tables, coding.photometric if samples == 3 else None)
    try:
        found_h, found_w, colours, _ = simplejpeg.decode_jpeg_header(whole)
        if found_w != width or not 0 < found_h <= height or (colours == "Gray") != (samples == 1):
            raise DecodeError(
                f"a JPEG of {found_w} × {found_h} px ({colours}) where {width} × {height} px with "
                f"{samples} samples belong"
            )
        pixels = simplejpeg.decode_jpeg(whole, colorspace="GRAY" if samples == 1 else "RGB")
    except (ValueError, MemoryError) as error:
        raise DecodeError(str(error)) from error
    if found_h < height:  # some writers cut the last tiles at the edge of the slide
        fill = np.zeros((height - found_h, width, samples), dtype=np.uint8)
        pixels = np.concatenate([pixels.reshape(found_h, width, samples), fill])
    return np.asarray(pixels, dtype=np.uint8).reshape(shape)


def splice(data: bytes, tables: bytes, photometric: int | None) -> bytes:
    """Make a whole JPEG of a tile's bytes, the shared tables and an outright colour model.

    Parameters
    ----------
    data : bytes
        The tile as it lies in the file.
    tables : bytes
        The tables that all tiles share, themselves a JPEG without pixels; may be empty.
    photometric : int or None
        2 for RGB, 6 for YCbCr; None for grey.

    Returns
    -------
    bytes
        A JPEG that any decoder reads in the right colours.

    Raises
    ------
    DecodeError
        If the tile or the tables do not begin as a JPEG.
    """
    return _whole(_head(tables, photometric), data)


def _head(tables: bytes, photometric: int | None) -> bytes:
    """Give the start of image, an outright colour model and the shared tables."""
    if tables and tables[:2] != _START:
        raise DecodeError("no JPEG")
    mark = b""
    if photometric in (_RGB, _YCBCR):
        transform = 0 if photometric == _RGB else 1
        mark = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])
    return _START + mark + tables[2:].removesuffix(b"\xff\xd9")


def _whole(head: bytes, data: bytes) -> bytes:
    if data[:2] != _START:
        raise DecodeError("no JPEG")
    return head + data[2:]


def _after_tables(jpeg: bytes) -> int:
    """Give the place after the segments that may stand before the frame."""
    at = 2
    while len(jpeg) >= at + 4 and jpeg[at] == 0xFF and jpeg[at + 1] in _TABLES:
        at += 2 + (jpeg[at + 2] << 8 | jpeg[at + 3])
    return at


def _frame(jpeg: bytes) -> tuple[int, int, int] | None:
    """Read height, width and samples from a JPEG whose head is as usual; None for any other."""
    at = _after_tables(jpeg)
    if len(jpeg) < at + 10 or jpeg[at] != 0xFF or jpeg[at + 1] not in _FRAMES:
        return None
    return jpeg[at + 5] << 8 | jpeg[at + 6], jpeg[at + 7] << 8 | jpeg[at + 8], jpeg[at + 9]
