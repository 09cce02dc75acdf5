"""Writing bytes that are at hand, or come one after another, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from metastra.storage.atomic import write_atomically

__all__ = ["write_bytes", "write_parts"]


def write_bytes(path: Path, data: bytes) -> str:
    """Write bytes so that the file's name only ever shows all of them.

    Parameters
    ----------
    path : Path
        The file; missing folders are made, and it is readable by its owner alone.
    data : bytes
        Its content.

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    ResourceError, ConfigError, DigestMismatch
        As `write_atomically`; the old file is as it was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.txt"
    ...     digest = write_bytes(path, b"whole")
    ...     print(path.read_bytes(), digest[:8])
    b'whole' 5d5766cf
    """
    return write_parts(path, (data,))


def write_parts(path: Path, parts: Iterable[bytes]) -> str:
    """Write what comes piece by piece so that the file's name only ever shows all of it.

    Parameters
    ----------
    path : Path
        As `write_bytes`.
    parts : iterable of bytes
        Its content, gone through once.

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    ResourceError, ConfigError, DigestMismatch
        As `write_atomically`; the old file is as it was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.txt"
    ...     digest = write_parts(path, (part for part in (b"wh", b"ole")))
    ...     print(path.read_bytes(), digest[:8])
    b'whole' 5d5766cf
    """

    def write(stream: BinaryIO) -> None:
        for part in parts:
            stream.write(part)

    return write_atomically(path, write)
