"""Memory that is used again and again for the maps of one picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Scratch"]

_CHUNK_BYTES = 1 << 20
_ALIGNED_BYTES = 64


class Scratch:
    """A pile of memory from which arrays are taken, and to which a whole frame is given back.

    A fresh map costs more than most measures of it: the system hands out its memory page by page,
    and clears each.  What is taken here has been touched before.

    Notes
    -----
    Arrays of a frame that was left are written over by the next ones.  What outlives the frame has
    to be taken before it or copied.  One pile serves one thread.

    Examples
    --------
    >>> scratch = Scratch()
    >>> with scratch.frame():
    ...     one = scratch.take((2, 3))
    >>> with scratch.frame():
    ...     two = scratch.take((2, 3))
    >>> one.dtype.name, np.shares_memory(one, two)
    ('float32', True)
    """

    def __init__(self) -> None:
        self._chunks: list[NDArray[np.uint8]] = []
        self._chunk = 0
        self._used = 0

    def take(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """Take an array; what stands in it is not known.

        Parameters
        ----------
        shape : tuple of int
            Of the array.
        dtype : dtype
            Of the array.

        Returns
        -------
        ndarray of shape `shape`
            In rows, aligned to 64 bytes.
        """
        n_bytes = int(np.dtype(dtype).itemsize)
        for side in shape:
            n_bytes *= side
        n_bytes += -n_bytes % _ALIGNED_BYTES
        while self._chunk < len(self._chunks):
            if self._used + n_bytes <= self._chunks[self._chunk].size:
                break
            self._chunk, self._used = self._chunk + 1, 0
        else:
            self._chunks.append(_aligned(max(_CHUNK_BYTES, n_bytes)))
        start = self._used
        self._used += n_bytes
        return np.ndarray(shape, dtype, self._chunks[self._chunk], start)

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Give back at its end what is taken inside."""
        before = self._chunk, self._used
        try:
            yield
        finally:
            self._chunk, self._used = before


def _aligned(n_bytes: int) -> NDArray[np.uint8]:
    raw = np.empty(n_bytes + _ALIGNED_BYTES, np.uint8)
    start = -raw.ctypes.data % _ALIGNED_BYTES
    return raw[start : start + n_bytes]
