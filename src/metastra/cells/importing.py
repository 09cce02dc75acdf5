"""Nuclei that other software found: QuPath, CellViT, HoVer-Net."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from metastra.cells.collected import Collected
from metastra.cells.import_objects import is_geojson, read_cellvit, read_geojson, read_hovernet
from metastra.cells.import_table import read_table
from metastra.cells.nuclei import Nuclei
from metastra.errors import ConfigError

__all__ = ["NucleiFile", "read_nuclei"]


@dataclass(frozen=True, kw_only=True)
class NucleiFile:
    """What a file held.

    Parameters
    ----------
    nuclei : Nuclei
        In level-0 pixels, in the order of the file.
    layout : str
        Whose layout the file is in.
    n_other : int
        Objects that are no nuclei and were left out: annotations, cores, the image itself.
    """

    nuclei: Nuclei
    layout: str
    n_other: int


def read_nuclei(
    path: Path,
    *,
    mpp: float | None = None,
    scale: float | None = None,
    class_names: Mapping[int, str] | None = None,
) -> NucleiFile:
    """Read detections of other software.

    Parameters
    ----------
    path : Path
        GeoJSON of QuPath or CellViT (``.geojson``, ``.json``), JSON of CellViT or HoVer-Net, or a
        table (``.csv``, ``.tsv``, ``.txt``).
    mpp : float, optional
        Micrometres per level-0 pixel of the slide.  Needed for tables in µm; without it, radii of
        outlines are NaN.
    scale : float, optional
        Level-0 pixels per pixel of the file.  Needed for HoVer-Net files of whole slides, whose
        coordinates are those of the magnification they were made at; 1 elsewhere.
    class_names : mapping of int to str, optional
        Names of HoVer-Net's numbers of types (its ``type_info.json``).

    Returns
    -------
    NucleiFile
        Centroids, radii where they are known, and class names as the file spells them.

    Raises
    ------
    DataError
        If the file is in no known layout, or any nucleus has no usable place; every problem is
        listed with its row or its number.
    ConfigError
        If mpp or scale is needed and not given, or not above 0.
    OSError
        If the file cannot be read.

    Notes
    -----
    Class names are passed on, not checked: who typed the nuclei, and how well, is for the file's
    maker to say.  A whole file is held in memory.
    """
    for name, value in (("mpp", mpp), ("scale", scale)):
        if value is not None and not value > 0:
            raise ConfigError(f"{name} of {path.name} is {value:g}; expected above 0")
    into = Collected(file=path.name, layout="unknown layout", scale=scale or 1.0, mpp=mpp)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        into.refuse("SL101", f"byte {error.start} is not UTF-8")
        text = ""
    if text.lstrip()[:1] in ("{", "["):
        _read_json(text, scale, class_names, into)
    elif text:
        read_table(text, into)
    else:
        into.refuse("SL101", "the file is empty or no text")
    return NucleiFile(nuclei=into.nuclei(), layout=into.layout, n_other=into.n_other)


def _read_json(
    text: str, scale: float | None, class_names: Mapping[int, str] | None, into: Collected
) -> None:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        into.refuse("SL101", f"JSON breaks off: {error.msg}", row=error.lineno)
        return
    except RecursionError:
        into.refuse("SL101", "JSON is nested too deep to be one of the layouts")
        return
    if is_geojson(content):
        into.layout = "GeoJSON"
        # QuPath counts from the corner of the first pixel, not from its centre
        into.shift = -0.5
        read_geojson(content, into)
    elif isinstance(content, Mapping) and isinstance(content.get("cells"), list):
        into.layout = "CellViT"
        read_cellvit(content, into)
    elif isinstance(content, Mapping) and isinstance(content.get("nuc"), Mapping):
        into.layout = "HoVer-Net"
        if content.get("mag") is not None and scale is None:
            raise ConfigError(
                f"{into.file} holds coordinates at magnification {content['mag']}; expected scale, "
                f"the level-0 pixels per pixel of the file (1 if the slide was scanned at it)"
            )
        read_hovernet(content, class_names, into)
    else:
        into.refuse("SL101", "JSON without features, cells or nuc")
