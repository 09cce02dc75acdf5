"""Slides as a whole: maps, fractions, codes, tiles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from metastra.errors import Severity, SlideError
from metastra.tissue.light import Light
from metastra.tissue.quality import ARTEFACTS, assess, map_size
from metastra.tissue.region import Polygon, Region
from metastra.tissue.rules import CODES, TileRules, tile_codes
from metastra.tissue.thickness import fold_map, fold_reference, pale_map
from tissue.tissue_pictures import ArraySlide, glass, light_of, tissue_density, with_tissue


def drawn_slide(mpp=1.0, side=2000, **extra):
    """Tissue in the middle of glass, at 1 µm per pixel."""
    rgb = glass(side, side)
    return ArraySlide(with_tissue(rgb, tissue_density(1000, 1200, 1.0), 400, 300), mpp, **extra)


def codes_of(quality):
    return [problem.code for problem in quality.codes]


def test_a_clean_slide():
    """Every number of a slide whose truth is known."""
    quality = assess(drawn_slide())
    assert quality.assessable
    assert quality.fractions["tissue"] == pytest.approx(0.3, abs=0.01)
    assert quality.measures["tissue_mm2"] == pytest.approx(1.2, abs=0.03)
    assert quality.measures["stain"] == pytest.approx(0.54, abs=0.08)
    for name in ("pen", "bubble", "dark", "blank", "fold"):
        assert quality.fractions[name] == pytest.approx(0, abs=2e-3), name
    assert set(quality.not_assessable) == {"blur", "fading"}
    assert math.isnan(quality.fractions["blur"])
    assert math.isnan(quality.fractions["fading"])
    assert codes_of(quality) == ["QC011"]
    assert quality.codes[0].where.file == "drawn.tif"


def test_without_scale_what_needs_micrometres_is_not_assessable():
    """Tissue, ink and fill are judged; focus, folds and mm² are not, with the reason."""
    quality = assess(drawn_slide(mpp=None))
    assert quality.assessable
    assert quality.fractions["tissue"] == pytest.approx(0.3, abs=0.01)
    assert set(quality.not_assessable) == {"blur", "fading", "fold"}
    assert quality.not_assessable["fold"] == "the scale is not known"
    assert math.isnan(quality.fractions["fold"])
    assert math.isnan(quality.measures["tissue_mm2"])
    assert codes_of(quality) == ["QC010"]


def test_focus_of_a_fine_slide_is_judged():
    rgb = with_tissue(glass(900, 900), tissue_density(700, 700, 0.5), 100, 100)
    quality = assess(ArraySlide(rgb, 0.5))
    assert quality.fractions["blur"] == 0
    assert quality.measures["blur_um"] < 0.4
    assert codes_of(quality) == []


@pytest.mark.parametrize("mpp", [1.0, None])
def test_too_little_tissue_is_not_assessable(mpp):
    """The code refuses the slide and says what was found and what was expected."""
    rgb = with_tissue(glass(3000, 3000), tissue_density(80, 80, 1.0), 100, 100)
    quality = assess(ArraySlide(rgb, mpp))
    assert not quality.assessable
    assert quality.codes[0].code == "QC001"
    assert quality.codes[0].severity is Severity.REFUSE
    assert "at least" in quality.codes[0].expected
    assert not assess(ArraySlide(glass(500, 500), mpp)).assessable


def test_a_small_field_full_of_tissue_is_assessable():
    """A tile of 112 µm holds less than 0.1 mm², and is tissue all over."""
    quality = assess(ArraySlide(light_of(tissue_density(224, 224)), 0.5))
    assert quality.assessable
    assert quality.tissue.shape == (224, 224)
    assert quality.fractions["tissue"] == 1


def test_fluorescence_is_refused():
    with pytest.raises(SlideError, match="SL012"):
        assess(ArraySlide(glass(64, 64), modality="fluorescence"))


def test_a_region_limits_tissue_and_fractions():
    """A square of which half is tissue; a hole is left out; outside costs a tile QC009."""
    square = np.array([[100.0, 400.0], [500.0, 400.0], [500.0, 1400.0], [100.0, 1400.0]])
    hole = np.array([[400.0, 600.0], [450.0, 600.0], [450.0, 1200.0], [400.0, 1200.0]])
    region = Region(polygons=(Polygon(outline=square, holes=(hole,)),))
    quality = assess(drawn_slide(), region)
    inside = 400 * 1000 - 50 * 600
    assert quality.measures["tissue_mm2"] == pytest.approx((200 * 1000 - 30_000) / 1e6, rel=0.05)
    assert quality.fractions["tissue"] == pytest.approx(170_000 / inside, rel=0.05)
    boxes = np.array([[320.0, 700.0, 60.0, 60.0], [402.0, 700.0, 40.0, 40.0], [900, 700, 60, 60]])
    shares = quality.tile_fractions(boxes)
    assert shares["region"].round(1).tolist() == [1.0, 0.0, 0.0]
    assert tile_codes(shares).tolist() == ["", "QC009", "QC009"]
    outside = Region(polygons=(Polygon(outline=square + 5000),))
    quality = assess(drawn_slide(), outside)
    assert not quality.assessable
    assert "outside the slide" in quality.codes[0].found


def test_tile_fractions_agree_with_brute_force():
    """Random boxes, parts of pixels included, counted on a map made ten times finer."""
    quality = assess(drawn_slide())
    rng = np.random.default_rng(5)
    boxes = np.column_stack(
        [
            rng.integers(-50, 1950, 40),
            rng.integers(-50, 1950, 40),
            rng.integers(1, 400, 40),
            rng.integers(1, 400, 40),
        ]
    ).astype(float)
    shares = quality.tile_fractions(boxes)
    assert set(shares) == {"tissue", *ARTEFACTS}
    assert np.isnan(shares["blur"]).all()
    column = np.minimum(np.arange(2000) / quality.scale_px0[0], quality.tissue.shape[1] - 1)
    row = np.minimum(np.arange(2000) / quality.scale_px0[1], quality.tissue.shape[0] - 1)
    fine = quality.tissue[np.ix_(row.astype(int), column.astype(int))]
    for box, share in zip(boxes.astype(int), shares["tissue"], strict=True):
        x, y, w, h = box
        part = fine[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)]
        assert share == pytest.approx(part.sum() / (w * h), abs=2.5 / min(w, h) + 1e-9)


@pytest.mark.parametrize("boxes", [np.zeros((3, 3)), np.zeros((1, 4)), np.zeros(4)])
def test_boxes_of_another_shape_are_refused(boxes):
    with pytest.raises(ValueError, match="boxes are"):
        assess(ArraySlide(glass(64, 64))).tile_fractions(boxes)


def test_rules_of_tiles():
    """Each rule on its own, and the order in which they speak."""
    shares = {name: np.zeros(8) for name in ("tissue", *ARTEFACTS)}
    shares["tissue"][:] = 0.5
    shares["tissue"][0] = 0.09
    shares["blur"][1], shares["blur"][2] = 0.17, 0.18
    shares["pen"][3] = 0.11
    shares["fold"][4] = 0.13
    shares["bubble"][5] = 0.2
    shares["dark"][6], shares["pen"][6] = 0.06, 1.0
    shares["fading"][7], shares["blank"][7] = 0.5, 0.5
    expected = ["QC001", "", "QC002", "QC003", "QC004", "QC005", "QC007", "QC006"]
    assert tile_codes(shares).tolist() == expected
    shares["blur"][:] = np.nan
    assert tile_codes(shares)[2] == ""
    assert tile_codes(shares, TileRules(least_tissue=0.6))[1] == "QC001"
    assert len(set(CODES.values())) == len(CODES)


def test_sizes_of_maps():
    """8 µm per pixel, between 512 px and six million."""
    big = ArraySlide(np.zeros((1, 1, 3), np.uint8), 0.25).info

    def size(width, height, mpp):
        return map_size(
            type(big)(
                **{**vars(big), "width_px": width, "height_px": height, "mpp_x": mpp, "mpp_y": mpp}
            )
        )

    assert size(64_000, 32_000, 0.25) == (2000, 1000)
    assert size(2048, 1024, 0.5) == (512, 256)
    assert size(224, 224, 0.5) == (224, 224)
    assert size(1152, 700, 29.0) == (1152, 700)
    width, height = size(200_000, 100_000, 0.25)
    assert width * height <= 6_010_000
    assert size(100_000, 50_000, None) == (1536, 768)


def fold_of(density, width_um, mpp, seed=0):
    """Tissue doubled in a band: absorbances add up."""
    rng = np.random.default_rng(seed)
    height, width = density.shape[:2]
    y, x = np.mgrid[:height, :width]
    angle = rng.uniform(0, np.pi)
    across = (x - width / 2) * np.cos(angle) + (y - height / 2) * np.sin(angle)
    inside = np.abs(across) * mpp < width_um / 2
    return density + inside[..., None] * np.flip(density, (0, 1)), inside


@pytest.mark.parametrize(("width_um", "least"), [(0, 0.0), (40, 0.7), (80, 0.85), (160, 0.9)])
def test_dose_and_response_of_folds(width_um, least):
    """What is doubled is found, the wider the better; nothing where nothing is."""
    density, true = fold_of(tissue_density(500, 500, 4.0), width_um, 4.0)
    light = Light.of(light_of(density), 4.0)
    tissue = np.ones(true.shape, bool)
    found = fold_map(light, tissue)
    if width_um:
        assert (found & true).sum() >= least * true.sum()
    assert (found & ~true).mean() < 0.02


def test_dense_nuclei_are_no_fold():
    """Crowded nuclei raise red more than blue and green; so do erythrocytes the other two."""
    density = tissue_density(300, 300, 4.0)
    density[100:200, 100:200] = (0.5, 0.62, 0.22)
    density[220:280, 20:80] = (0.08, 0.65, 0.5)
    light = Light.of(light_of(density), 4.0)
    assert fold_map(light, np.ones((300, 300), bool)).mean() < 0.02


def test_a_fold_that_fills_the_picture_needs_the_slides_reference():
    density = tissue_density(300, 300, 4.0)
    tissue = np.ones((300, 300), bool)
    reference = fold_reference(Light.of(light_of(density), 4.0, (242.0,) * 3), tissue)
    doubled = Light.of(light_of(2 * density), 4.0, (242.0,) * 3)
    assert fold_map(doubled, tissue).mean() < 0.05
    assert fold_map(doubled, tissue, reference).mean() > 0.9
    assert fold_reference(doubled, ~tissue) is None
    for mpp in (None, 20.0):
        with pytest.raises(ValueError, match="folds need"):
            fold_map(Light.of(light_of(density), mpp), tissue)


@pytest.mark.parametrize(("left", "faded"), [(1.0, 0.0), (0.6, 0.0), (0.15, 1.0)])
def test_dose_and_response_of_fading(left, faded):
    """What is left of the stain, and the share of tissue that counts as faded."""
    light = Light.of(light_of(left * tissue_density(400, 400, 4.0)), 4.0, (242.0,) * 3)
    tissue = np.ones((400, 400), bool)
    assert pale_map(light, tissue).mean() == pytest.approx(faded, abs=0.02)


def test_codes_say_how_much(tmp_path):
    """Ink and black fill on one slide, each with its share and its limit."""
    slide = drawn_slide()
    slide.pixels[100:300, 100:700] = (200, 20, 40)
    slide.pixels[1800:] = 0
    quality = assess(slide)
    assert codes_of(quality) == ["QC003", "QC007", "QC011"]
    pen = quality.codes[0]
    assert pen.found.endswith("of the picture")
    assert float(pen.found.split("%")[0]) == pytest.approx(3.0, abs=0.6)
    assert pen.expected == "at most 0.2%"


def test_a_flat_picture_through_the_real_reader(tmp_path):
    """The same code on a PNG opened as users open it."""
    from metastra.slides.opening import open_slide

    path = tmp_path / "tile.png"
    Image.fromarray(light_of(tissue_density(256, 256))).save(path)
    with open_slide(path, mpp=0.5) as slide:
        quality = assess(slide)
    assert quality.name == "tile.png"
    assert quality.fractions["tissue"] == 1
    assert quality.focus is not None
    with open_slide(path) as slide:
        assert "blur" in assess(slide).not_assessable
