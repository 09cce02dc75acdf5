"""Fading of a part: weak nuclei on weak ground, beside the same slide's; pale tissue is not it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from metastra.tissue.fading import LEAST_FIELDS, faded, stain_of_nuclei
from metastra.tissue.focus import MORE_FIELDS, MOST_FIELDS
from metastra.tissue.quality import assess
from metastra.tissue.rules import tile_codes
from tissue.tissue_pictures import ArraySlide, glass, light_of, tissue_density, with_tissue

WHITE = (242.0, 242.0, 242.0)
FIELD = (256, 256)


def stain_of(density, mpp=0.5):
    tissue = np.ones(density.shape[:2], bool)
    return stain_of_nuclei(light_of(density), tissue, mpp=mpp, glass=WHITE)


def sparse_density(seed=0):
    """Faded tissue in which eleven nuclei (700 in a mm²) have kept their stain."""
    density = 0.4 * tissue_density(*FIELD, seed=seed)
    for row, column in np.random.default_rng(seed).integers(20, 230, (11, 2)):
        density[row - 6 : row + 6, column - 6 : column + 6] += np.array((0.45, 0.55, 0.22))
    return density


@pytest.mark.parametrize("left", [1.0, 0.7, 0.4])
def test_strength_falls_with_the_stain(left):
    """Absorbance is in proportion, so each measure is what is left of it."""
    density = tissue_density(*FIELD, seed=3)
    share = stain_of(left * density) / stain_of(density)
    assert share == pytest.approx(left, rel=0.06)


@pytest.mark.parametrize(("left", "expected"), [(1.0, False), (0.8, False), (0.5, True)])
def test_a_field_is_faded_beside_the_others(left, expected):
    fields = [stain_of(tissue_density(*FIELD, seed=seed)) for seed in range(8)]
    fields.append(stain_of(left * tissue_density(*FIELD, seed=20)))
    found = faded(np.array(fields))
    assert found[-1] == expected
    assert not found[:-1].any()


def test_pale_tissue_with_strong_nuclei_is_not_faded():
    """A dozen dark nuclei in a field are enough."""
    fields = np.array([stain_of(tissue_density(*FIELD, seed=seed)) for seed in range(8)])
    sparse = stain_of(sparse_density())
    typical = np.median(fields, axis=0)
    assert sparse[3] < 0.65 * typical[3]
    assert (sparse[:3] > 0.65 * typical[:3]).any()
    assert not faded(np.vstack([fields, sparse]))[-1]


def test_tissue_without_nuclei_says_nothing():
    """Mucin and matrix, or hardly any tissue."""
    smooth = np.full((*FIELD, 3), 0.2) + 0.003 * np.random.default_rng(0).normal(size=(*FIELD, 3))
    assert np.isnan(stain_of(smooth)).all()
    full = light_of(tissue_density(*FIELD))
    few = np.zeros(FIELD, bool)
    few[:10] = True
    assert np.isnan(stain_of_nuclei(full, few, mpp=0.5, glass=WHITE)).all()


def test_too_few_fields_have_nothing_to_be_compared_with():
    """A single tile is never faded, whatever it looks like."""
    fields = np.ones((LEAST_FIELDS, 4))
    fields[0] = 0.3
    assert faded(fields)[0]
    assert not faded(fields[:-1]).any()
    fields[1:3] = np.nan
    assert not faded(fields).any()


def test_tiles_of_a_faded_part_fall_out():
    """A corner of the tissue at 0.4 of its stain: QC006 for its tiles and for the slide."""
    density = tissue_density(2300, 2300, seed=5)
    density[:900, :1000] *= 0.4
    quality = assess(ArraySlide(with_tissue(glass(2600, 2600), density, 150, 150)))
    assert quality.focus is not None
    assert quality.focus.spread <= MOST_FIELDS
    assert quality.focus.spread < len(quality.focus.boxes_px0) <= MOST_FIELDS + MORE_FIELDS
    boxes = np.array([[300.0, 300, 224, 224], [500, 250, 224, 224], [1300, 1300, 224, 224]])
    assert tile_codes(quality.tile_fractions(boxes)).tolist() == ["QC006", "QC006", ""]
    assert quality.fractions["fading"] == pytest.approx(0.17, abs=0.05)
    assert [problem.code for problem in quality.codes] == ["QC006"]
    assert quality.artefacts["fading"][: quality.tissue.shape[0] // 3].any()


def test_a_slide_that_is_pale_throughout_keeps_its_tiles():
    """More than half below 0.09 of green: the slide gets the code, no tile has a better one."""
    density = 0.1 * tissue_density(1700, 1700, seed=5)
    quality = assess(ArraySlide(with_tissue(glass(2000, 2000), density, 150, 150)))
    assert quality.fractions["fading"] > 0.9
    assert "QC006" in [problem.code for problem in quality.codes]
    assert tile_codes(quality.tile_fractions(np.array([[500.0, 500, 224, 224]])))[0] != "QC006"


@pytest.mark.slow
def test_real_tissue_faded_by_computer_and_as_it_is(shared):
    """Tiles of three patients; one tile in eight at 0.45 of its absorbance, the others as scanned.

    Where nuclei are few, fading cannot be told; where it is told, it was there.
    """
    folder = shared / "data" / "tiles" / "orion_crc_he"
    told, of, false, others = 0, 0, 0, 0
    for patient in ("C01", "C03", "C05"):
        plain, weak = [], []
        for path in sorted(folder.glob(f"*_{patient}_*.png")):
            rgb = np.asarray(Image.open(path).convert("RGB"))
            tissue = np.ones(rgb.shape[:2], bool)
            plain.append(stain_of_nuclei(rgb, tissue, mpp=0.65, glass=WHITE))
            light = 242 * (np.maximum(rgb, 1) / 242.0) ** 0.45
            weaker = np.clip(np.rint(light), 0, 255).astype(np.uint8)
            weak.append(stain_of_nuclei(weaker, tissue, mpp=0.65, glass=WHITE))
        plain, weak = np.array(plain), np.array(weak)
        false += faded(plain).sum()
        others += len(plain)
        for at in range(0, len(plain), 8):
            mixed = plain.copy()
            mixed[at] = weak[at]
            told += faded(mixed)[at]
            of += np.isfinite(plain[at]).all()
    assert others == 97
    assert false == 0
    assert told / of > 0.6
