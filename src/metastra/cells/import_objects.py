"""Nuclei from GeoJSON (QuPath, CellViT) and from the JSON of CellViT and HoVer-Net."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from metastra.cells.collected import Collected, as_number

__all__ = ["is_geojson", "read_cellvit", "read_geojson", "read_hovernet"]

_NUCLEI = frozenset({"detection", "cell", "PathDetectionObject", "PathCellObject"})


def is_geojson(content: object) -> bool:
    """Tell GeoJSON from other JSON.

    Parameters
    ----------
    content : object
        A parsed JSON file.

    Returns
    -------
    bool
        True for a feature collection, one feature, or a list of features (empty ones too).
    """
    if isinstance(content, Mapping):
        return content.get("type") in ("FeatureCollection", "Feature")
    return isinstance(content, list) and all(
        isinstance(one, Mapping) and one.get("type") == "Feature" for one in content
    )


def read_geojson(content: object, into: Collected) -> None:
    """Collect the nuclei of GeoJSON.

    Parameters
    ----------
    content : object
        For which `is_geojson` holds.
    into : Collected
        Gets nuclei, problems and the count of other objects.

    Notes
    -----
    QuPath writes one feature per object: ``objectType`` (``object_type`` before 0.4, ``id`` in
    0.2) is ``detection`` or ``cell``; a cell has its nucleus in ``nucleusGeometry``.  CellViT
    writes one feature per *class*, of type ``annotation``, whose parts are the nuclei (MultiPoint
    in cell_detection.geojson, MultiPolygon in cells.geojson).  Other annotations are regions, not
    nuclei.
    """
    for number, feature in enumerate(_features(content), start=1):
        properties = feature.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        kind = properties.get("objectType", properties.get("object_type", feature.get("id")))
        geometry = feature.get("nucleusGeometry") or feature.get("geometry")
        if not isinstance(geometry, Mapping):
            into.refuse("SL102", f"feature {number} has no geometry")
            continue
        shape, name = geometry.get("type"), _class_name(properties.get("classification"))
        try:
            if kind == "annotation" and shape in ("MultiPoint", "MultiPolygon"):
                _add_parts(geometry, name, into)
            elif kind in _NUCLEI:
                _add_object(geometry, name, into)
            else:
                into.n_other += 1
        except (ValueError, TypeError, IndexError, KeyError) as error:
            into.refuse("SL102", f"feature {number}: {error}")


def _features(content: object) -> Iterator[Mapping[str, object]]:
    if isinstance(content, Mapping) and content.get("type") == "FeatureCollection":
        content = content.get("features", [])
    for one in content if isinstance(content, list) else [content]:
        yield one if isinstance(one, Mapping) else {}


def _class_name(classification: object) -> str | None:
    """Read ``{"name": …}``, ``{"names": […]}`` (QuPath 0.5) or plain text."""
    if isinstance(classification, Mapping):
        names = classification.get("names")
        if isinstance(names, list) and names:
            return ": ".join(str(name) for name in names)
        classification = classification.get("name")
    return str(classification) if classification else None


def _add_parts(geometry: Mapping[str, object], name: str | None, into: Collected) -> None:
    parts = geometry["coordinates"]
    if not isinstance(parts, list):
        raise ValueError("coordinates are no list")
    into.shift = 0.0
    for part in parts:
        if geometry["type"] == "MultiPoint":
            into.add_point(as_number(part[0]), as_number(part[1]), name)
        else:
            into.add_outline(part[0], name)


def _add_object(geometry: Mapping[str, object], name: str | None, into: Collected) -> None:
    place = geometry["coordinates"]
    if not isinstance(place, list):
        raise ValueError("coordinates are no list")
    if geometry["type"] == "Point":
        into.add_point(as_number(place[0]), as_number(place[1]), name)
    elif geometry["type"] == "Polygon":
        into.add_outline(place[0], name)
    elif geometry["type"] == "MultiPolygon":
        # one object in pieces: its largest piece is where the nucleus is
        into.add_outline(max((piece[0] for piece in place), key=len), name)
    else:
        raise ValueError(f"its geometry is a {geometry['type']}; expected Polygon or Point")


def read_cellvit(content: Mapping[str, object], into: Collected) -> None:
    """Collect the nuclei of cells.json or cell_detection.json.

    Parameters
    ----------
    content : mapping
        With ``cells`` and ``type_map``.
    into : Collected
        Gets nuclei and problems.
    """
    names = content.get("type_map")
    named = {}
    if isinstance(names, Mapping):
        named = {str(key): str(value) for key, value in names.items()}
    cells = content.get("cells")
    for number, cell in enumerate(cells if isinstance(cells, list) else [], start=1):
        _add_typed(cell, f"cell {number}", named, into)


def read_hovernet(
    content: Mapping[str, object], class_names: Mapping[int, str] | None, into: Collected
) -> None:
    """Collect the nuclei of a HoVer-Net JSON file.

    Parameters
    ----------
    content : mapping
        With ``nuc``; its numbers of types have their names in another file.
    class_names : mapping of int to str, optional
        Names of the types; without it the class is the number as text.
    into : Collected
        Gets nuclei and problems.
    """
    nuclei = content.get("nuc")
    named = None
    if class_names is not None:
        named = {str(number): name for number, name in class_names.items()}
    for key, nucleus in nuclei.items() if isinstance(nuclei, Mapping) else ():
        _add_typed(nucleus, f"nucleus {key}", named, into)


def _add_typed(cell: object, what: str, named: Mapping[str, str] | None, into: Collected) -> None:
    if not isinstance(cell, Mapping):
        into.refuse("SL102", f"{what} is no object")
        return
    kind = cell.get("type")
    name = None if kind is None else str(kind)
    if name is not None and named is not None:
        if name not in named:
            into.refuse("SL103", f"{what} has type {name}; named are {', '.join(named) or 'none'}")
            return
        name = named[name]
    try:
        centre = cell["centroid"]
        x, y = as_number(centre[0]), as_number(centre[1])
        contour = cell.get("contour")
        if isinstance(contour, list) and len(contour) >= 3:
            into.add_outline(contour, name)
        else:
            into.add_point(x, y, name)
    except (ValueError, TypeError, IndexError, KeyError) as error:
        said = "has no centroid" if isinstance(error, KeyError) else f"{error}"
        into.refuse("SL102", f"{what}: {said}")
