"""A folder with a document, its figures and its page: what every verb of the judge leaves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metastra.storage import json_bytes, write_bytes

if TYPE_CHECKING:
    from metastra.report.shown import ShownFigure

__all__ = ["figure_files", "write_report_folder"]


def figure_files(figures: Mapping[str, ShownFigure]) -> dict[str, bytes]:
    """Write figures as SVG and PNG.

    Parameters
    ----------
    figures : mapping of str to ShownFigure
        By name.

    Returns
    -------
    dict of str to bytes
        ``figures/NAME.svg`` and ``figures/NAME.png`` of each.
    """
    from metastra.report.theme import to_png, to_svg

    files = {}
    for name, shown in figures.items():
        files[f"figures/{name}.svg"] = to_svg(shown.figure).encode()
        files[f"figures/{name}.png"] = to_png(shown.figure)
    return files


def write_report_folder(
    folder: Path,
    name: str,
    document: Mapping[str, Any],
    figures: Mapping[str, ShownFigure],
    page: str,
    further: Mapping[str, bytes] | None = None,
) -> tuple[str, ...]:
    """Write the document, the figures, ``report.html`` and what stands beside them.

    Parameters
    ----------
    folder : Path
        Made when it is missing.
    name : str
        Of the document, such as ``evaluation.json``.
    document : mapping
        Strict JSON.
    figures : mapping of str to ShownFigure
        Of the page.
    page : str
        HTML.
    further : mapping of str to bytes, optional
        More files by name.

    Returns
    -------
    tuple of str
        Names of the files, relative to the folder.

    Raises
    ------
    ConfigError, ResourceError
        If the folder cannot be written to.
    """
    files = {
        name: json_bytes(dict(document)),
        **figure_files(figures),
        "report.html": page.encode(),
        **(further or {}),
    }
    for path, data in files.items():
        write_bytes(folder / path, data)
    return tuple(files)
