"""Digests of slides, taken once as long as a slide's files keep size and time of change.

A cohort is terabytes; reading all of it to learn that nothing changed would take hours.  The note
beside the features says for which sizes and times a digest was taken; a slide that was touched is
read again.  Whoever changes pixels and sets the old time back deceives this note, and `make` too.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from metastra.slides.companions import companion_files
from metastra.slides.identity import slide_digest
from metastra.storage import json_bytes, parse_json, write_bytes

__all__ = ["known_digest", "noted_digest"]

_FOLDER = ".digests"


def noted_digest(path: Path, name: str, folder: Path) -> str:
    """Give the digest of a slide, from its note where that still holds.

    Parameters
    ----------
    path : Path
        The slide.
    name : str
        Of its feature file; the note carries it.
    folder : Path
        Of the features; notes lie in a hidden folder inside.

    Returns
    -------
    str
        As `metastra.slides.identity.slide_digest`.

    Raises
    ------
    SlideError
        SL001 if the slide cannot be read.
    """
    now = _marks(path)
    noted = _noted(name, folder, now)
    if noted is not None:
        return noted
    digest = slide_digest(path)
    if now and now == _marks(path):
        write_bytes(_note(name, folder), json_bytes({"digest": digest, "files": now}))
    return digest


def known_digest(path: Path, name: str, folder: Path) -> str | None:
    """Give the digest of a slide without reading it.

    Parameters
    ----------
    path, name, folder
        As `noted_digest`.

    Returns
    -------
    str or None
        None where there is no note, or it no longer holds.
    """
    return _noted(name, folder, _marks(path))


def _note(name: str, folder: Path) -> Path:
    return folder / _FOLDER / f"{name}.json"


def _noted(name: str, folder: Path, now: list[list[Any]]) -> str | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        noted = parse_json(_note(name, folder).read_bytes())
        if noted["files"] == now and now:
            return str(noted["digest"])
    return None


def _marks(path: Path) -> list[list[Any]]:
    """Size, time of change (ns) and number of each file of a slide; empty where one is gone."""
    with contextlib.suppress(OSError, ValueError):
        stats = [part.stat() for part in (path, *companion_files(path))]
        return [[item.st_size, item.st_mtime_ns, item.st_ino] for item in stats]
    return []
