"""Digests of slides, taken once as long as nothing speaks against it.

A cohort is terabytes; reading all of it to learn that nothing changed would take hours.  The note
beside the features says for which sizes and times a digest was taken.  The path of a slide and the
number of its file do not count, so that a study may be moved, copied and restored; what counts:

========================================  =====================================================
size, time of change, time of the inode   equal to the note: the digest stands
size alone is equal                       in doubt: the slide is read and its digest taken again
size differs                              another slide
========================================  =====================================================

The time of the inode (``ctime``) is set by the operating system and by no program, so pixels that
were changed in place, and another slide that was put in the place of one, are noticed although
size and time of change were kept or set back.  Only who sets the clock of the machine, or writes to
the disk past its file system, deceives the note.  The price: a copy, a restored backup, ``chmod``
and ``chown`` put slides in doubt, and each is read once more.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from metastra.errors import ConfigError, ResourceError
from metastra.slides.companions import companion_files
from metastra.slides.identity import slide_digest
from metastra.storage import json_bytes, parse_json, write_bytes

__all__ = ["known_digest", "noted_digest", "stands_in_doubt"]

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
        Of the features; notes lie in a hidden folder inside.  Where nothing can be written, no
        note is left.

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
    noted = _note(name, folder)
    if now and noted.get("files") == now:
        return str(noted["digest"])
    digest = slide_digest(path)
    if now and now == _marks(path):
        # a note saves time and no more: a full disk is told by what must be written
        with contextlib.suppress(ConfigError, ResourceError):
            write_bytes(_place(name, folder), json_bytes({"digest": digest, "files": now}))
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
    now = _marks(path)
    noted = _note(name, folder)
    return str(noted["digest"]) if now and noted.get("files") == now else None


def stands_in_doubt(path: Path, name: str, folder: Path) -> bool:
    """Say whether a slide has to be read to learn that it is the one of its note.

    Parameters
    ----------
    path, name, folder
        As `noted_digest`.

    Returns
    -------
    bool
        True where the sizes of its files are those of the note and a time is not.
    """
    now = _marks(path)
    then = _note(name, folder).get("files", [])
    sizes = [mark[0] for mark in now]
    return bool(now) and then != now and [mark[0] for mark in then] == sizes


def _place(name: str, folder: Path) -> Path:
    return folder / _FOLDER / f"{name}.json"


def _note(name: str, folder: Path) -> dict[str, Any]:
    """Read a note; empty where there is none, or it is not one."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        noted = parse_json(_place(name, folder).read_bytes())
        files = [[int(number) for number in mark] for mark in noted["files"]]
        if files and all(len(mark) == 3 for mark in files):
            return {"digest": str(noted["digest"]), "files": files}
    return {}


def _marks(path: Path) -> list[list[int]]:
    """Size, time of change and time of the inode (ns) of each file; empty where one is gone."""
    with contextlib.suppress(OSError, ValueError):
        stats = [part.stat() for part in (path, *companion_files(path))]
        return [[item.st_size, item.st_mtime_ns, item.st_ctime_ns] for item in stats]
    return []
