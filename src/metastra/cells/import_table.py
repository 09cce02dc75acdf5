"""Nuclei from a table: QuPath's measurements, HoVer-Net's table for QuPath, or plain x and y."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass

from metastra.cells.collected import Collected, as_number
from metastra.errors import ConfigError

__all__ = ["read_table"]

_CLASSES = ("Classification", "Class", "class_name", "class", "name")
_AREAS_UM2 = ("Nucleus: Area µm^2", "Nucleus: Area", "Area µm^2")
_NO_NUCLEUS = frozenset({"Annotation", "Image", "TMA core", "Root object", "PathAnnotationObject"})


@dataclass(frozen=True, kw_only=True)
class _Columns:
    x: str
    y: str
    unit: str
    layout: str


_PLACES = (
    _Columns(x="Centroid X px", y="Centroid Y px", unit="px", layout="QuPath measurements"),
    _Columns(x="Centroid X µm", y="Centroid Y µm", unit="µm", layout="QuPath measurements"),
    _Columns(x="x", y="y", unit="px", layout="table of x and y"),
)


def read_table(text: str, into: Collected) -> None:
    """Collect the nuclei of a table.

    Parameters
    ----------
    text : str
        With a header; separated by tabs, commas or semicolons.
    into : Collected
        Gets nuclei, problems and the count of other objects.

    Raises
    ------
    ConfigError
        If the table is in micrometres and mpp is not known.

    Notes
    -----
    QuPath's export has ``Centroid X µm`` (``Centroid X px`` without a pixel size) and ``Class`` or
    ``Classification``.  HoVer-Net's table for QuPath has ``x``, ``y``, an empty ``class`` and the
    class under ``name``.
    """
    header = text.partition("\n")[0]
    separator = max("\t,;", key=header.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    # the Greek letter for the micro sign, as some editors write it
    names = [name.strip().replace("\N{GREEK SMALL LETTER MU}", "µ") for name in next(rows, [])]
    place = next((one for one in _PLACES if one.x in names and one.y in names), None)
    if place is None:
        wanted = " or ".join(f"{one.x!r}" for one in _PLACES)
        into.refuse("SL101", f"no column {wanted} among {', '.join(names[:12])}", row=1)
        return
    into.layout = place.layout
    if place.unit == "µm":
        if into.mpp is None:
            raise ConfigError(
                f"{into.file} gives centroids in µm; expected the slide's micrometres per pixel "
                f"to place them: give mpp"
            )
        into.scale = 1.0 / into.mpp
    if place.layout == "QuPath measurements":
        into.shift = -0.5
    for cells in rows:
        _add_row(dict(zip(names, cells, strict=False)), place, rows.line_num, len(cells), into)


def _add_row(
    row: dict[str, str], place: _Columns, line: int, n_cells: int, into: Collected
) -> None:
    if n_cells == 0:
        return
    if row.get("Object type", "") in _NO_NUCLEUS:
        into.n_other += 1
        return
    where = place.x
    try:
        x = as_number(row.get(place.x, ""))
        where = place.y
        y = as_number(row.get(place.y, ""))
        into.add_point(x, y, _class_name(row), radius_um=_radius_um(row))
    except ValueError as error:
        into.refuse("SL102", str(error), row=line, column=where)


def _class_name(row: dict[str, str]) -> str | None:
    for column in _CLASSES:
        if row.get(column, "").strip():
            return row[column].strip()
    return None


def _radius_um(row: dict[str, str]) -> float:
    for column in _AREAS_UM2:
        if row.get(column, "").strip():
            area = as_number(row[column])
            return math.sqrt(area / math.pi) if area > 0 else math.nan
    return math.nan
