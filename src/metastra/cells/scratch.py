"""Memory that is used again and again for the maps of one picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scratch"]

_CHUNK_BYTES = 1 << 20
_ALIGNED_BYTES = 64
_MOST_KNOWN = 2000


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
        # chunk and byte where the next array is cut
        self.place = (0, 0)
        # what was taken at a place before is taken again: the same steps come for every picture
        self._known: dict[tuple[Any, ...], tuple[NDArray[Any], tuple[int, int]]] = {}

    def take(self, shape: tuple[int, ...], dtype: type = np.float32) -> NDArray[Any]:
        """Take an array; what stands in it is not known.

        Parameters
        ----------
        shape : tuple of int
            Of the array.
        dtype : type
            Of the array.

        Returns
        -------
        ndarray of shape `shape`
            In rows, aligned to 64 bytes.
        """
        key = (self.place, shape, dtype)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[key] = self._cut(shape, dtype)
        array, self.place = known
        return array

    def _cut(self, shape: tuple[int, ...], dtype: type) -> tuple[NDArray[Any], tuple[int, int]]:
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        n_bytes += -n_bytes % _ALIGNED_BYTES
        chunk, start = self.place
        while chunk < len(self._chunks) and start + n_bytes > self._chunks[chunk].size:
            chunk, start = chunk + 1, 0
        if chunk == len(self._chunks):
            self._chunks.append(_aligned(max(_CHUNK_BYTES, n_bytes)))
        array: NDArray[Any] = np.ndarray(shape, dtype, self._chunks[chunk], start)
        return array, (chunk, start + n_bytes)

    def frame(self) -> _Frame:
        """Give back at its end what is taken inside.

        Returns
        -------
        context manager
            For one ``with``.
        """
        return _Frame(self)


class _Frame:
    """Puts a pile back to where it stood; a class, since it is made hundreds of times a tile."""

    __slots__ = ("_before", "_scratch")

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch

    def __enter__(self) -> None:
        self._before = self._scratch.place

    def __exit__(self, *_: object) -> None:
        self._scratch.place = self._before


def _aligned(n_bytes: int) -> NDArray[np.uint8]:
    raw = np.empty(n_bytes + _ALIGNED_BYTES, np.uint8)
    start = -raw.ctypes.data % _ALIGNED_BYTES
    return raw[start : start + n_bytes]
