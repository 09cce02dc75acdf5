"""The files that make up one slide: some formats keep the pixels beside the file that is named."""

from __future__ import annotations

import configparser
from pathlib import Path

__all__ = ["companion_files"]

_SERIES_TAG = b"\x20\x00\x0e\x00UI"  # (0020,000E) Series Instance UID, explicit little endian
_HEADER_BYTES = 1 << 16


def companion_files(path: Path) -> tuple[Path, ...]:
    """List the other files of a slide, in a fixed order.

    MIRAX keeps its data in the folder of the same stem, VMS and VMU name theirs in a section of
    the file, and the levels of a DICOM slide are the files of one series in one folder.

    Parameters
    ----------
    path : Path
        The file that is opened.

    Returns
    -------
    tuple of Path
        Without `path` itself; empty for formats of one file.
    """
    suffix = path.suffix.lower()
    if suffix == ".mrxs":
        folder = path.with_suffix("")
        found = [p for p in folder.rglob("*") if p.is_file()] if folder.is_dir() else []
    elif suffix in (".vms", ".vmu"):
        found = _named_in(path)
    elif suffix == ".dcm" or _series_of(path, dicom_only=True):
        series = _series_of(path)
        others = (p for p in path.parent.iterdir() if p.is_file())
        found = [p for p in others if series and _series_of(p, dicom_only=True) == series]
    else:
        found = []
    return tuple(sorted(p for p in found if p != path))


def _named_in(path: Path) -> list[Path]:
    """Give the files that a VMS or VMU file names and that are there."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(path.read_text(encoding="latin-1")[: 1 << 20])
    except configparser.Error:
        return []
    names = {value for section in parser.sections() for value in parser[section].values()}
    beside = {p.name: p for p in path.parent.iterdir() if p.is_file()}
    return [beside[name] for name in names if name in beside]


def _series_of(path: Path, *, dicom_only: bool = False) -> bytes | None:
    """Find the series UID in the head of a DICOM file."""
    with path.open("rb") as stream:
        head = stream.read(_HEADER_BYTES)
    if dicom_only and head[128:132] != b"DICM":
        return None
    at = head.find(_SERIES_TAG)
    if at < 0:
        return None
    begin = at + len(_SERIES_TAG)
    length = int.from_bytes(head[begin : begin + 2], "little")
    return head[begin + 2 : begin + 2 + length].rstrip(b"\0 ")
