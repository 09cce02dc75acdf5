"""Regions drawn in QuPath: GeoJSON read, every ring checked, moved into level-0 pixels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.digest import digest_file
from metastra.errors import DataError, Problem, Where
from metastra.slides.slide import SlideInfo
from metastra.tissue.region import Polygon, Region
from metastra.tissue.rings import holds_point, ring_fault

__all__ = ["RegionOrigin", "read_region_file", "region_digest"]

RegionOrigin = Literal["qupath", "level0"]
"""What coordinates are counted from: the scanned bounds, as QuPath does, or level 0's corner."""

_LARGEST_BYTES = 64 << 20
_OVERHANG = 0.01
_NO_REGION = frozenset({"detection", "cell"})


def read_region_file(
    path: Path, info: SlideInfo, *, origin: RegionOrigin = "qupath", shown: str = ""
) -> Region:
    """Read a drawn region of a slide.

    Parameters
    ----------
    path : Path
        GeoJSON as QuPath exports it: a FeatureCollection, a list of features, a feature or a
        geometry, of Polygon, MultiPolygon and GeometryCollection; other geometries are left
        aside.  The region is the union of all polygons, whatever their class, but for what QuPath
        marks as no region: its detections and cells (``objectType``), and classes whose name ends
        in ``*``, which QuPath ignores in its own measurements.
    info : SlideInfo
        Of the slide it was drawn on.
    origin : {"qupath", "level0"}
        QuPath shows a slide with scanned bounds (MIRAX and others) cropped to them, so its
        coordinates count from their corner; they are moved.  With ``"level0"`` they are taken as
        they are.
    shown : str
        What messages call the file; its name where nothing else is given.

    Returns
    -------
    Region
        In level-0 pixels.

    Raises
    ------
    DataError
        QC020 to QC024, all of them at once, each with the number of the feature and ring.
    """
    where = Where(file=shown or path.name)
    document = _parse(path, where)
    problems: list[Problem] = []
    polygons: list[Polygon] = []
    others = 0
    features = _features(document)
    ignored = sum(_is_ignored(feature) for _, feature in features)
    for label, geometry in _geometries(features):
        kind = geometry.get("type")
        if kind == "Polygon":
            parts = [(label, geometry.get("coordinates"))]
        elif kind == "MultiPolygon":
            rings = geometry.get("coordinates")
            parts = [
                (f"{label}, polygon {number}", part)
                for number, part in enumerate(rings if isinstance(rings, list) else [], start=1)
            ]
        else:
            others += 1
            continue
        for name, coordinates in parts:
            polygon = _polygon(name, coordinates, where, problems)
            if polygon is not None:
                polygons.append(polygon)
    if not polygons and not problems:
        left = [
            f"{count} {what}"
            for count, what in (
                (others, "other geometries"),
                (ignored, "detections, cells or objects of a class that ends in *"),
            )
            if count
        ]
        found = " and ".join(left) or "nothing drawn"
        problems.append(problem("QC024", found, where=where, expected="at least one polygon"))
    if problems:
        raise DataError("the region is refused", problems)
    region = _moved(Region(polygons=tuple(polygons), source=shown or path.name), info, origin)
    _require_on_slide(region, info, origin, where)
    return region


def region_digest(path: Path, *, shown: str = "") -> str:
    """Digest the file of a drawn region.

    Parameters
    ----------
    path : Path
        The file.
    shown : str
        What messages call it; its name where nothing else is given.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    DataError
        QC020 if it cannot be read.
    """
    try:
        return digest_file(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        where = Where(file=shown or path.name)
        raise DataError("", [problem("QC020", reason, where=where)]) from error


def _parse(path: Path, where: Where) -> Any:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            found = f"{path.stat().st_size} bytes; expected at most {_LARGEST_BYTES}"
            raise DataError("", [problem("QC020", found, where=where)])
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError("", [problem("QC020", reason, where=where)]) from error


def _features(document: Any) -> list[tuple[str, dict[str, Any]]]:
    """Give every feature with a name for messages."""
    if isinstance(document, dict) and isinstance(document.get("features"), list):
        features = document["features"]
    else:
        features = document if isinstance(document, list) else [document]
    return [
        (f"feature {number}", feature)
        for number, feature in enumerate(features, start=1)
        if isinstance(feature, dict)
    ]


def _is_ignored(feature: dict[str, Any]) -> bool:
    """Say whether QuPath marks an object as no region."""
    properties = feature.get("properties")
    if not isinstance(properties, dict):
        return False
    # older QuPath wrote object_type
    kind = properties.get("objectType", properties.get("object_type"))
    if kind in _NO_REGION:
        return True
    said = properties.get("classification")
    if not isinstance(said, dict):
        return False
    # a derived class is written as its names from 0.5 on, as one text with colons before
    names = said.get("names")
    last = names[-1] if isinstance(names, list) and names else said.get("name")
    return isinstance(last, str) and last.rstrip().endswith("*")


def _geometries(features: list[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every geometry that may be a region, with a name for messages."""
    for label, feature in features:
        geometry = feature.get("geometry", feature)
        if isinstance(geometry, dict) and not _is_ignored(feature):
            yield from _flat(label, geometry)


def _flat(label: str, geometry: dict[str, Any], depth: int = 0) -> Iterator[tuple[str, Any]]:
    inner = geometry.get("geometries")
    if geometry.get("type") == "GeometryCollection" and isinstance(inner, list) and depth < 8:
        for part in inner:
            if isinstance(part, dict):
                yield from _flat(label, part, depth + 1)
    else:
        yield label, geometry


def _polygon(name: str, coordinates: Any, where: Where, problems: list[Problem]) -> Polygon | None:
    """Check the rings of one polygon; None where one is bad."""
    if not isinstance(coordinates, list) or not coordinates:
        problems.append(problem("QC021", f"{name} has no rings", where=where))
        return None
    rings: list[NDArray[np.float64]] = []
    sound = True
    for number, points in enumerate(coordinates, start=1):
        ring, fault = ring_fault(points)
        if fault:
            sound = False
            found = f"{name}, ring {number}: {fault}"
            problems.append(problem("QC021", found, where=where))
        else:
            rings.append(ring)
    if not sound:
        return None
    outline, *holes = rings
    for number, hole in enumerate(holes, start=2):
        if not holds_point(outline, hole.mean(axis=0)) and not holds_point(outline, hole[0]):
            sound = False
            found = f"{name}, ring {number}: a hole outside its outline"
            problems.append(problem("QC022", found, where=where))
    return Polygon(outline=outline, holes=tuple(holes)) if sound else None


def _moved(region: Region, info: SlideInfo, origin: RegionOrigin) -> Region:
    if origin == "level0" or info.bounds_px0 is None:
        return region
    shift = np.array(info.bounds_px0[:2], dtype=np.float64)
    return replace(
        region,
        polygons=tuple(
            Polygon(
                outline=polygon.outline + shift,
                holes=tuple(hole + shift for hole in polygon.holes),
            )
            for polygon in region.polygons
        ),
    )


def _require_on_slide(region: Region, info: SlideInfo, origin: RegionOrigin, where: Where) -> None:
    """Refuse a region that belongs to another slide, or was counted from another corner."""
    x, y, width, height = info.bounds_px0 or (0, 0, info.width_px, info.height_px)
    if origin == "level0":
        x, y, width, height = 0, 0, info.width_px, info.height_px
    left, top, right, bottom = region.bounds_px0
    slack_x, slack_y = _OVERHANG * width, _OVERHANG * height
    inside = (
        left >= x - slack_x
        and top >= y - slack_y
        and right <= x + width + slack_x
        and bottom <= y + height + slack_y
    )
    if inside:
        return
    found = f"it spans x {left:.0f} to {right:.0f}, y {top:.0f} to {bottom:.0f}"
    expected = f"x {x} to {x + width}, y {y} to {y + height} in level-0 pixels of the slide"
    hint = None
    if info.bounds_px0 is not None and origin == "qupath":
        hint = (
            "This slide has scanned bounds.  If the coordinates count from the corner of level 0 "
            '(QuPath with --no-crop), give --region-origin level0, or region_origin = "level0" in '
            "the study file."
        )
    raise DataError("", [problem("QC023", found, where=where, expected=expected, hint=hint)])
