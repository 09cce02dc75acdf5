"""Regions of loose slides: one file for one slide, or a folder for several."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path

from metastra.catalogue import problem
from metastra.errors import ConfigError, DataError, Where

__all__ = ["regions_of"]


def regions_of(given: Path | None, wanted: Mapping[str, str]) -> dict[str, str]:
    """Find the region of each slide.

    Parameters
    ----------
    given : Path or None
        A GeoJSON file for the one slide, or a folder with one for each slide.
    wanted : mapping of str to str
        Slide to the name that its region has in the folder.

    Returns
    -------
    dict of str to str
        Slide to path; empty where nothing is given.

    Raises
    ------
    DataError
        QC025 for every slide that the folder has no file for.
    ConfigError
        If one file is given for several slides, or there is no such file.
    """
    if given is None:
        return {}
    if given.is_dir():
        there = {
            unicodedata.normalize("NFC", path.relative_to(given).as_posix()): path
            for path in given.rglob("*.geojson")
        }
        absent = [
            problem("QC025", f"no such file in {given}", where=Where(file=name))
            for name in wanted.values()
            if name not in there
        ]
        if absent:
            raise DataError("regions are missing; nothing was done", absent)
        return {slide: str(there[name]) for slide, name in wanted.items()}
    if len(wanted) > 1:
        raise ConfigError(
            f"--region {given} is one file for {len(wanted)} slides; give a folder with a .geojson "
            "named as each slide"
        )
    if not given.is_file():
        raise ConfigError(f"--region {given}: there is no such file")
    return {slide: str(given) for slide in wanted}
