"""Compiled decoders of TIFF's own compressions: LZW and PackBits.

Both write into a buffer of known size and stop at its end, so that no data, however damaged, make
them ask for more memory or run on.  LZW follows TIFF 6.0, section 13: codes of 9 to 12 bits, most
significant bit first, the width growing one code early.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["lzw_decode", "packbits_decode"]

_CLEAR, _END, _FIRST, _CODES = 256, 257, 258, 4096


@njit(cache=True)
def _write_string(
    out: NDArray[np.uint8],
    begin: int,
    end: int,
    code: int,
    prefix: NDArray[np.int32],
    last: NDArray[np.uint8],
) -> None:
    """Write a code's string from its last byte to its first, as far as there is room."""
    for place in range(end - 1, begin - 1, -1):
        if place < out.size:
            out[place] = last[code]
        code = prefix[code]


@njit(cache=True)
def lzw_decode(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> int:
    """Unpack LZW.

    Parameters
    ----------
    data : ndarray of uint8, shape (n,)
        Compressed bytes.
    out : ndarray of uint8, shape (m,)
        Is filled.

    Returns
    -------
    int
        Bytes that were written; −1 if a code is used before it is defined.
    """
    prefix = np.zeros(_CODES, dtype=np.int32)
    last = np.zeros(_CODES, dtype=np.uint8)
    length = np.ones(_CODES, dtype=np.int32)
    for code in range(256):
        last[code] = code
    free, width, previous = _FIRST, 9, -1
    held, bits, at, written = 0, 0, 0, 0
    while written < out.size:
        while bits < width:
            if at >= data.size:
                return written
            held = ((held << 8) | data[at]) & 0xFFFFFF
            at += 1
            bits += 8
        bits -= width
        code = (held >> bits) & ((1 << width) - 1)
        if code == _END:
            return written
        if code == _CLEAR:
            free, width, previous = _FIRST, 9, -1
            continue
        if code > free or (code == free and previous < 0) or (previous < 0 and code >= 256):
            return -1
        fresh = code == free  # the string is the last one and its own first byte
        source = previous if fresh else code
        size = length[source] + (1 if fresh else 0)
        end = written + length[source]
        _write_string(out, written, end, source, prefix, last)
        first = out[written]
        if fresh and end < out.size:
            out[end] = first
        if previous >= 0 and free < _CODES:
            prefix[free], last[free] = previous, first
            length[free] = length[previous] + 1
            free += 1
        written = min(written + size, out.size)
        previous = code
        if free + 1 >= (1 << width) and width < 12:
            width += 1
    return written


@njit(cache=True)
def packbits_decode(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> int:
    """Unpack PackBits (TIFF 6.0, section 9).

    Parameters
    ----------
    data : ndarray of uint8, shape (n,)
        Compressed bytes.
    out : ndarray of uint8, shape (m,)
        Is filled.

    Returns
    -------
    int
        Bytes that were written.
    """
    at, written = 0, 0
    while at < data.size and written < out.size:
        head = int(data[at])
        at += 1
        if head < 128:
            for _ in range(head + 1):
                if at < data.size and written < out.size:
                    out[written] = data[at]
                    at += 1
                    written += 1
        elif head > 128 and at < data.size:
            for _ in range(257 - head):
                if written < out.size:
                    out[written] = data[at]
                    written += 1
            at += 1
    return written
