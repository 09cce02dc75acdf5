"""The files of an explained patient: numbers agree, pictures open, QuPath's tiles lie right."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from explanation.weighted_tiles import WeightedModel
from metastra.errors import DataError, NotEstimable
from metastra.explanation.colours import LOWERING, RAISING, STRIPE, colours_of, limit_of
from metastra.explanation.drawing import scale_bar_um
from metastra.explanation.files import (
    NO_EFFECT,
    NOT_FAITHFUL,
    chosen_boxes_px0,
    slide_files,
)
from metastra.explanation.patient import NamedBag, explain_patient
from metastra.explanation.pixels import SlidePixels, read_pixels
from metastra.features.bag import Bag, BagFrame, BagOrigin

SIDE = 224.0


def bag(n: int, seed: int, **frame) -> Bag:
    """A slide of n tiles in rows of ten at 0.5 µm per pixel."""
    rng = np.random.default_rng(seed)
    coords = np.array([(224 * (i % 10), 224 * (i // 10)) for i in range(n)], dtype=np.int64)
    given = {"mpp": (0.5, 0.5), "tile_side_px0": (SIDE, SIDE), "slide_size_px0": (2240, 1800)}
    return Bag(
        features=rng.normal(size=(n, 2)).astype(np.float32),
        coords=coords.reshape(n, 2),
        frame=BagFrame(**(given | frame)),
        origin=BagOrigin(encoder="two", feature_names=("nuclei_share", "lumen_area_mean_um2")),
    )


@pytest.fixture(scope="module")
def patient():
    slides = [NamedBag(name="S-a", bag=bag(70, 1)), NamedBag(name="S-empty", bag=bag(0, 2))]
    slides.append(NamedBag(name="S-b", bag=bag(30, 3)))
    return explain_patient(WeightedModel(), slides, per_score=0.5)


def pixels(patient, which, offset=(0, 0)):
    """Pink pictures."""
    n = len(chosen_boxes_px0(patient, which))
    stream = io.BytesIO()
    Image.new("RGB", (224, 224), (230, 170, 200)).save(stream, "JPEG")
    thumbnail = np.full((180, 224, 3), (230, 170, 200), dtype=np.uint8)
    return SlidePixels(
        thumbnail=thumbnail,
        size_px0=(2240, 1800),
        offset_px0=offset,
        tiles=(stream.getvalue(),) * n,
    )


def test_a_patients_slides_are_explained_together(patient):
    """A tile's part depends on the tiles of the other slide; slides without tiles are none."""
    assert [slide.name for slide in patient.slides] == ["S-a", "S-b"]
    model = WeightedModel()
    together = np.concatenate([slide.bag.features for slide in patient.slides])
    assert patient.risk.score == model.explain(together).score
    np.testing.assert_allclose(patient.risk.tiles, 0.5 * model.explain(together).leave_one_out)
    assert patient.faithfulness is not None
    assert patient.faithfulness.beats_random
    for tile in patient.raising:
        mine = patient.risk.tiles[patient.of_slide(tile.slide)]
        assert tile.contribution == mine[tile.row] > 0.0
    assert patient.raising[0].contribution == patient.risk.tiles.max()


def test_the_files_say_the_same_numbers(patient):
    files = slide_files(patient, 1, pixels(patient, 1, (100, 40)), {"bundle": "sha256:0"})
    tiles = json.loads(files["tiles.json"])
    said = json.loads(files["explanation.json"])
    shapes = json.loads(files["map.geojson"])["features"]
    mine = patient.risk.tiles[patient.of_slide(1)]
    np.testing.assert_allclose(tiles["contribution"], mine, rtol=1e-6)
    assert said["n_tiles"] == len(tiles["x_px0"]) == len(shapes) == 30
    assert said["n_tiles_of_patient"] == 100
    assert said["contributions"]["raising"] == int((mine > 0).sum())
    assert said["bundle"] == "sha256:0"
    assert "Research use only" in said["research_use"]
    assert said["faithfulness"]["beats_random"] is True
    measured = shapes[7]["properties"]["measurements"]["contribution (log relative hazard)"]
    assert measured == pytest.approx(mine[7], rel=1e-5)
    x, y = patient.slides[1].bag.coords[7].tolist()
    ring = shapes[7]["geometry"]["coordinates"][0]
    assert ring[0] == [x - 100, y - 40]
    assert ring[2] == [x - 100 + SIDE, y - 40 + SIDE]
    shown = [tile["picture"] for kind in ("raising", "lowering") for tile in tiles[kind]]
    assert shown
    assert set(shown) == {name for name in files if name.endswith(".jpg")}
    for name in (*shown, "risk_map.png"):
        Image.open(io.BytesIO(files[name])).verify()
    assert slide_files(patient, 1, pixels(patient, 1, (100, 40)), {"bundle": "sha256:0"}) == files


def test_without_pixels_the_map_stands_alone(patient):
    """A feature file has no picture; nothing else is missing."""
    files = slide_files(patient, 0, None, {})
    assert sorted(files) == ["explanation.json", "map.geojson", "risk_map.png", "tiles.json"]
    tiles = json.loads(files["tiles.json"])
    assert {tile["picture"] for tile in tiles["raising"]} == {None}
    size = Image.open(io.BytesIO(files["risk_map.png"])).size
    assert size[0] < 800


def test_a_map_that_fails_its_test_says_so_on_the_picture(patient, monkeypatch):
    """The warning is drawn into the picture, which is often passed on alone."""
    flat = bag(40, 5)
    same = Bag(features=np.zeros((40, 2), np.float32), coords=flat.coords, frame=flat.frame)
    found = explain_patient(WeightedModel(), [NamedBag(name="S-c", bag=same)])
    assert found.faithfulness is not None
    assert not found.faithfulness.beats_random
    assert found.raising == ()
    drawn = []
    monkeypatch.setattr(
        "metastra.explanation.files.draw_map",
        lambda picture: drawn.append(picture.warning) or np.zeros((2, 2, 3), np.uint8),
    )
    said = json.loads(slide_files(found, 0, None, {})["explanation.json"])
    assert said["contributions"]["reason"].startswith("no tile changes the risk")
    noise = replace(patient.risk, tiles=np.random.default_rng(4).normal(size=100))
    tested = replace(patient.faithfulness, p=0.4)
    slide_files(replace(patient, risk=noise, faithfulness=tested), 0, None, {})
    assert drawn == [NO_EFFECT, NOT_FAITHFUL]


def test_few_tiles_are_mapped_and_not_tested():
    found = explain_patient(WeightedModel(), [NamedBag(name="S-d", bag=bag(5, 6))])
    said = json.loads(slide_files(found, 0, None, {})["explanation.json"])
    assert said["faithfulness"] == {
        "tested": False,
        "reason": "5 tiles are too few to test a map; at least 10",
    }
    one = explain_patient(WeightedModel(), [NamedBag(name="S-e", bag=bag(1, 6))])
    said = json.loads(slide_files(one, 0, None, {})["explanation.json"])
    assert said["contributions"]["reason"] == "it is the patient's only tile"


def test_what_cannot_be_drawn_is_refused_by_name():
    lost = NamedBag(name="S-f", bag=bag(5, 6, tile_side_px0=None, tile_side_um=None))
    with pytest.raises(DataError, match="S-f: the feature file does not say how large a tile"):
        explain_patient(WeightedModel(), [lost])
    with pytest.raises(NotEstimable, match="no tiles"):
        explain_patient(WeightedModel(), [NamedBag(name="S-g", bag=bag(0, 6))])


def test_a_grey_print_tells_raising_from_lowering():
    """Raising is dark; lowering is light with dark stripes; nothing hides nothing."""
    grey = np.array([0.299, 0.587, 0.114])
    raising, lowering, stripe = (np.array(c) @ grey for c in (RAISING, LOWERING, STRIPE))
    tissue = 255.0 - 0.55 * (255.0 - 165.0)
    assert raising < tissue - 120
    assert lowering - stripe > 80
    opacity = colours_of(np.array([-1.0, 0.0, 0.5, 1.0, np.nan]), 1.0)[1]
    assert opacity.tolist() == [0.92, 0.0, opacity[2], 0.92, 0.0]
    assert 0.0 < opacity[2] < 0.92
    assert limit_of(np.array([np.nan])) == limit_of(np.zeros(3)) == 1.0


@pytest.mark.parametrize(("width", "bar"), [(3000.0, 500.0), (19.0, 2.0), (60_000.0, 10_000.0)])
def test_the_scale_bar_is_a_round_length(width, bar):
    assert scale_bar_um(width) == bar


def test_the_pixels_are_the_scanned_levels_and_nothing_else(shared):
    """A real slide with label and macro: the thumbnail is level 0 from edge to edge."""
    path = shared / "data" / "wsi" / "CMU-1-Small-Region.svs"
    found = read_pixels(path, [[500.0, 600.0, 224.0, 224.0]])
    assert found.size_px0 == (2220, 2967)
    assert found.thumbnail.shape == (640, 479, 3)
    assert Image.open(io.BytesIO(found.tiles[0])).size == (224, 224)
    with Image.open(io.BytesIO(found.tiles[0])) as picture:
        assert not picture.getexif()
