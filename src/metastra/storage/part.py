"""The stream behind a part file: counted, digested, and honest about failures."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from metastra.errors import ConfigError, ResourceError
from metastra.storage.failures import explained
from metastra.storage.fileops import file_ops

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["Write", "fill_part"]

Write = Callable[[BinaryIO], None]
"""Writes a file's content to an open, seekable stream; it need not close it."""

_BUFFER_BYTES = 1 << 20


def fill_part(part: Path, path: Path, write: Write) -> str | None:
    """Make a part file and let a writer fill it.

    Parameters
    ----------
    part : Path
        The file to make.
    path : Path
        The file that is meant, for messages.
    write : callable
        Writes the content to a stream.

    Returns
    -------
    str or None
        SHA-256 of what was written; None if the writer went back in the file.

    Raises
    ------
    ResourceError, ConfigError
        If the disk refuses a byte, also where the writer's library hid that.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     part = Path(folder) / "part"
    ...     fill_part(part, part, lambda stream: stream.write(b"whole") and None)[:8]
    '5d5766cf'
    """
    with explained(path):
        raw = _Part(file_ops().create(part), path)
    stream = io.BufferedRandom(raw, buffer_size=_BUFFER_BYTES)
    try:
        write(cast("BinaryIO", stream))
        stream.close()
    except MemoryError:
        with explained(path):
            raise
    finally:
        failure = raw.failure
        # Where the writer failed, the rest of the buffer goes the way of the part file.
        with contextlib.suppress(OSError, ValueError):
            stream.close()
        if failure is not None:
            raise failure
    return raw.written_digest()


class _Part(io.RawIOBase):
    """A part file that goes through the file operations in force and digests what passes."""

    def __init__(self, stream: io.FileIO, path: Path) -> None:
        self._stream, self._path, self._ops = stream, path, file_ops()
        self._hasher, self._hashed = hashlib.sha256(), 0
        self._in_order = True
        self.failure: Exception | None = None

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._stream.readinto(buffer) or 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def truncate(self, size: int | None = None) -> int:
        size = self.tell() if size is None else size
        self._in_order = self._in_order and size == self._hashed
        return self._stream.truncate(size)

    def write(self, data: ReadableBuffer) -> int:
        """Write all of it."""
        block = memoryview(data).cast("B")
        position = self._stream.tell()
        with self._remembered(needed_bytes=position + len(block)):
            self._ops.write(self._stream, block)
        if position == self._hashed:
            self._hasher.update(block)
            self._hashed += len(block)
        else:
            self._in_order = False
        return len(block)

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        try:
            with self._remembered(needed_bytes=self._hashed):
                self._ops.close(self._stream)
        finally:
            with contextlib.suppress(OSError):
                self._stream.close()

    def written_digest(self) -> str | None:
        """Digest of what was written, or None where it was not written from front to back."""
        return self._hasher.hexdigest() if self._in_order else None

    @contextlib.contextmanager
    def _remembered(self, *, needed_bytes: int) -> Iterator[None]:
        """Keep the failure: libraries such as HDF5 put a vaguer one in its place."""
        try:
            with explained(self._path, needed_bytes=needed_bytes):
                yield
        except (ConfigError, ResourceError) as error:
            self.failure = self.failure or error
            raise
