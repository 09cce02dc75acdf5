"""Regions from QuPath: what is read, where it lands, and everything that is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metastra.errors import DataError
from metastra.tissue.geojson import read_region_file
from metastra.tissue.region import Polygon, Region
from metastra.tissue.rings import holds_point, ring_area, ring_fault
from tissue.tissue_pictures import ArraySlide

INFO = ArraySlide(np.zeros((1, 1, 3), np.uint8)).info
INFO = replace(INFO, width_px=1000, height_px=800)
SQUARE = [[100, 100], [300, 100], [300, 200], [100, 200], [100, 100]]
HOLE = [[150, 120], [250, 120], [250, 180], [150, 180], [150, 120]]


def polygon(*rings):
    return {"type": "Polygon", "coordinates": list(rings)}


def feature(geometry):
    # as QuPath 0.5 writes it
    properties = {"objectType": "annotation", "classification": {"name": "Tumor"}}
    return {"type": "Feature", "id": "a", "geometry": geometry, "properties": properties}


def written(folder, document):
    path = folder / "tumour.geojson"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def area(region):
    return sum(
        ring_area(p.outline) - sum(ring_area(hole) for hole in p.holes) for p in region.polygons
    )


@pytest.mark.parametrize(
    "document",
    [
        {"type": "FeatureCollection", "features": [feature(polygon(SQUARE, HOLE))]},
        [feature(polygon(SQUARE, HOLE))],
        feature(polygon(SQUARE, HOLE)),
        polygon(SQUARE, HOLE),
        {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE]]},
        {"type": "GeometryCollection", "geometries": [polygon(SQUARE, HOLE)]},
    ],
)
def test_every_way_of_writing_a_polygon(tmp_path, document):
    region = read_region_file(written(tmp_path, document), INFO)
    assert area(region) == 200 * 100 - 100 * 60
    assert region.bounds_px0 == (100, 100, 300, 200)
    assert region.source == "tumour.geojson"


def test_multipolygon_is_the_union(tmp_path):
    other = [[x + 500, y + 300] for x, y in SQUARE]
    document = {"type": "MultiPolygon", "coordinates": [[SQUARE], [other]]}
    region = read_region_file(written(tmp_path, document), INFO)
    mask = region.mask((80, 100), (10.0, 10.0))
    assert mask[15, 20]
    assert mask[45, 70]
    assert mask.sum() == 400


def test_points_and_lines_are_left_aside_but_not_alone(tmp_path):
    point = feature({"type": "Point", "coordinates": [1, 1]})
    region = read_region_file(written(tmp_path, [point, feature(polygon(SQUARE))]), INFO)
    assert len(region.polygons) == 1
    with pytest.raises(DataError, match=r"QC024 .*1 other geometries"):
        read_region_file(written(tmp_path, [point]), INFO)
    with pytest.raises(DataError, match=r"QC024 .*nothing drawn"):
        read_region_file(written(tmp_path, {"type": "FeatureCollection", "features": []}), INFO)


def test_all_faults_at_once_with_their_places(tmp_path):
    """Nothing is repaired silently; each ring is named."""
    crossing = [[0, 0], [100, 100], [100, 0], [0, 100], [0, 0]]
    document = [
        feature(polygon(SQUARE[:-1])),
        feature(polygon(crossing)),
        feature(polygon([[0, 0], [5, 5], [0, 0]])),
        feature(polygon([[0, 0], [5, 5], [10, 10], [0, 0]])),
        feature(polygon([[0, 0], [5, None], [10, 10], [0, 0]])),
        feature(polygon(SQUARE, [[x + 400, y] for x, y in HOLE])),
        feature({"type": "Polygon", "coordinates": []}),
    ]
    with pytest.raises(DataError) as caught:
        read_region_file(written(tmp_path, document), INFO)
    found = [(p.code, p.found) for p in caught.value.problems]
    assert [code for code, _ in found] == ["QC021"] * 5 + ["QC022", "QC021"]
    assert "feature 1, ring 1: it is not closed" in found[0][1]
    assert "feature 2, ring 1: it crosses itself" in found[1][1]
    assert "2 different points" in found[2][1]
    assert "encloses no area" in found[3][1]
    assert "pairs of numbers" in found[4][1]
    assert "feature 6, ring 2: a hole outside" in found[5][1]


@pytest.mark.parametrize("text", ["", "{", '{"type": NaN', "\x00", "[" * 100_000])
def test_what_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "broken.geojson"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"QC020 broken\.geojson"):
        read_region_file(path, INFO)
    with pytest.raises(DataError, match=r"QC020 missing\.geojson"):
        read_region_file(tmp_path / "missing.geojson", INFO)


def test_bounds_of_the_scanner_are_added(tmp_path):
    """QuPath counts from the corner of the scanned bounds; the trap is caught both ways."""
    bounded = replace(INFO, width_px=5000, height_px=4000, bounds_px0=(2000, 1000, 800, 600))
    path = written(tmp_path, feature(polygon(SQUARE)))
    assert read_region_file(path, bounded).bounds_px0 == (2100, 1100, 2300, 1200)
    as_is = read_region_file(path, bounded, origin="level0")
    assert as_is.bounds_px0 == (100, 100, 300, 200)
    uncropped = [[x + 2000, y + 1000] for x, y in SQUARE]
    path = written(tmp_path, feature(polygon(uncropped)))
    with pytest.raises(DataError, match="--region-origin level0"):
        read_region_file(path, bounded)
    assert read_region_file(path, bounded, origin="level0").bounds_px0[0] == 2100


def test_a_region_of_another_slide_is_refused(tmp_path):
    far = [[x + 5000, y] for x, y in SQUARE]
    with pytest.raises(DataError, match=r"QC023 .*expected x 0 to 1000, y 0 to 800"):
        read_region_file(written(tmp_path, feature(polygon(far))), INFO)
    over = [[x - 105, y] for x, y in SQUARE]
    assert read_region_file(written(tmp_path, feature(polygon(over))), INFO).bounds_px0[0] == -5


def test_holes_and_overlaps_on_a_map():
    """A hole is cut from its own polygon only; overlapping polygons count once."""
    outline, hole = np.array(SQUARE[:-1], float), np.array(HOLE[:-1], float)
    region = Region(
        polygons=(Polygon(outline=outline, holes=(hole,)), Polygon(outline=outline[[0, 1, 2]]))
    )
    mask = region.mask((800, 1000), (1.0, 1.0))
    y, x = np.mgrid[:800, :1000] + 0.5
    inside = (x > 100) & (x < 300) & (y > 100) & (y < 200)
    cut = (x > 150) & (x < 250) & (y > 120) & (y < 180)
    triangle = inside & ((y - 100) < (x - 100) / 2)
    true = (inside & ~cut) | triangle
    assert np.count_nonzero(mask ^ true) <= 1


@given(st.integers(3, 40), st.integers(0, 10_000))
def test_star_shaped_rings_are_valid_and_hold_their_middle(corners, seed):
    """A ring around a point never crosses itself; shuffled, it nearly always does."""
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
    if np.diff(np.append(angle, angle[0] + 2 * np.pi)).max() > 3.0 or np.diff(angle).min() < 1e-3:
        return
    radius = rng.uniform(50, 100, corners)
    ring = 500 + np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    closed = [*ring.tolist(), ring[0].tolist()]
    kept, fault = ring_fault(closed)
    assert fault == ""
    assert holds_point(kept, np.array([500.0, 500.0]))
    assert not holds_point(kept, np.array([700.0, 500.0]))


def test_crossings_agree_with_brute_force():
    """Every pair of sides of random rings, by solving for the crossing."""
    rng = np.random.default_rng(7)
    for _ in range(200):
        ring = rng.uniform(0, 100, (rng.integers(4, 9), 2))
        closed = [*ring.tolist(), ring[0].tolist()]
        assert ("crosses" in ring_fault(closed)[1]) == brute_crossing(ring)


def brute_crossing(ring):
    sides = list(zip(ring, np.roll(ring, -1, axis=0), strict=True))
    for i, (a, b) in enumerate(sides):
        for j, (c, d) in enumerate(sides):
            if abs(i - j) in (0, 1, len(sides) - 1):
                continue
            matrix = np.column_stack([b - a, c - d])
            if abs(np.linalg.det(matrix)) < 1e-12:
                continue
            s, t = np.linalg.solve(matrix, c - a)
            if 0 < s < 1 and 0 < t < 1:
                return True
    return False


@pytest.mark.parametrize(
    "properties",
    [
        {"objectType": "detection"},
        {"objectType": "cell", "classification": {"name": "Tumor"}},
        {"object_type": "cell"},
        {"objectType": "annotation", "classification": {"name": "Ignore*"}},
        {"objectType": "annotation", "classification": {"names": ["Tumor", "Necrosis*"]}},
    ],
)
def test_what_qupath_marks_as_no_region_is_left_aside(tmp_path, properties):
    """Detections, cells and ignored classes do not widen the region, and alone they are none."""
    other = [[500, 500], [700, 500], [700, 700], [500, 700], [500, 500]]
    left = {**feature(polygon(other)), "properties": properties}
    region = read_region_file(written(tmp_path, [feature(polygon(SQUARE)), left]), INFO)
    assert len(region.polygons) == 1
    assert area(region) == 200 * 100
    with pytest.raises(DataError, match=r"QC024.*1 detections, cells or objects"):
        read_region_file(written(tmp_path, [left]), INFO)


@pytest.mark.parametrize(
    "classification", [None, {}, {"name": "Tumor"}, {"name": "*Tumor"}, {"names": ["A*", "B"]}]
)
def test_every_other_class_is_part_of_the_region(tmp_path, classification):
    """Annotations of any class, or of none."""
    kept = {
        **feature(polygon(SQUARE)),
        "properties": {"objectType": "annotation", "classification": classification},
    }
    assert area(read_region_file(written(tmp_path, kept), INFO)) == 200 * 100
