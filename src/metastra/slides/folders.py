"""Slides as a command line names them: files, and folders that stand for the files in them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from metastra.slides.companions import companion_files

__all__ = ["folders_not_entered", "slide_files"]


def slide_files(paths: Sequence[Path]) -> list[Path]:
    """Give the slides that a command line names.

    Parameters
    ----------
    paths : sequence of Path
        Files, and folders that stand for the files in them.

    Returns
    -------
    list of Path
        Files as they are; of a folder all that is no folder and not hidden, sorted: also a pipe or
        a link that leads nowhere, so that it is named when it is opened and not passed over.  Files
        of a folder that make up one slide (VMS and VMU parts, a DICOM series) are one: the file
        that names the others, or the first of the series.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += _slides_of(
                sorted(
                    item
                    for item in path.iterdir()
                    if not item.is_dir() and not item.name.startswith(".")
                )
            )
        else:
            found.append(path)
    return found


def _slides_of(files: Sequence[Path]) -> list[Path]:
    """Leave out the files that belong to a slide that another one stands for."""
    parts: set[Path] = set()
    # first those that name their parts, which may stand before them in the alphabet
    for suffixes in ((".vms", ".vmu"), (".dcm", "")):
        for path in files:
            if path.suffix.lower() in suffixes and path not in parts and path.is_file():
                # what cannot be read is named when it is opened
                with contextlib.suppress(OSError):
                    parts |= set(companion_files(path))
    return [path for path in files if path not in parts]


def folders_not_entered(paths: Sequence[Path]) -> str:
    """Say that folders inside the named folders were not looked into.

    The folder of a MIRAX slide's data belongs to the slide beside it and is not counted.

    Parameters
    ----------
    paths : sequence of Path
        As a command line names them.

    Returns
    -------
    str
        One line, with the first few of them; empty where there are none.
    """
    inside = sorted(
        item
        for path in paths
        if path.is_dir()
        for item in path.iterdir()
        if item.is_dir()
        and not item.name.startswith(".")
        and item not in paths
        and not item.with_name(f"{item.name}.mrxs").is_file()
    )
    if not inside:
        return ""
    first = ", ".join(str(path) for path in inside[:3])
    more = ", …" if len(inside) > 3 else ""
    if len(inside) == 1:
        return f"1 folder inside was not entered: name it ({first})"
    return f"{len(inside)} folders inside were not entered: name them ({first}{more})"
