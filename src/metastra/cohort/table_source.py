"""From a path to bytes: regular files only, within limits, unpacked, and known by their content."""

from __future__ import annotations

import difflib
import gzip
import io
import os
import stat
import zipfile
import zlib
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO

from metastra.cohort import table_format
from metastra.cohort.table_format import refuse
from metastra.digest import digest_bytes
from metastra.errors import Problem, Where

__all__ = ["Source", "SourceKind", "read_source"]

_CHUNK_BYTES = 1 << 20
_MAX_RATIO = 900
"""Deflate cannot exceed 1032:1, and only constant or periodic bytes come near it."""
_RATIO_FREE_BYTES = 64 << 20

_WORKBOOK_SUFFIXES = frozenset({".xlsx", ".xlsm"})
_PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})
_MAGIC = (
    (b"PK\x03\x04", "a ZIP archive or an XLSX workbook"),
    (b"\x1f\x8b", "gzip-compressed"),
    (b"PAR1", "a Parquet file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls) or a password-protected one"),
    (b"%PDF", "a PDF"),
    (b"\x89HDF", "an HDF5 file"),
    (b"SQLite format 3", "an SQLite database"),
)


class SourceKind(StrEnum):
    """What a table's bytes are."""

    TEXT = "text"
    PARQUET = "parquet"
    XLSX = "xlsx"


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """The bytes of one table.

    Parameters
    ----------
    kind : SourceKind
        Which reader takes them.
    suffix : str
        The extension without ``.gz`` or ``.zip``, in lower case, for instance ``".csv"``.
    data : bytes
        The table, unpacked.
    digest : str
        SHA-256 of the file as it lies on disk.
    """

    kind: SourceKind
    suffix: str
    data: bytes = field(repr=False)
    digest: str


def read_source(path: Path, place: Where) -> tuple[Source | None, list[Problem]]:
    """Read a table's bytes, within the limits of `metastra.cohort.table_format`.

    The file is read once, so that the digest is that of the bytes that are parsed.  Folders,
    pipes and devices are refused without waiting for them.

    Parameters
    ----------
    path : Path
        The file.
    place : Where
        The file's name as the study file gives it, for the problems.

    Returns
    -------
    source : Source or None
        None where nothing can be read.
    problems : list of Problem
        ``CO001`` or ``CO002``.

    Examples
    --------
    >>> read_source(Path("."), Where(file="clini.csv"))[1][0].found
    'it is a folder, not a file'
    """
    data, problems = _read_file(path, place)
    if data is None:
        return None, problems
    if not data:
        return refuse("CO002", "the file has no bytes", place)
    digest = digest_bytes(data)
    suffixes = [suffix.casefold() for suffix in path.suffixes]
    packing = suffixes.pop() if suffixes and suffixes[-1] in {".gz", ".zip"} else ""
    if packing:
        unpacked, problems = (_gunzip if packing == ".gz" else _unzip)(data, place)
        if unpacked is None:
            return None, problems
        data = unpacked
    suffix = suffixes[-1] if suffixes else ""
    kind = _kind(suffix)
    if disguise := _disguise(kind, data):
        return refuse("CO001", disguise, place, hint="Give the file the name of what it is.")
    return Source(kind=kind, suffix=suffix, data=data, digest=digest), []


def _read_file(path: Path, place: Where) -> tuple[bytes | None, list[Problem]]:
    # O_NONBLOCK: opening a pipe without a writer would otherwise wait for ever
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    limit = table_format.MAX_TABLE_BYTES
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        return refuse("CO001", _why_unopened(error, path), place, hint=_nearest_file(path))
    try:
        if other := _not_regular(os.fstat(descriptor).st_mode):
            return refuse("CO001", f"it is {other}, not a file", place)
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        return refuse("CO001", f"reading failed: {error.strerror}", place)
    finally:
        os.close(descriptor)
    return (data, []) if len(data) <= limit else _too_large(place)


def _not_regular(mode: int) -> str:
    if stat.S_ISREG(mode):
        return ""
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"


def _why_unopened(error: OSError | ValueError, path: Path) -> str:
    if isinstance(error, FileNotFoundError):
        return "a link that leads nowhere" if path.is_symlink() else "there is no such file"
    if isinstance(error, PermissionError):
        return f"permission denied{_owner(path)}"
    if isinstance(error, OSError):
        return f"it cannot be opened: {error.strerror}"
    return "the name holds a null byte"


def _owner(path: Path) -> str:
    try:
        mode = stat.filemode(path.stat().st_mode)
        return f" (it belongs to {path.owner()}, mode {mode})"
    except (OSError, KeyError):
        return ""


def _nearest_file(path: Path) -> str | None:
    """Hint at the most similar name in the same folder."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):
        return None
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"The folder has {near[0]!r}; correct the path." if near else None


def _too_large(place: Where) -> tuple[None, list[Problem]]:
    size = f"{table_format.MAX_TABLE_BYTES / (1 << 30):.3g} GiB"
    return refuse(
        "CO001", f"the table is larger than {size}, the limit", place, hint="Split the table."
    )


def _gunzip(data: bytes, place: Where) -> tuple[bytes | None, list[Problem]]:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            return _read_capped(stream, len(data), place)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        return refuse("CO001", f"the .gz file is damaged: {error}", place)


def _unzip(data: bytes, place: Where) -> tuple[bytes | None, list[Problem]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [
                member
                for member in archive.infolist()
                if not member.is_dir() and not member.filename.startswith("__MACOSX/")
            ]
            if len(members) != 1:
                found = f"the .zip file holds {len(members)} files"
                return refuse("CO001", found, place, expected="one table")
            if members[0].file_size > table_format.MAX_TABLE_BYTES:
                return _too_large(place)
            with archive.open(members[0]) as stream:
                return _read_capped(stream, members[0].compress_size, place)
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError) as error:
        return refuse("CO001", f"the .zip file is damaged or of an unknown kind: {error}", place)
    except RuntimeError:
        # zipfile has no class of its own for this
        return refuse("CO001", "the .zip file is encrypted", place)


def _read_capped(
    stream: IO[bytes] | gzip.GzipFile, packed_bytes: int, place: Where
) -> tuple[bytes | None, list[Problem]]:
    """Unpack until the end, but never past a limit."""
    pieces: list[bytes] = []
    size = 0
    while piece := stream.read(_CHUNK_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > table_format.MAX_TABLE_BYTES:
            return _too_large(place)
        if size > _RATIO_FREE_BYTES and size > _MAX_RATIO * max(packed_bytes, 1):
            return refuse("CO001", "the file unpacks to far more than any table holds", place)
    data = b"".join(pieces)
    return (data, []) if data else refuse("CO002", "the packed file has no bytes", place)


def _kind(suffix: str) -> SourceKind:
    if suffix in _WORKBOOK_SUFFIXES:
        return SourceKind.XLSX
    return SourceKind.PARQUET if suffix in _PARQUET_SUFFIXES else SourceKind.TEXT


def _disguise(kind: SourceKind, data: bytes) -> str:
    """Say what the bytes are, where they are not what the name says."""
    wanted = {SourceKind.XLSX: b"PK\x03\x04", SourceKind.PARQUET: b"PAR1"}.get(kind, b"")
    if wanted and data.startswith(wanted):
        return ""
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return f"the content is {name}"
    return f"the content is not {kind.value}" if wanted else ""
