"""Slides as a command line names them: files, and folders that stand for the files in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
        Files as they are; of a folder those that are not hidden, sorted.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(
                item for item in path.iterdir() if item.is_file() and not item.name.startswith(".")
            )
        else:
            found.append(path)
    return found


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
