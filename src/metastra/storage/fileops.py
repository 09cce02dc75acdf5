"""The file operations of a write, in one place where each of them can be made to fail.

Every writer of the package goes through the operations that are in force in the current context.
Tests put others there (`metastra.testing.faults`) and so reach every single step of a write, the
way SQLite tests its I/O errors (https://www.sqlite.org/testing.html, section 3.2).
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

__all__ = ["FileOps", "file_ops", "use_file_ops"]

Ops = TypeVar("Ops", bound="FileOps")

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP})


class FileOps:
    """The operating system's file operations; products are private to the user who made them.

    Features and tiles can be matched to a patient, so new files get mode 0600 and new folders
    0700 whatever the umask says.

    Examples
    --------
    >>> with use_file_ops(FileOps()) as ops:
    ...     file_ops() is ops
    True
    """

    def make_folder(self, path: Path) -> None:
        """Make one folder whose parent exists.

        Parameters
        ----------
        path : Path
            The folder.

        Raises
        ------
        OSError
            If it exists or cannot be made.
        """
        path.mkdir(mode=_FOLDER_MODE)

    def create(self, path: Path) -> io.FileIO:
        """Make a new file, open for writing and reading, unbuffered.

        Parameters
        ----------
        path : Path
            A name that is not taken.

        Returns
        -------
        io.FileIO
            The open file.

        Raises
        ------
        OSError
            If the name is taken or the file cannot be made.
        """
        return io.FileIO(path, "x+", opener=_open_private)

    def open_append(self, path: Path) -> io.FileIO:
        """Open a file to add to its end, making it where it is missing; unbuffered.

        Parameters
        ----------
        path : Path
            The file; a symbolic link is refused.

        Returns
        -------
        io.FileIO
            Open for reading and for writing at the end, whatever its position.

        Raises
        ------
        OSError
            If it cannot be opened.
        """
        return io.FileIO(path, "a+", opener=_open_private)

    def truncate(self, stream: io.FileIO, size: int) -> None:
        """Cut a file off.

        Parameters
        ----------
        stream : io.FileIO
            What `open_append` gave.
        size : int
            Bytes that stay.

        Raises
        ------
        OSError
            If the disk refuses.
        """
        stream.truncate(size)

    def write(self, stream: io.FileIO, data: memoryview) -> None:
        """Write all bytes; a short write is continued.

        Parameters
        ----------
        stream : io.FileIO
            What `create` gave.
        data : memoryview
            Bytes.

        Raises
        ------
        OSError
            If the disk refuses any of them.
        """
        while data:
            data = data[stream.write(data) :]

    def close(self, stream: io.FileIO) -> None:
        """Close a file; some file systems say only now that a write has failed.

        Parameters
        ----------
        stream : io.FileIO
            An open file.

        Raises
        ------
        OSError
            If an earlier write has failed.
        """
        stream.close()

    def open_back(self, path: Path) -> io.FileIO:
        """Open a file again to verify what was written.

        Parameters
        ----------
        path : Path
            A file that was closed.

        Returns
        -------
        io.FileIO
            Open for reading.

        Raises
        ------
        OSError
            If it cannot be opened.
        """
        return io.FileIO(path, "r")

    def sync(self, stream: io.FileIO) -> None:
        """Wait until the file's bytes are on the disk.

        Parameters
        ----------
        stream : io.FileIO
            An open file, also one that is open for reading.

        Raises
        ------
        OSError
            If the disk refuses.
        """
        os.fsync(stream.fileno())

    def replace(self, source: Path, target: Path) -> None:
        """Give a file its final name in one step, in place of what had the name.

        Parameters
        ----------
        source, target : Path
            In the same folder.

        Raises
        ------
        OSError
            If the name cannot be given.
        """
        source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Wait until the names in a folder are on the disk.

        File systems that cannot do this for a folder (they answer EINVAL or ENOTSUP) are left
        to their own order.

        Parameters
        ----------
        folder : Path
            A folder.

        Raises
        ------
        OSError
            If the disk refuses.
        """
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _NO_FOLDER_SYNC:
                raise
        finally:
            os.close(descriptor)

    def unlink(self, path: Path) -> None:
        """Remove a file; one that is gone already is no error.

        Parameters
        ----------
        path : Path
            A file or a link, never a folder.

        Raises
        ------
        OSError
            If it cannot be removed.
        """
        path.unlink(missing_ok=True)

    def open_lock(self, path: Path) -> int:
        """Open a lock file, making it where it is missing.

        Parameters
        ----------
        path : Path
            The lock file; a symbolic link is refused.

        Returns
        -------
        int
            Its descriptor.

        Raises
        ------
        OSError
            If it cannot be opened.
        """
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _FILE_MODE)


_IN_FORCE: ContextVar[FileOps] = ContextVar("metastra_file_ops", default=FileOps())  # noqa: B039


def file_ops() -> FileOps:
    """Give the file operations in force in this context.

    Returns
    -------
    FileOps
        The operating system's, unless `use_file_ops` put others there.

    Examples
    --------
    >>> type(file_ops()).__name__
    'FileOps'
    """
    return _IN_FORCE.get()


@contextmanager
def use_file_ops(ops: Ops) -> Iterator[Ops]:
    """Put other file operations in force for the block, in this context only.

    Parameters
    ----------
    ops : FileOps
        For instance `metastra.testing.faults.FailingOps`.

    Yields
    ------
    FileOps
        The same object.

    Examples
    --------
    >>> with use_file_ops(FileOps()) as ops:
    ...     file_ops() is ops
    True
    """
    token = _IN_FORCE.set(ops)
    try:
        yield ops
    finally:
        _IN_FORCE.reset(token)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, _FILE_MODE)
