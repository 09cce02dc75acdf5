"""The mask finds what takes up colour, at any scale, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from metastra.tissue.colour import DEFAULT_GLASS, chroma, glass_level, optical_density
from metastra.tissue.light import Light, window_px
from metastra.tissue.mask import find_tissue
from tissue.tissue_pictures import glass, light_of, tissue_density, with_tissue


def overlap(found, true):
    """Dice coefficient."""
    return 2 * np.count_nonzero(found & true) / (np.count_nonzero(found) + np.count_nonzero(true))


@pytest.mark.parametrize("mpp", [0.5, 2.0, 8.0, None])
def test_tissue_is_found_at_any_scale(mpp):
    """Whatever the scale, and without one, the drawn piece is found."""
    picture = with_tissue(glass(300, 300), tissue_density(150, 120, mpp or 2.0), 60, 90)
    true = np.zeros((300, 300), bool)
    true[60:210, 90:210] = True
    assert overlap(find_tissue(picture, mpp=mpp), true) > 0.96


def test_glass_has_none_and_a_full_tile_is_tissue_throughout():
    """No threshold is drawn from the histogram, so both extremes are right."""
    assert not find_tissue(glass(200, 200)).any()
    assert find_tissue(light_of(tissue_density(224, 224)), mpp=0.5).all()


def test_pale_tissue_without_glass_is_not_taken_for_glass():
    """A tile full of pale stroma is bright and nearly colourless, and still tissue."""
    density = np.ones((200, 200, 1)) * np.array((0.03, 0.075, 0.04))
    density = density * (1 + 0.2 * np.random.default_rng(3).normal(size=(200, 200, 1)))
    picture = light_of(density, (252, 252, 252))
    assert picture.min(axis=2).mean() > 200
    assert find_tissue(picture, mpp=0.65).mean() > 0.98


def test_grey_dust_and_shadow_are_not_tissue():
    """What absorbs all channels alike has no dye in it."""
    picture = glass(200, 200)
    picture[50:120, 50:120] = 170
    picture[150:170, 20:180] = 90
    assert not find_tissue(picture).any()


def test_specks_are_dropped_and_small_holes_filled():
    """Below 10 000 µm² a fragment is debris and a hole belongs to the tissue."""
    picture = with_tissue(glass(400, 400), tissue_density(200, 200, 2.0), 100, 100)
    picture[20:40, 20:40] = light_of(np.ones((20, 20, 1)) * np.array((0.3, 0.4, 0.1)))
    picture[180:210, 180:210] = 242
    found = find_tissue(picture, mpp=2.0)
    assert not found[:60, :60].any()
    assert found[190:200, 190:200].all()
    picture[150:260, 150:260] = 242
    assert not find_tissue(picture, mpp=2.0)[190:200, 190:200].any()


def test_absorbance_is_beer_and_lambert():
    """Two layers absorb the sum of both."""
    one = optical_density(np.full((1, 1, 3), 120, np.uint8), (240.0, 240.0, 240.0))
    two = optical_density(np.full((1, 1, 3), 60, np.uint8), (240.0, 240.0, 240.0))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-6)
    assert one[0, 0, 0] == pytest.approx(np.log10(2))
    assert chroma(one).item() == 0


def test_glass_is_measured_and_padding_left_aside():
    """Grey glass beside white padding is the glass; without glass a default stands in."""
    picture = glass(100, 200)
    picture[:, 100:] = 255
    assert glass_level(picture) == pytest.approx((243, 243, 243), abs=1.0)
    assert glass_level(np.full((50, 50, 3), 90, np.uint8)) == DEFAULT_GLASS
    assert glass_level(np.full((50, 50, 3), 255, np.uint8)) == (255, 255, 255)


def test_the_average_is_that_of_a_square():
    """Brute force over one pixel."""
    rgb = np.random.default_rng(1).integers(50, 240, (40, 40, 3)).astype(np.uint8)
    light = Light.of(rgb, 1.0, (243.0, 243.0, 243.0))
    half = window_px(1.0) // 2
    part = optical_density(rgb, light.glass)[20 - half : 21 + half, 15 - half : 16 + half]
    np.testing.assert_allclose(light.density[20, 15], part.mean(axis=(0, 1)), rtol=1e-4)


def test_a_known_glass_is_taken():
    """A piece cut from a slide is judged by the slide's glass."""
    picture = np.full((100, 100, 3), (232, 212, 228), np.uint8)
    assert not find_tissue(picture, glass=(232.0, 212.0, 228.0)).any()
    assert find_tissue(picture, glass=(248.0, 248.0, 248.0)).all()


def test_what_is_no_picture_is_refused():
    with pytest.raises(ValueError, match="uint8 of shape"):
        find_tissue(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="float64"):
        find_tissue(np.zeros((4, 4, 3)))


def test_mask_does_not_depend_on_the_orientation():
    """Turning the picture turns the mask."""
    picture = with_tissue(glass(180, 240), tissue_density(90, 100, 2.0, seed=5), 40, 60)
    turned = np.rot90(find_tissue(np.ascontiguousarray(np.rot90(picture)), mpp=2.0), -1)
    found = find_tissue(picture, mpp=2.0)
    assert np.count_nonzero(found ^ turned) < 0.001 * found.size
    assert ndimage.label(found)[1] == 1
