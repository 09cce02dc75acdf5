"""Adding whole lines to a file that is never written anew: the file of a ledger.

A line counts from its newline on.  A kill inside a write can leave the beginning of a line without
its newline; readers do not see such a remainder, and the next append cuts it off before it writes.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

from metastra.storage.atomic import make_folders
from metastra.storage.failures import explained
from metastra.storage.fileops import FileOps, file_ops

__all__ = ["append_lines", "read_lines"]

_BLOCK_BYTES = 1 << 16


def append_lines(path: Path, lines: Sequence[bytes]) -> None:
    r"""Add lines to the end of a file and wait until they are on the disk.

    Parameters
    ----------
    path : Path
        The file; it and missing folders are made, readable by their owner alone.
    lines : sequence of bytes
        Without newlines; each gets one at its end.

    Raises
    ------
    ResourceError
        If the disk is full or failed; the file is cut back to what it was where the disk allows
        it, and otherwise ends in a remainder that counts for nothing.
    ConfigError
        If the place cannot be used.
    ValueError
        If a line is empty or holds a newline.

    Notes
    -----
    The caller holds a lock (`metastra.storage.hold`).  After a kill any number of the lines,
    counted from the first, may be there; each of them is whole.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.jsonl"
    ...     _ = path.write_bytes(b"1\n2")
    ...     append_lines(path, [b"3"])
    ...     read_lines(path)
    ([b'1', b'3'], b'')
    """
    if not all(line and b"\n" not in line for line in lines):
        raise ValueError("a line is empty or holds a newline")
    data = b"".join(line + b"\n" for line in lines)
    make_folders(path.parent)
    ops = file_ops()
    is_new = not path.exists()
    with explained(path, needed_bytes=len(data)), contextlib.ExitStack() as stack:
        stream = ops.open_append(path)
        stack.callback(stream.close)
        size = stream.seek(0, io.SEEK_END)
        whole = _size_of_whole_lines(stream, size)
        if whole != size:
            ops.truncate(stream, whole)
        try:
            ops.write(stream, memoryview(data))
            ops.sync(stream)
        except OSError:
            _cut_back(ops, stream, whole)
            raise
    if is_new:
        with explained(path):
            ops.sync_folder(path.parent)


def read_lines(path: Path) -> tuple[list[bytes], bytes]:
    r"""Read the whole lines of a file.

    Parameters
    ----------
    path : Path
        The file; one that is missing has no lines.

    Returns
    -------
    lines : list of bytes
        Without their newlines.
    remainder : bytes
        What stands behind the last newline: an append that was cut off, never a line.

    Raises
    ------
    ResourceError, ConfigError
        If it cannot be read.

    Examples
    --------
    >>> read_lines(Path("no-such-file"))
    ([], b'')
    """
    with explained(path):
        if not path.exists():
            return [], b""
        data = path.read_bytes()
    *lines, remainder = data.split(b"\n")
    return lines, remainder


def _size_of_whole_lines(stream: io.FileIO, size: int) -> int:
    """Find where the last whole line ends, reading backwards."""
    end = size
    while end:
        start = max(0, end - _BLOCK_BYTES)
        stream.seek(start)
        block = stream.read(end - start)
        at = block.rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def _cut_back(ops: FileOps, stream: io.FileIO, size: int) -> None:
    with contextlib.suppress(OSError):
        ops.truncate(stream, size)
