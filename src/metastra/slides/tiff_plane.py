"""One picture of a TIFF file, read piece by piece: where its tiles or strips lie, and their pixels.

tifffile finds the offsets; the bytes are read and unpacked here, one tile or strip at a time, so
that memory does not grow with the slide and a damaged piece spoils nothing but itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from metastra.slides.tiff_codec import Coding, DecodeError, unpack, unpack_into

__all__ = ["MAX_PIECE_BYTES", "Plane", "TooLarge", "plane_of"]

MAX_PIECE_BYTES = 1 << 28
"""Largest tile or strip, unpacked (268 MB); some writers put a whole picture into one strip."""

_ROWS_BYTES = 1 << 20  # an unpacked strip is read in runs of about this size
_CONTIGUOUS = 1


class TooLarge(DecodeError):
    """A tile or strip would need more memory than is allowed."""


@dataclass(frozen=True, kw_only=True)
class Plane:
    """One picture of a TIFF file, tiled or in strips.

    Parameters
    ----------
    width_px, height_px, samples : int
        Its shape; samples are those stored together.
    piece_width_px, piece_height_px : int
        Size of a tile or strip.
    tiled : bool
        Whether the pieces at the edge are whole; the last strip is as short as need be.
    offsets, counts : tuple of int
        Where each piece lies and how many bytes it has; 0 bytes is a piece that was never written.
    coding : Coding
        How the pieces are stored.
    """

    width_px: int
    height_px: int
    samples: int
    piece_width_px: int
    piece_height_px: int
    tiled: bool
    offsets: tuple[int, ...] = field(repr=False)
    counts: tuple[int, ...] = field(repr=False)
    coding: Coding

    @cached_property
    def across(self) -> int:
        """Number of pieces from left to right."""
        return math.ceil(self.width_px / self.piece_width_px)

    def pieces(
        self, left: int, top: int, width: int, height: int
    ) -> Iterator[tuple[int, int, int]]:
        """List the pieces that a rectangle touches.

        Parameters
        ----------
        left, top, width, height : int
            Rectangle in pixels, inside the plane.

        Yields
        ------
        tuple of int
            Position of the piece, and x and y of its corner.
        """
        w, h = self.piece_width_px, self.piece_height_px
        for row in range(top // h, math.ceil((top + height) / h)):
            for column in range(left // w, math.ceil((left + width) / w)):
                yield row * self.across + column, column * w, row * h

    def read_piece(self, stream: BinaryIO, number: int) -> NDArray[Any] | None:
        """Read and unpack one piece.

        Parameters
        ----------
        stream : binary file
            The open file.
        number : int
            Position of the piece.

        Returns
        -------
        ndarray, shape (h, w, samples), or None
            Its pixels; the last strip may be shorter.  None for a piece that was never written.

        Raises
        ------
        DecodeError
            If its bytes are missing or cannot be unpacked.
        """
        if not self.is_written(number):
            return None
        height = self.piece_height_px
        if not self.tiled:
            height = min(height, self.height_px - number // self.across * height)
        shape = (height, self.piece_width_px, self.samples)
        return unpack(self.coding, self._stored(stream, number, math.prod(shape)), shape)

    def read_piece_into(self, stream: BinaryIO, number: int, out: NDArray[Any]) -> None:
        """Read and unpack one tile into memory that is there already; several threads may.

        Parameters
        ----------
        stream : binary file
            The open file; where it stands is neither used nor changed.
        number : int
            Position of a tile that was written.
        out : ndarray, shape (piece_height_px, piece_width_px, samples)
            Contiguous; is filled.

        Raises
        ------
        DecodeError
            If its bytes are missing or cannot be unpacked.
        """
        unpack_into(self.coding, self._stored(stream, number, out.size), out)

    def is_written(self, number: int) -> bool:
        """Say whether a piece was ever written.

        Parameters
        ----------
        number : int
            Position of the piece.

        Returns
        -------
        bool
            False for a hole, which the format allows.

        Raises
        ------
        DecodeError
            If the file does not say where it lies.
        """
        if number >= len(self.offsets):
            raise DecodeError("its place is missing from the file")
        return bool(self.offsets[number] and self.counts[number])

    def _stored(self, stream: BinaryIO, number: int, n_values: int) -> bytes:
        """Read the bytes of a piece, if they can belong to so many values."""
        wanted, count = n_values * self.coding.dtype.itemsize, self.counts[number]
        if count > 2 * wanted + (1 << 20):
            raise DecodeError(f"{count} bytes for {wanted} bytes of pixels")
        data = os.pread(stream.fileno(), count, self.offsets[number])
        if len(data) < count:
            raise DecodeError(f"the file ends {count - len(data)} bytes before the end of it")
        return data


def plane_of(page: Any, *, sample: int | None = None) -> Plane:
    """Describe one page of tifffile.

    Parameters
    ----------
    page : tifffile.TiffPage or tifffile.TiffFrame
        The page.
    sample : int, optional
        Which of the samples that are stored in separate planes; None for those stored together.

    Returns
    -------
    Plane
        Ready to be read.

    Raises
    ------
    DecodeError
        If its tags contradict each other.
    TooLarge
        If a piece would be above `MAX_PIECE_BYTES`.
    """
    key = page.keyframe
    tiled = bool(key.is_tiled)
    width, height = int(key.imagewidth), int(key.imagelength)
    piece_w = int(key.tilewidth) if tiled else width
    piece_h = int(key.tilelength) if tiled else min(int(key.rowsperstrip) or height, height)
    if min(width, height, piece_w, piece_h) < 1 or key.dtype is None:
        raise DecodeError("a size of 0, or no kind of number")
    together = int(key.planarconfig) == _CONTIGUOUS
    samples = int(key.samplesperpixel) if together else 1
    dtype = np.dtype(key.dtype).newbyteorder(key.parent.byteorder)
    if piece_w * piece_h * samples * dtype.itemsize > MAX_PIECE_BYTES and int(key.compression) != 1:
        raise TooLarge(
            f"a tile or strip of {piece_w} × {piece_h} px is above {MAX_PIECE_BYTES} bytes"
        )
    offsets, counts = tuple(map(int, page.dataoffsets)), tuple(map(int, page.databytecounts))
    if len(offsets) != len(counts):
        raise DecodeError(f"{len(offsets)} offsets but {len(counts)} byte counts")
    if sample is not None and not together:
        each = math.ceil(width / piece_w) * math.ceil(height / piece_h)
        offsets, counts = (p[sample * each : (sample + 1) * each] for p in (offsets, counts))
    plane = Plane(
        width_px=width,
        height_px=height,
        samples=samples,
        piece_width_px=piece_w,
        piece_height_px=piece_h,
        tiled=tiled,
        offsets=offsets,
        counts=counts,
        coding=Coding(
            dtype=dtype,
            compression=int(key.compression),
            photometric=int(key.photometric),
            predictor=int(key.predictor),
            tables=bytes(key.jpegtables or b""),
        ),
    )
    return _in_runs(plane)


def _in_runs(plane: Plane) -> Plane:
    """Cut strips that are not compressed into short runs of rows: only those needed are read."""
    row_bytes = plane.width_px * plane.samples * plane.coding.dtype.itemsize
    rows, strip = max(1, _ROWS_BYTES // row_bytes), plane.piece_height_px
    if plane.tiled or plane.coding.compression != 1 or rows >= strip:
        return plane
    if row_bytes > MAX_PIECE_BYTES:
        raise TooLarge(f"a row of {row_bytes} bytes is above {MAX_PIECE_BYTES}")
    if len(plane.offsets) > 1:
        rows = math.gcd(rows, strip)
    offsets, counts = [], []
    for number, (offset, count) in enumerate(zip(plane.offsets, plane.counts, strict=True)):
        height = min(strip, plane.height_px - number * strip)
        for top in range(0, height, rows):
            wanted = min(rows, height - top) * row_bytes
            there = min(max(count - top * row_bytes, 0), wanted)
            offsets.append(offset + top * row_bytes if offset else 0)
            # 0 bytes would mean a piece that was never written; this one was cut short
            counts.append(max(there, 1) if count else 0)
    return replace(plane, piece_height_px=rows, offsets=tuple(offsets), counts=tuple(counts))
