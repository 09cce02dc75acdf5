"""File operations that fail or kill at a chosen step."""

from __future__ import annotations

import errno
import io
import os
import signal
from pathlib import Path

from metastra.storage import FileOps

__all__ = ["CountingOps", "FailingOps", "KillingOps"]


class CountingOps(FileOps):
    """The real operations, counted.

    Attributes
    ----------
    steps : list of str
        The operations so far, for instance ``"write"``.

    Examples
    --------
    >>> import tempfile
    >>> from metastra.storage import use_file_ops, write_atomically
    >>> with tempfile.TemporaryDirectory() as folder, use_file_ops(CountingOps()) as ops:
    ...     _ = write_atomically(Path(folder) / "a", lambda stream: stream.write(b"x") and None)
    >>> ops.steps
    ['create', 'write', 'close', 'open_back', 'sync', 'replace', 'sync_folder']
    """

    def __init__(self) -> None:
        self.steps: list[str] = []

    def make_folder(self, path: Path) -> None:
        """Count, then do it; see `FileOps.make_folder`."""
        self._step("make_folder")
        super().make_folder(path)

    def create(self, path: Path) -> io.FileIO:
        """Count, then do it; see `FileOps.create`."""
        self._step("create")
        return super().create(path)

    def open_append(self, path: Path) -> io.FileIO:
        """Count, then do it; see `FileOps.open_append`."""
        self._step("open_append")
        return super().open_append(path)

    def truncate(self, stream: io.FileIO, size: int) -> None:
        """Count, then do it; see `FileOps.truncate`."""
        self._step("truncate")
        super().truncate(stream, size)

    def write(self, stream: io.FileIO, data: memoryview) -> None:
        """Count, then do it; where it is to be disturbed, half of the bytes get through.

        See `FileOps.write`.
        """
        if self._is_next():
            super().write(stream, data[: len(data) // 2])
        self._step("write")
        super().write(stream, data)

    def close(self, stream: io.FileIO) -> None:
        """Count, then do it; see `FileOps.close`."""
        self._step("close")
        super().close(stream)

    def open_back(self, path: Path) -> io.FileIO:
        """Count, then do it; see `FileOps.open_back`."""
        self._step("open_back")
        return super().open_back(path)

    def sync(self, stream: io.FileIO) -> None:
        """Count, then do it; see `FileOps.sync`."""
        self._step("sync")
        super().sync(stream)

    def replace(self, source: Path, target: Path) -> None:
        """Count, then do it; see `FileOps.replace`."""
        self._step("replace")
        super().replace(source, target)

    def sync_folder(self, folder: Path) -> None:
        """Count, then do it; see `FileOps.sync_folder`."""
        self._step("sync_folder")
        super().sync_folder(folder)

    def unlink(self, path: Path) -> None:
        """Count, then do it; see `FileOps.unlink`."""
        self._step("unlink")
        super().unlink(path)

    def open_lock(self, path: Path) -> int:
        """Count, then do it; see `FileOps.open_lock`."""
        self._step("open_lock")
        return super().open_lock(path)

    def _is_next(self) -> bool:
        """Whether the next step is to be disturbed."""
        return False

    def _disturb(self) -> None:
        """Disturb the present step."""

    def _step(self, name: str) -> None:
        disturbed = self._is_next()
        self.steps.append(name)
        if disturbed:
            self._disturb()


class FailingOps(CountingOps):
    """The real operations, one of which fails.

    Parameters
    ----------
    step : int
        Which one, from 1.
    error : int
        Its ``errno``, for instance ``errno.ENOSPC``.
    persistent : bool
        Whether all later operations fail too, as on a disk that died.

    Examples
    --------
    >>> import tempfile
    >>> from metastra.storage import use_file_ops, write_atomically
    >>> with tempfile.TemporaryDirectory() as folder, use_file_ops(FailingOps(2)):
    ...     write_atomically(Path(folder) / "a", lambda stream: stream.write(b"x") and None)
    Traceback (most recent call last):
    ...
    metastra.errors.ResourceError: ...a: the disk is full (at least 1 bytes needed, ...
    """

    def __init__(self, step: int, error: int = errno.ENOSPC, *, persistent: bool = False) -> None:
        super().__init__()
        self._at, self._error, self._persistent = step, error, persistent

    def _is_next(self) -> bool:
        number = len(self.steps) + 1
        return number == self._at or (self._persistent and number > self._at)

    def _disturb(self) -> None:
        raise OSError(self._error, os.strerror(self._error))


class KillingOps(CountingOps):
    """The real operations, before one of which the process kills itself with signal 9.

    Parameters
    ----------
    step : int
        Which one, from 1.
    """

    def __init__(self, step: int) -> None:
        super().__init__()
        self._at = step

    def _is_next(self) -> bool:
        return len(self.steps) + 1 == self._at

    def _disturb(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
