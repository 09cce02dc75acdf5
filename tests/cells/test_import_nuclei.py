"""Nuclei of other software: each layout as its maker writes it, and every bad row named."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from metastra.cells.importing import read_nuclei
from metastra.cells.polygon import area_and_centroid
from metastra.errors import ConfigError, DataError

SQUARE = [[10, 20], [14, 20], [14, 24], [10, 24], [10, 20]]
CELL = [[6, 16], [18, 16], [18, 28], [6, 28], [6, 16]]


def qupath(kind="detection", *, key="objectType", **more):
    return {
        "type": "Feature",
        "id": "1b3c5f0e-0000-4000-8000-000000000000",
        "geometry": {"type": "Polygon", "coordinates": [SQUARE]},
        "properties": {key: kind, "isLocked": False},
        **more,
    }


def write(tmp_path, content, name="nuclei.geojson"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("wrap", [lambda f: {"type": "FeatureCollection", "features": f}, list])
def test_qupath_geojson(tmp_path, wrap):
    """A collection and a bare list; classes of three generations; the parent annotation is none."""
    features = [
        qupath(),
        qupath(key="object_type"),
        qupath(),
        qupath("annotation"),
    ]
    features[0]["properties"]["classification"] = {"name": "Tumor", "color": [200, 0, 0]}
    features[1]["properties"]["classification"] = {
        "names": ["Tumor", "Positive"],
        "color": [1, 2, 3],
    }

    read = read_nuclei(write(tmp_path, wrap(features)), mpp=0.5)

    assert read.layout == "GeoJSON"
    assert read.nuclei.class_names == ("Tumor", "Tumor: Positive", None)
    assert read.n_other == 1
    # QuPath counts from the corner of the first pixel: its (12, 22) is the pixel centre 11.5, 21.5
    assert read.nuclei.centroids_px0.tolist() == [[11.5, 21.5]] * 3
    assert read.nuclei.radius_um == pytest.approx([math.sqrt(16 / math.pi) * 0.5] * 3)


def test_qupath_cell_has_its_nucleus_apart(tmp_path):
    """Of a cell the nucleus is read, not the outline of the cell."""
    cell = qupath("cell", nucleusGeometry={"type": "Polygon", "coordinates": [SQUARE]})
    cell["geometry"] = {"type": "Polygon", "coordinates": [[[x + 3, y] for x, y in CELL]]}

    read = read_nuclei(write(tmp_path, [cell]))

    assert read.nuclei.centroids_px0.tolist() == [[11.5, 21.5]]
    assert np.isnan(read.nuclei.radius_um).all()


def test_cellvit_geojson_has_one_feature_per_class(tmp_path):
    """The parts of a CellViT feature are its nuclei."""
    points = {
        "type": "Feature",
        "id": "x",
        "geometry": {"type": "MultiPoint", "coordinates": [[5, 6], [7.5, 8]]},
        "properties": {
            "objectType": "annotation",
            "classification": {"name": "Neoplastic", "color": [255, 0, 0]},
        },
    }
    outlines = json.loads(json.dumps(points))
    outlines["geometry"] = {"type": "MultiPolygon", "coordinates": [[SQUARE], [CELL]]}
    outlines["properties"]["classification"]["name"] = "Inflammatory"

    nuclei = read_nuclei(write(tmp_path, [points, outlines])).nuclei

    assert nuclei.centroids_px0.tolist() == [[5, 6], [7.5, 8], [12, 22], [12, 22]]
    assert nuclei.class_names == ("Neoplastic",) * 2 + ("Inflammatory",) * 2


def test_cellvit_json(tmp_path):
    """cells.json with contours, cell_detection.json without; names from the file's own map."""
    cells = [
        {"bbox": [[20, 10], [24, 14]], "centroid": [12, 22], "type": 1, "contour": SQUARE[:4]},
        {"bbox": [[0, 0], [4, 4]], "centroid": [2.0, 3.0], "type": 2, "type_prob": 0.9},
    ]
    content = {
        "wsi_metadata": {"base_mpp": 0.25},
        "type_map": {"1": "Neoplastic", "2": "Inflammatory"},
        "cells": cells,
    }

    read = read_nuclei(write(tmp_path, content, "cells.json"), mpp=0.25)

    assert read.layout == "CellViT"
    assert read.nuclei.centroids_px0.tolist() == [[12, 22], [2, 3]]
    assert read.nuclei.class_names == ("Neoplastic", "Inflammatory")
    assert read.nuclei.radius_um[0] == pytest.approx(math.sqrt(16 / math.pi) * 0.25)
    assert math.isnan(read.nuclei.radius_um[1])


def hovernet(mag):
    nucleus = {"bbox": [[20, 10], [24, 14]], "centroid": [12.0, 22.0], "type_prob": 0.8}
    return {
        "mag": mag,
        "nuc": {
            "1": {**nucleus, "contour": SQUARE[:4], "type": 1},
            "2": {**nucleus, "centroid": [3.5, 4.5], "contour": None, "type": None},
        },
    }


def test_hovernet_json_of_a_tile(tmp_path):
    """Types stay numbers until somebody names them."""
    path = write(tmp_path, hovernet(None), "tile.json")

    assert read_nuclei(path).nuclei.class_names == ("1", None)
    named = read_nuclei(path, class_names={0: "nolabe", 1: "neopla"})
    assert named.nuclei.class_names == ("neopla", None)
    assert named.layout == "HoVer-Net"


def test_hovernet_json_of_a_slide_needs_its_scale(tmp_path):
    """Coordinates at some magnification are never taken for level 0."""
    path = write(tmp_path, hovernet(20), "slide.json")

    with pytest.raises(ConfigError, match="magnification 20; expected scale"):
        read_nuclei(path)
    nuclei = read_nuclei(path, scale=2.0, mpp=0.25).nuclei
    assert nuclei.centroids_px0.tolist() == [[24, 44], [7, 9]]
    assert nuclei.radius_um[0] == pytest.approx(math.sqrt(16 / math.pi) * 0.5)


def test_hovernet_table_for_qupath(tmp_path):
    """Tabs, an empty class, the class under name."""
    text = "x\ty\tclass\tname\tcolor\n12\t22\t\tneopla\t-65536\n3\t4\t\tinflam\t-16711936\n"

    nuclei = read_nuclei(write(tmp_path, text, "n.tsv")).nuclei

    assert nuclei.centroids_px0.tolist() == [[12, 22], [3, 4]]
    assert nuclei.class_names == ("neopla", "inflam")


@pytest.mark.parametrize(("separator", "mu"), [("\t", "µ"), (",", "μ"), (";", "µ")])
def test_qupath_measurements_in_micrometres(tmp_path, separator, mu):
    """With the pixel size they become level-0 pixels; annotations of the table are no nuclei."""
    rows = [
        ["Image", "Object type", "Name", "Class", "Parent"],
        ["a.svs", "Annotation", "", "Region", "Root", "50", "50", ""],
        ["a.svs", "Detection", "", "Tumor", "Annotation", "6", "11", "12.5"],
        ["a.svs", "Detection", "", "", "Annotation", "1", "2", ""],
    ]
    rows[0] += [f"Centroid X {mu}m", f"Centroid Y {mu}m", f"Nucleus: Area {mu}m^2"]
    path = write(tmp_path, "\n".join(separator.join(row) for row in rows) + "\n", "m.csv")

    with pytest.raises(ConfigError, match="give mpp"):
        read_nuclei(path)
    read = read_nuclei(path, mpp=0.5)

    assert read.layout == "QuPath measurements"
    assert read.n_other == 1
    assert read.nuclei.centroids_px0.tolist() == [[11.5, 21.5], [1.5, 3.5]]
    assert read.nuclei.class_names == ("Tumor", None)
    assert read.nuclei.radius_um[0] == pytest.approx(math.sqrt(12.5 / math.pi))


def test_every_bad_row_of_a_table_is_named(tmp_path):
    """All at once, with line and column; good rows do not hide them."""
    text = "x,y,class\n1,2,a\n,2,a\n3,four,b\nnan,1,b\n5,-6,c\n7\n"

    with pytest.raises(DataError) as caught:
        read_nuclei(write(tmp_path, text, "t.csv"))

    places = [(p.code, p.where.rows, p.where.column) for p in caught.value.problems]
    assert places == [
        ("SL102", (3,), "x"),
        ("SL102", (4,), "y"),
        ("SL102", (5,), "x"),
        ("SL102", (6,), "y"),
        ("SL102", (7,), "y"),
    ]


def test_every_bad_object_of_json_is_named(tmp_path):
    """Objects without a place, and types without a name."""
    cells = [
        {"centroid": [1, 2], "type": 1},
        {"centroid": [1, None], "type": 1},
        {"type": 1},
        {"centroid": [1, 2], "type": 9},
        "nonsense",
    ]
    path = write(tmp_path, {"type_map": {"1": "Neoplastic"}, "cells": cells}, "cells.json")

    with pytest.raises(DataError) as caught:
        read_nuclei(path)

    assert [p.code for p in caught.value.problems] == ["SL102", "SL102", "SL103", "SL102"]
    assert "cell 2" in str(caught.value)
    assert "type 9; named are 1" in str(caught.value)


@pytest.mark.parametrize(
    "geometry",
    [
        None,
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[]]},
        {"type": "Polygon", "coordinates": [[[1, "a"], [2, 3]]]},
        {"type": "Polygon", "coordinates": [[[1, 1e999], [2, 3], [4, 5]]]},
        {"type": "LineString", "coordinates": [[1, 2], [3, 4]]},
        {"type": "Point", "coordinates": [True, 2]},
        {"type": "Polygon"},
    ],
)
def test_bad_geometry_is_refused(tmp_path, geometry):
    """No geometry that is no place slips through, and none raises something else."""
    feature = qupath()
    feature["geometry"] = geometry

    with pytest.raises(DataError, match=r"SL102 .*feature 1"):
        read_nuclei(write(tmp_path, [feature]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("{", "JSON breaks off"),
        ('{"a": 1}', "JSON without features, cells or nuc"),
        ("a,b\n1,2\n", "no column 'Centroid X px' or 'Centroid X µm' or 'x' among a, b"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_no_known_layout_is_refused(tmp_path, text, said):
    """Nothing is guessed."""
    with pytest.raises(DataError, match=said):
        read_nuclei(write(tmp_path, text, "x.json"))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    """A picture under the name of a table is named, not decoded."""
    path = tmp_path / "x.csv"
    path.write_bytes(b"\x89PNG\r\n\xff\xfe")

    with pytest.raises(DataError, match="byte 0 is not UTF-8"):
        read_nuclei(path)


def test_no_nuclei_is_a_result(tmp_path):
    """An empty collection is a slide without nuclei."""
    path = write(tmp_path, {"type": "FeatureCollection", "features": []})

    assert len(read_nuclei(path).nuclei) == 0


def test_area_and_centroid_against_shapely_values():
    """A triangle far from the origin, an L, and outlines without area."""
    far = 1e6
    assert area_and_centroid([[far, far], [far + 3, far], [far, far + 3]]) == pytest.approx(
        (4.5, far + 1, far + 1)
    )
    ell = [[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]]
    assert area_and_centroid(ell) == pytest.approx((3.0, 5 / 6, 5 / 6))
    assert area_and_centroid(ell[::-1]) == pytest.approx((3.0, 5 / 6, 5 / 6))
    assert area_and_centroid([[1, 2]]) == (0.0, 1.0, 2.0)
    assert area_and_centroid([[0, 0], [2, 2], [0, 0]]) == (0.0, 1.0, 1.0)
