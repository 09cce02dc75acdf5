"""Write a file whole or not at all.

The order is: a part file beside the target → close → open again and verify → fsync → rename →
fsync of the folder.  Formats that are written in place leave short or unreadable files when the
process is killed (measured for HDF5 and Zarr); with this order a kill leaves the old file or the
new one, and at worst an orphaned part, which `sweep_orphans` removes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from metastra.errors import ConfigError, DigestMismatch
from metastra.storage.failures import explained
from metastra.storage.fileops import file_ops
from metastra.storage.part import Write, fill_part

__all__ = [
    "Staged",
    "Verify",
    "discard",
    "make_folders",
    "place",
    "stage",
    "sweep_orphans",
    "write_atomically",
]

Verify = Callable[[Path], None]
"""Opens a finished part file with its own reader and raises if anything is not as it should be."""

_PART = ".part-"
_PART_NAME = re.compile(r"\.part-[0-9a-f]{32}")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A file that is written, verified and on the disk, but has not its name yet.

    Parameters
    ----------
    target : Path
        The name it will have.
    part : Path
        The name it has, in the same folder.
    sha256 : str
        Of its bytes, as read back.
    size : int
        In bytes.
    """

    target: Path
    part: Path
    sha256: str
    size: int


def write_atomically(path: Path, write: Write, *, verify: Verify | None = None) -> str:
    """Write a file so that its name only ever shows a whole one.

    Parameters
    ----------
    path : Path
        The file.  Missing folders are made.  If it is a symbolic link, the link is replaced and
        what it pointed to stays as it is.
    write : callable
        Writes the content to a stream.
    verify : callable, optional
        Further checks on the finished part file.  Needed where `write` goes back in the file
        (HDF5, zip), because then the bytes cannot be counted as they pass.

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    ResourceError
        If disk or memory ran out; the old file is as it was.
    ConfigError
        If the place cannot be written to; the old file is as it was.
    DigestMismatch
        If what is read back is not what was written.
    ValueError
        If `write` goes back in the file and there is no `verify`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.txt"
    ...     digest = write_atomically(path, lambda stream: stream.write(b"whole") and None)
    ...     print(path.read_bytes(), digest[:8])
    b'whole' 5d5766cf
    """
    staged = stage(path, write, verify=verify)
    with contextlib.ExitStack() as undo:
        undo.callback(discard, staged)
        place(staged)
        undo.pop_all()
    with explained(path):
        file_ops().sync_folder(path.parent)
    return staged.sha256


def stage(path: Path, write: Write, *, verify: Verify | None = None) -> Staged:
    """Do everything of an atomic write except giving the name.

    Parameters
    ----------
    path : Path
        The file that is meant.
    write : callable
        Writes the content to a stream.
    verify : callable, optional
        Further checks on the finished part file.

    Returns
    -------
    Staged
        For `place` or `discard`.

    Raises
    ------
    ResourceError, ConfigError, DigestMismatch, ValueError
        As `write_atomically`; nothing is left behind where the file system allows it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     staged = stage(Path(folder) / "a", lambda stream: stream.write(b"x") and None)
    ...     discard(staged)
    ...     print(staged.size, list(Path(folder).iterdir()))
    1 []
    """
    with explained(path):
        if path.is_dir():
            raise ConfigError(f"{path}: a folder has this name; remove it or choose another name")
    make_folders(path.parent)
    part = path.parent / f"{_PART}{uuid4().hex}"
    with contextlib.ExitStack() as undo:
        undo.callback(_remove_quietly, part)
        written = fill_part(part, path, write)
        if written is None and verify is None:
            raise ValueError(f"{path}: its writer goes back in the file, so it needs verify=")
        with _reopened(part, path) as stream:
            sha256, size = _digest_stream(stream, path)
            if written is not None and written != sha256:
                raise DigestMismatch(
                    f"{path}: what was read back is not what was written; "
                    "the disk or the memory of this machine is not reliable"
                )
            if verify is not None:
                verify(part)
            with explained(path, needed_bytes=size):
                file_ops().sync(stream)
        undo.pop_all()
    return Staged(target=path, part=part, sha256=sha256, size=size)


def place(staged: Staged) -> None:
    """Give a staged file its name.

    The folder has still to be synchronised, once for all files of a product.

    Parameters
    ----------
    staged : Staged
        What `stage` gave.

    Raises
    ------
    ResourceError, ConfigError
        If the name cannot be given; the old file is as it was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     place(stage(Path(folder) / "a", lambda stream: stream.write(b"x") and None))
    ...     print([path.name for path in Path(folder).iterdir()])
    ['a']
    """
    with explained(staged.target, needed_bytes=staged.size):
        file_ops().replace(staged.part, staged.target)


def discard(staged: Staged) -> None:
    """Remove a staged file that is not wanted any more, where the file system allows it.

    Parameters
    ----------
    staged : Staged
        What `stage` gave; one that was placed is left alone.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     discard(stage(Path(folder) / "a", lambda stream: stream.write(b"x") and None))
    ...     print(list(Path(folder).iterdir()))
    []
    """
    _remove_quietly(staged.part)


def make_folders(folder: Path) -> None:
    """Make a folder and those above it, private to the user and durable.

    Parameters
    ----------
    folder : Path
        A folder, which may exist.

    Raises
    ------
    ResourceError, ConfigError
        If one cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_folders(Path(folder) / "a" / "b")
    ...     oct((Path(folder) / "a").stat().st_mode & 0o777)
    '0o700'
    """
    missing = []
    with explained(folder):
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
    for path in reversed(missing):
        with explained(path):
            # Another process may have made it in the meantime.
            with contextlib.suppress(FileExistsError):
                file_ops().make_folder(path)
            file_ops().sync_folder(path.parent)


def sweep_orphans(folder: Path, *, older_than_s: float) -> int:
    """Remove part files that a killed process left behind.

    Parameters
    ----------
    folder : Path
        Searched with all folders inside; links are not followed.
    older_than_s : float
        Seconds since the last write.  0 removes every part: only for the one process that holds
        the run's lock.

    Returns
    -------
    int
        How many were removed.

    Raises
    ------
    ResourceError, ConfigError
        If one cannot be removed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     part = Path(folder) / f".part-{32 * '0'}"
    ...     _ = part.write_bytes(b"half")
    ...     (
    ...         sweep_orphans(Path(folder), older_than_s=3600),
    ...         sweep_orphans(Path(folder), older_than_s=0),
    ...     )
    (0, 1)
    """
    removed = 0
    latest = time.time() - older_than_s
    for part in _part_files(folder):
        with explained(part):
            # A link or a folder of this name is not ours; a part may be gone in the meantime.
            if not part.is_file() or part.is_symlink():
                continue
            if older_than_s <= 0 or part.stat().st_mtime <= latest:
                file_ops().unlink(part)
                removed += 1
    return removed


@contextlib.contextmanager
def _reopened(part: Path, path: Path) -> Iterator[io.FileIO]:
    with explained(path):
        stream = file_ops().open_back(part)
    with stream:
        yield stream


def _digest_stream(stream: io.FileIO, path: Path) -> tuple[str, int]:
    hasher, size = hashlib.sha256(), 0
    with explained(path):
        while chunk := stream.read(_CHUNK_BYTES):
            hasher.update(chunk)
            size += len(chunk)
    return hasher.hexdigest(), size


def _remove_quietly(path: Path) -> None:
    with contextlib.suppress(OSError):
        file_ops().unlink(path)


def _part_files(folder: Path) -> Iterator[Path]:
    for inside, _, names in os.walk(folder):
        yield from (Path(inside) / name for name in names if _PART_NAME.fullmatch(name))
