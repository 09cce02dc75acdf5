"""Which slide it is: a digest of its bytes, whatever it is called and wherever it lies."""

from __future__ import annotations

import os
from pathlib import Path

from metastra.digest import digest_file, digest_value
from metastra.slides.companions import companion_files
from metastra.slides.slide import slide_error

__all__ = ["reviewed_name", "slide_digest"]


def slide_digest(path: str | os.PathLike[str]) -> str:
    """Digest the content of a slide.

    Every byte counts, so that one damaged tile is another slide.  A slide of one file has the
    SHA-256 that ``sha256sum`` prints.  For formats that keep their pixels in other files (MIRAX,
    VMS, DICOM) it is the digest of the sorted list of the sizes and SHA-256s of all of them: their
    names do not count, and any file of a DICOM series gives the same.

    Parameters
    ----------
    path : path
        The file that is opened.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    SlideError
        SL001 if a file cannot be read.
    """
    path = Path(path)
    try:
        others = companion_files(path)
        if not others:
            return digest_file(path)
        parts: list[list[int | str]] = [
            [part.stat().st_size, digest_file(part)] for part in (path, *others)
        ]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise slide_error("SL001", path.name, reason) from error
    return digest_value(sorted(parts))


def reviewed_name(slide_digest: str) -> str:
    """Name a slide as the table of quality and its review do.

    Parameters
    ----------
    slide_digest : str
        Of its content.

    Returns
    -------
    str
        ``S-`` and ten digits.

    Examples
    --------
    >>> reviewed_name("0123456789abcdef")
    'S-0123456789'
    """
    return f"S-{slide_digest.removeprefix('sha256:')[:10]}"
